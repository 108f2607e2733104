"""Confines the own process, and checks by trying that it is confined. Runs inside the sandbox.

In two steps, because importing pandas must be able to list folders which code shall not see: `enter` before, when the
process is still small and has no threads, `confine` after.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys

from . import namespaces, privileges, seccomp
from .plan import PROBE_MEMORY, PROCESSES, Plan


def enter(plan: Plan) -> None:
    """Join the plan's cgroups and make its namespaces. May return in another process than it was called in."""
    for path in plan.groups:
        with open(path, "w") as file:
            file.write("0")
    if "namespaces" in plan.layers:
        namespaces.enter()


def confine(plan: Plan) -> None:
    """Apply the plan's layers to this process and what it forks, for good. Raises whatever goes wrong."""
    if "namespaces" in plan.layers:
        namespaces.hide_files(plan.readable, plan.emptied)
    if sys.platform == "linux" and plan.layers:
        privileges.give_up()
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
    if "landlock" in plan.layers or "namespaces" in plan.layers:
        tried += [
            ("a file outside was read", _reads, plan.forbidden),
            ("a folder outside was listed", _lists, plan.forbidden),
            ("a file was written", _writes, plan.forbidden),
        ]
    if "namespaces" in plan.layers:
        tried += [
            ("a file outside was seen", os.stat, plan.forbidden),
            ("/proc was seen", os.stat, "/proc/self"),
            ("a process outside was seen", _signals, plan.outside),
        ]
    if plan.layers:
        tried += [("a privilege was left", os.chroot, "/")]
    if "seccomp" in plan.layers:
        tried += [("a socket was opened", _opens, family) for family in (socket.AF_INET, socket.AF_UNIX)]
        tried += [("a program could be started", _starts, plan.forbidden)]
    elif "namespaces" in plan.layers:
        tried += [("a network is there", _sees_network, None)]
    if "cgroup" in plan.layers and plan.probe:
        tried += [("too many processes were started", _forks, None), ("too much memory was used", _fills, None)]
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
    if os.path.basename(path) not in os.listdir(os.path.dirname(path)):
        raise FileNotFoundError(path)


def _writes(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def _signals(process: int) -> None:
    os.kill(process, 0)


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


def _forks(_: object) -> None:
    children: list[int] = []
    try:
        while len(children) < 2 * PROCESSES:
            child = os.fork()
            if not child:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _fills(_: object) -> None:
    child = os.fork()
    if not child:
        len(bytearray(2 * PROBE_MEMORY))
        os._exit(0)
    if os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        raise OSError("killed")
