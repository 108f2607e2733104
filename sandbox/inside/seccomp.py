"""An allowlist of system calls for the own process (Linux, x86-64 and ARM64). Runs inside the sandbox.

sandlock filters system calls only for a command it starts, through a supervisor that lives in the starting process,
and its list names what is forbidden. A worker needs no program to be started and some seventy calls, so the filter
here names what is allowed; the rest fails with EPERM: sockets, processes, threads, signals to others, ptrace,
mounts, keyrings, io_uring, and whatever future kernels add.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from . import privileges

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Audit number of the architecture, and its column in the lists below."""

# Numbers of the kernel's tables: (x86-64, ARM64); None where the architecture has no such call.
WORKER: dict[str, tuple[int, int | None]] = {
    # Files: Landlock or the mount namespace says which; writing only to descriptors that are open already.
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "close": (3, 57), "lseek": (8, 62), "open": (2, None), "openat": (257, 56), "getdents64": (217, 61),
    "stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "getcwd": (79, 17),
    "readlink": (89, None), "readlinkat": (267, 78), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    # Waiting on them.
    "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    # The process's own memory, time, signals and end.
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214),
    "madvise": (28, 233), "membarrier": (324, 283), "futex": (202, 98), "set_robust_list": (273, 99),
    "rseq": (334, 293), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132), "restart_syscall": (219, 128), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getrusage": (98, 165),
    "getrandom": (318, 278), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "exit": (60, 93), "exit_group": (231, 94),
    # Who and where am I.
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "uname": (63, 160), "sysinfo": (99, 179),
}  # fmt: skip

ZYGOTE: dict[str, tuple[int, int | None]] = WORKER | {
    "clone": (56, 220), "clone3": (435, 435), "fork": (57, None), "wait4": (61, 260), "waitid": (247, 95),
    "kill": (62, 129), "pipe2": (293, 59), "setsid": (112, 157), "getppid": (110, 173), "prlimit64": (302, 261),
    "prctl": (157, 167), "seccomp": (317, 277), "close_range": (436, 436),
    # For the worker, which confines itself further after the fork.
    "landlock_create_ruleset": (444, 444), "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446),
    # On the sockets it was started with; it can make no other.
    "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "getsockname": (51, 204), "getsockopt": (55, 209), "shutdown": (48, 210),
}  # fmt: skip
"""What the process that forks the workers may call besides."""

FCNTL = (72, 25)
FCNTL_COMMANDS = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC. Not F_SETOWN: it can send signals to any process."""

_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
_NUMBER, _ARCHITECTURE, _SECOND_ARGUMENT = 0, 4, 24  # offsets in struct seccomp_data, little-endian
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_MODE_FILTER, _ALL_THREADS = 1, 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def program(calls: dict[str, tuple[int, int | None]], machine: str) -> bytes:
    """The filter as BPF instructions for a machine as `os.uname` names it. Raises OSError on others.

    x86-64's second numbering (x32) needs no rule of its own: none of its numbers is in the list.
    """
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    audit, column = ARCHITECTURES[machine]
    refuse = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    code = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUALS, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    code += _allowed(number for numbers in calls.values() if (number := numbers[column]) is not None)
    commands = _allowed(FCNTL_COMMANDS)
    code += [(_EQUALS, 0, len(commands) + 2, FCNTL[column]), (_LOAD, 0, 0, _SECOND_ARGUMENT), *commands, refuse, refuse]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def install(calls: dict[str, tuple[int, int | None]]) -> None:
    """Allow this process, all its threads and what it forks `calls` only, for good. Raises OSError where refused."""
    machine = os.uname().machine
    code = program(calls, machine)
    privileges.gain_none()  # the kernel's condition, whether or not rights were given up before
    library = ctypes.CDLL(None, use_errno=True)
    given = _Program(len(code) // 8, code)
    call = ctypes.c_long(ZYGOTE["seccomp"][ARCHITECTURES[machine][1]] or 0)
    # A positive answer is the thread that could not be brought under the filter: a failure, too.
    if library.syscall(call, ctypes.c_ulong(_MODE_FILTER), ctypes.c_ulong(_ALL_THREADS), ctypes.byref(given)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp: filter refused")


def _allowed(values: Iterable[int]) -> list[tuple[int, int, int, int]]:
    """Instructions that allow the call if the word in hand is one of `values`, and go on otherwise."""
    return [step for value in values for step in ((_EQUALS, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
