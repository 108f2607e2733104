"""What confines the process that runs given code: bubblewrap around it where it works, Landlock and seccomp within."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .plan import Limits, Plan

_FOLDER = Path(__file__).resolve().parent
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
"""Shared libraries, which extension modules load late, and time zones."""
_IMPORTED = ("numpy", "pandas", "sandlock")
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
    """Layers of isolation: those the process applies to itself, and the `bwrap` program around it, if any."""

    layers: tuple[str, ...] = ()
    bubblewrap: str | None = None

    @property
    def isolates(self) -> bool:
        """Files are out of reach (either way), and so is everything that takes a system call to reach."""
        return "seccomp" in self.layers and ("landlock" in self.layers or self.bubblewrap is not None)

    def __str__(self) -> str:
        return ", ".join([*(["bubblewrap"] if self.bubblewrap else []), *self.layers]) or "no isolation"


def bubblewrap() -> str | None:
    """The `bwrap` program, where it is installed."""
    return shutil.which("bwrap") if sys.platform == "linux" else None


def command(
    confinement: Confinement, forbidden: str, limits: Limits | None = None, *, probe: bool = False
) -> list[str]:
    """The command that starts the process so confined. `forbidden` is a file that it must not be able to read."""
    readable, packages = _paths()
    plan = Plan(
        layers=confinement.layers,
        contained=confinement.bubblewrap is not None,
        readable=readable,
        packages=packages,
        forbidden=forbidden,
        probe=probe,
        limits=limits or Limits(),
    )
    interpreter = os.path.realpath(sys.executable)
    inner = [interpreter, "-P", "-s", "-S", "-B", str(_FOLDER / "boot.py"), plan.dumps()]
    if confinement.bubblewrap is None:
        return inner
    outer = [confinement.bubblewrap, "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    for path in dict.fromkeys((interpreter, *readable)):
        outer += ["--ro-bind", path, path]
    return [*outer, "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/", "--chdir", "/", "--", *inner]


@cache
def _paths() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What may be read: Python's library, the installed packages, shared libraries, this folder; and the packages."""
    packages: dict[str, None] = {}
    for name in _IMPORTED:
        spec = importlib.util.find_spec(name)  # finds without importing
        if spec is not None and spec.origin:
            packages[str(Path(spec.origin).resolve().parent.parent)] = None
    library = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    if Path(sys.base_prefix) not in (Path("/"), Path("/usr")):
        library.append(os.path.join(sys.base_prefix, "lib"))  # shared libraries that come with this Python
    wanted = [*map(os.path.realpath, library), *_SYSTEM, *packages, str(_FOLDER)]
    return tuple(dict.fromkeys(path for path in wanted if os.path.isdir(path))), tuple(packages)
