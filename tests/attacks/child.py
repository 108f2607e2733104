"""Runs one program as the sandbox would, but with nothing around it: the control of an attack.

Speaks the sandbox's own frames on descriptor 3. Started by path with the descriptor of the results and a job as JSON.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import sys
from types import ModuleType
from typing import Any


def frame(kind: bytes, payload: bytes) -> None:
    rest = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
    while rest:
        rest = rest[os.write(3, rest) :]


def emit(name: object, value: object, note: object = "") -> None:
    frame(b"f", json.dumps([str(name), value, str(note)], default=str).encode())


def given(text: str, rows: list[dict[str, Any]], packages: list[str]) -> dict[str, Any]:
    """What analysis code has; pandas only for what names it, because loading it takes half a second."""
    names: dict[str, Any] = {"__name__": "__main__", "emit": emit}
    if re.search(r"\b(pd|np|records)\b", text):
        sys.path.extend(packages)
        import numpy as np
        import pandas as pd

        names |= {"pd": pd, "np": np, "records": pd.DataFrame(rows)}
    toolkit = ModuleType("toolkit")
    toolkit.standard = print  # type: ignore[attr-defined]
    sys.modules["toolkit"] = toolkit
    return names


def run(code: str, names: dict[str, Any], key: str | None) -> None:
    """Run the code in this very process, as a careless program would, with a key in the calling frame."""
    try:
        exec(compile(code, "<analysis>", "exec"), dict(names))
    except SystemExit:
        pass
    except BaseException as error:
        kind = errno.errorcode.get(getattr(error, "errno", None) or 0, "")
        frame(b"e", f"{type(error).__name__} {kind}: {error}".encode("utf-8", "replace"))
    sys.stdout.flush()


def main() -> None:
    results = int(sys.argv[1])
    job = json.loads(sys.argv[2])
    if results != 3:
        os.dup2(results, 3)
        os.close(results)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    names = given(job["code"] + job["then"], job["rows"], job["packages"])
    former = [{"secret": os.environ.get("OPENAI_API_KEY")}]  # an earlier run's table, never let go
    run(job["code"], names, former[0]["secret"])
    if job["then"]:
        run(job["then"], names, None)
    frame(b"d", b"0")


if __name__ == "__main__":
    main()
