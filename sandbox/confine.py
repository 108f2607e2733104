"""Confines the own process, and checks by trying that it is confined. Runs inside the sandbox."""

from __future__ import annotations

import errno
import os
import socket

from . import seccomp
from .plan import Plan


def confine(plan: Plan) -> None:
    """Apply the plan's layers to this process and what it forks, for good. Raises whatever goes wrong."""
    unknown = set(plan.layers) - {"landlock", "seccomp"}
    if unknown:
        raise ValueError(f"unknown layers {sorted(unknown)}")
    if "landlock" in plan.layers:
        _landlock(plan.readable)
    if "seccomp" in plan.layers:
        seccomp.install(seccomp.ZYGOTE)


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
            ("a folder outside was listed", os.listdir, os.path.dirname(plan.forbidden)),
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
