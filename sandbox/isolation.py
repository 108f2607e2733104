"""What confines the process that runs given code, and the command that starts it so."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .inside.plan import LAYERS, Limits, Plan

_FOLDER = Path(__file__).resolve().parent / "inside"
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo")
"""Shared libraries, which extension modules load late, and time zones."""
_PACKAGES = (
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "joblib",
    "threadpoolctl",
    "narwhals",
    "dateutil",
    "six",
    "pytz",
    "tzdata",
)
"""What code may import beside the standard library, where it is installed: pandas, and what people use with it."""
ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # the same order of sets in every run
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "HOME": "/nonexistent",  # some libraries look for it, and fail where nobody says
    # No thread is ever allowed, and a pool of them would not survive the fork.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_NUM_THREADS": "1",
}
"""All of the environment there is, for the process and for the code."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """Layers of isolation, of `plan.LAYERS`."""

    layers: tuple[str, ...] = ()

    @property
    def isolates(self) -> bool:
        """Files are out of reach (either way), and so is everything that takes a system call to reach."""
        return "seccomp" in self.layers and bool({"namespaces", "landlock"} & set(self.layers))

    def __str__(self) -> str:
        return ", ".join(name for name in LAYERS if name in self.layers) or "no isolation"


def plan_of(confinement: Confinement, limits: Limits, forbidden: str, groups: tuple[str, ...], *, probe: bool) -> Plan:
    """How the process sets itself up. `forbidden` is a file that it must not be able to read afterwards."""
    readable, emptied, packages = _paths()
    return Plan(
        layers=confinement.layers,
        readable=readable,
        emptied=emptied,
        packages=packages,
        groups=groups,
        forbidden=forbidden,
        outside=os.getpid(),
        probe=probe,
        limits=limits,
    )


def command(plan: Plan) -> list[str]:
    """The command that starts the process: Python without its site-packages, its environment and its user's files."""
    return [os.path.realpath(sys.executable), "-P", "-s", "-S", "-B", str(_FOLDER / "boot.py"), plan.dumps()]


@cache
def _paths() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What may be read: Python's library, shared libraries, this folder, the packages; what of it is shown empty; and
    the folders to import the packages from.
    """
    packages: list[Path] = []
    for name in (*_PACKAGES, "sandlock"):
        spec = importlib.util.find_spec(name)  # finds without importing
        if spec is not None and spec.origin:
            origin = Path(spec.origin).resolve()
            packages.append(origin.parent if origin.name == "__init__.py" else origin)
    folders = list(dict.fromkeys(package.parent for package in packages))
    # Where wheels put the shared libraries that they bring.
    packages += [library for folder in folders for library in folder.glob("*.libs") if _ours(library.name)]
    library = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    if Path(sys.base_prefix) not in (Path("/"), Path("/usr")):
        library.append(os.path.join(sys.base_prefix, "lib"))  # shared libraries that come with this Python
    library = [os.path.realpath(path) for path in library]
    readable = [*library, *_SYSTEM, *map(str, packages), str(_FOLDER)]
    emptied = [os.path.join(path, name) for path in library for name in ("site-packages", "dist-packages")]
    return (
        tuple(dict.fromkeys(path for path in readable if os.path.exists(path))),
        tuple(dict.fromkeys(path for path in emptied if os.path.isdir(path))),
        tuple(map(str, folders)),
    )


def _ours(libraries: str) -> bool:
    return libraries.removesuffix(".libs") in (*_PACKAGES, "scikit_learn")
