"""Namespaces of the own process, made without any program's help (Linux). Runs inside the sandbox.

User, mount, process, network, IPC, host name and cgroup namespaces: `enter` makes them and goes on as the first process
of the new ones; `hide_files` then leaves nothing of the file system but the given paths, all of it read-only. See
user_namespaces(7), pid_namespaces(7) and pivot_root(2).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from . import privileges

_NEW_USER = 0x10000000
_NEW_OTHERS = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
"""Mounts, cgroups, host name, IPC, processes, network."""
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_NO_SUID, _NO_DEVICES = 0x2, 0x4
_DETACH = 0x2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTRIBUTES = 0x1 | 0x2 | 0x4  # read-only, no set-user-id programs, no devices
_OLD = "/.old"
_BASE = "/tmp"  # noqa: S108  (any folder that every Linux has: the new root is mounted over it, unseen by others)


def enter() -> None:
    """Return in the first process of new namespaces; the calling process stays behind, only to end with it.

    Where user namespaces are forbidden, root makes the others without one. Raises OSError where there are none.
    """
    uid, gid = os.getuid(), os.getgid()
    try:
        _call("unshare", _NEW_USER | _NEW_OTHERS)
    except OSError:
        if uid != 0:
            raise
        _call("unshare", _NEW_OTHERS)
    else:
        # The same user and group inside, and none but them.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    first = os.fork()
    if first:
        # Nothing but standard error is kept: an end of the control held here would hide that the other one is gone.
        os.closerange(0, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os._exit(max(0, os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])))
    privileges.end_with_parent()


def hide_files(readable: Sequence[str], emptied: Sequence[str]) -> None:
    """Make a new root that holds `readable` alone, in that order, with `emptied` folders of it shown empty.

    `emptied` are shown empty but for what of `readable` lies in them. Raises OSError.
    """
    _call("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)
    _call("mount", b"none", _BASE.encode(), b"tmpfs", _NO_SUID | _NO_DEVICES, b"mode=755,size=1m")
    os.mkdir(_BASE + _OLD)
    _pivot_root(_BASE, _BASE + _OLD)
    os.chdir("/")
    inner = [path for path in readable if any(Path(path).is_relative_to(folder) for folder in emptied)]
    for path in readable:
        if path not in inner:
            _show(path)
    for folder in emptied:
        if os.path.isdir(folder):
            _call("mount", b"none", folder.encode(), b"tmpfs", _NO_SUID | _NO_DEVICES, b"mode=755,size=1m")
    for path in inner:
        _show(path)
    os.makedirs("/tmp", exist_ok=True)  # noqa: S108  (of this root: private and empty)
    _call("umount2", _OLD.encode(), _DETACH)
    os.rmdir(_OLD)
    attributes = (ctypes.c_uint64 * 4)(_ATTRIBUTES, 0, 0, 0)
    _syscall(_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(attributes), ctypes.sizeof(attributes))


def _show(path: str) -> None:
    """Bind a file or folder of the old root to its place in the new one; a link to another place becomes one here."""
    source = _OLD + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(source):
        if not os.path.lexists(path):
            os.symlink(os.readlink(source), path)
        return
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o444))
    _call("mount", source.encode(), path.encode(), None, _BIND | _RECURSIVE, None)


def _pivot_root(new: str, old: str) -> None:
    _syscall(_PIVOT_ROOT[os.uname().machine], new.encode(), old.encode())


def _syscall(number: int, *arguments: object) -> None:
    _call("syscall", ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])


def _call(name: str, *arguments: object) -> None:
    """A function of the C library that returns -1 where it fails. Raises OSError with its name."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if function(*given) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
