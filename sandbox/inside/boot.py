"""The script that the parent starts, by path: makes this folder importable without sage_spo around it."""

import os
import sys
from types import ModuleType


def main() -> None:
    """Run `zygote.main` with the plan in the first argument."""
    package = ModuleType("inside")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["inside"] = package
    from inside import zygote  # type: ignore[attr-defined]

    zygote.main(sys.argv[1])


if __name__ == "__main__":
    main()
