"""Runs Python as an ordinary user without any capability, started by root: a real one, with nothing mapped or traced.

    python tests/attacks/as_user.py [-m MODULE | SCRIPT] [ARGUMENT ...]

The user gets a fresh HOME, which is also TMPDIR's parent, and the same interpreter, packages and checkout. Where these
lie below a folder that other users cannot enter (an interpreter in /root, say), they are shown in place in a mount name
space of this child alone; nothing of the machine changes. Ends with the exit code of what it ran, or with 125 and one
line that says why it could not run it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

USER = 61234
"""Belongs to nobody as a rule, and to no group."""
FAILED = 125
CHECKOUT = Path(__file__).resolve().parent.parent.parent
_NEW_MOUNTS, _BIND, _RECURSIVE, _PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
_PARENT_DEATH = 1
_libc = ctypes.CDLL(None, use_errno=True)


class CannotRun(Exception):
    """Why nothing can be run as another user here."""


def command(arguments: Sequence[str]) -> list[str]:
    """What to start so that `python *arguments` runs as an ordinary user, in the checkout's folder."""
    return [sys.executable, "-P", "-B", str(Path(__file__).resolve()), *arguments]


def why_not() -> str | None:
    """Why this process cannot run anything as another user, None if it can."""
    if sys.platform != "linux":
        return "mount name spaces and capabilities are Linux's"
    if os.geteuid() != 0:
        return "only root can become another user; this is an ordinary one already"
    return None


def main(arguments: Sequence[str]) -> int:
    """Fork the child that becomes the user, and clean up after it."""
    if why := why_not():
        return _say(why)
    home = tempfile.mkdtemp(prefix="as-user-")
    try:
        child = os.fork()
        if child == 0:
            _child(home, arguments)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child gets it too, and ends as it sees fit
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code if code >= 0 else 128 - code
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _say(why: str) -> int:
    print(f"as_user: {why}", file=sys.stderr)
    return FAILED


def _child(home: str, arguments: Sequence[str]) -> NoReturn:
    try:
        needed = [Path(sys.prefix), Path(sys.base_prefix).resolve(), Path(sys.executable).resolve().parent, CHECKOUT]
        _show(needed, Path(home))
        _become(home)
        for each in needed:
            if not os.access(each, os.R_OK | os.X_OK):
                raise CannotRun(f"{each} cannot be read by other users")
        folder = os.path.join(home, "tmp")
        os.mkdir(folder)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        environment = kept | {"HOME": home, "TMPDIR": folder, "USER": "user", "PYTHONDONTWRITEBYTECODE": "1"}
        os.chdir(CHECKOUT)
        os.execve(sys.executable, [sys.executable, *arguments], environment)
    except (OSError, CannotRun) as error:
        os._exit(_say(str(error)))


def _show(needed: Sequence[Path], home: Path) -> None:
    """In a mount name space of its own, make the paths reachable for everybody."""
    closed = {folder for path in (*needed, home) if (folder := _closed(path)) is not None}
    if not closed:
        return
    _call("unshare", _libc.unshare(_NEW_MOUNTS))
    _call("mount", _libc.mount(None, b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None))
    below = {path for path in (*needed, home) if closed & set(path.parents)}
    # Each by its outermost: what lies in another of them comes with it.
    outermost = [path for path in sorted(below) if not below & set(path.parents)]
    held = {path: os.open(path, os.O_PATH) for path in outermost}
    for folder in sorted(closed, key=lambda each: len(each.parts)):
        _call(f"hide {folder}", _libc.mount(b"none", bytes(folder), b"tmpfs", ctypes.c_ulong(0), b"mode=755"))
    for path, descriptor in held.items():
        path.mkdir(parents=True)
        source = f"/proc/self/fd/{descriptor}".encode()
        _call(f"show {path}", _libc.mount(source, bytes(path), None, ctypes.c_ulong(_BIND | _RECURSIVE), None))
        os.close(descriptor)


def _closed(path: Path) -> Path | None:
    """The outermost folder above a path that others cannot enter."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _become(home: str) -> None:
    """Give up root for good, and check that it is."""
    os.chown(home, USER, USER)
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    # After the change of user, which unsets it.
    _libc.prctl(_PARENT_DEATH, ctypes.c_ulong(signal.SIGKILL))
    capabilities = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff")]
    if int(capabilities[0].split()[1], 16) != 0:
        raise CannotRun("capabilities remain after the change of user")
    with contextlib.suppress(OSError):
        os.setuid(0)
        raise CannotRun("the way back to root is open")


def _call(what: str, result: int) -> None:
    if result != 0:
        raise CannotRun(f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
