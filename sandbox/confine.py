"""Confines the own process, and checks by trying that it is confined. Runs inside the sandbox."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys

from . import seccomp
from .plan import Plan

_SET_DUMPABLE = 4


def confine(plan: Plan) -> None:
    """Apply the plan's layers to this process and what it forks, for good. Raises whatever goes wrong."""
    unknown = set(plan.layers) - {"landlock", "seccomp"}
    if unknown:
        raise ValueError(f"unknown layers {sorted(unknown)}")
    # Closes /proc/PID of this process and of what it forks, where pipes can be opened, to each other.
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_SET_DUMPABLE, ctypes.c_ulong(0)) != 0:
        raise OSError("prctl: not dumpable was refused")
    if "landlock" in plan.layers:
        _landlock(plan.readable)
    if "seccomp" in plan.layers:
        seccomp.install(seccomp.ZYGOTE)


def confine_worker(plan: Plan) -> None:
    """Confine a worker further than the process it was forked from."""
    if "landlock" in plan.layers:
        # A domain of its own, though no smaller: within one domain, root could reach the other workers' pipes through
        # /proc/PID/fd all the same, because pipes are no files to Landlock.
        _landlock(plan.readable)
    if "seccomp" in plan.layers:
        seccomp.install(seccomp.WORKER)


def _landlock(readable: tuple[str, ...]) -> None:
    from sandlock import Protection, Sandbox
    from sandlock import confine as restrict

    # What older kernels' Landlock lacks (network, signals, abstract sockets, truncation, device controls) the list
    # of system calls forbids anyway; which files may be opened is enforced on all of them.
    restrict(Sandbox(fs_readable=list(readable), allow_degraded=list(Protection)))


def violations(plan: Plan) -> list[str]:
    """What is possible although the plan's layers must forbid it; empty if they hold."""
    tried = []
    if "landlock" in plan.layers or plan.contained:
        tried += [
            ("a file outside was read", _reads, plan.forbidden),
            ("a folder outside was listed", _lists, plan.forbidden),
            ("a file was written", _writes, plan.forbidden),
        ]
    if "seccomp" in plan.layers:
        tried += [("a socket was opened", _opens, family) for family in (socket.AF_INET, socket.AF_UNIX)]
        tried += [("a program could be started", _starts, plan.forbidden)]
    elif plan.contained:
        tried += [("a network is there", _sees_network, None)]
    return [what for what, attempt, argument in tried if _succeeds(attempt, argument)]


def _succeeds(attempt: object, argument: object) -> bool:
    try:
        attempt(argument)  # type: ignore[operator]
    except OSError:
        return False
    return True


def _reads(path: str) -> None:
    with open(path, "rb") as file:
        file.read(1)


def _lists(path: str) -> None:
    # Bubblewrap shows the folders on the way to what is visible, without what else is in them.
    if os.path.basename(path) not in os.listdir(os.path.dirname(path)):
        raise FileNotFoundError(path)


def _writes(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def _opens(family: socket.AddressFamily) -> None:
    socket.socket(family, socket.SOCK_STREAM).close()


def _starts(path: str) -> None:
    try:
        os.execv(path, [path])  # noqa: S606
    except OSError as error:
        # Refused for what it is, not for the file being no program.
        if error.errno == errno.EPERM:
            raise


def _sees_network(_: object) -> None:
    if {name for _, name in socket.if_nameindex()} <= {"lo"}:
        raise OSError("none")
