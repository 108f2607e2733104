"""What an attack is: a program, and how the same program is shown to work where nothing confines it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Control = Literal["child", "crash", "hang", "json", "pickle", "store", "read", "print"]
"""How the control tells success.

- `child`: the program in an ordinary process does the harm, by the evidence of the scene (or its own word);
- `crash`: that process dies by it; `hang`: it is still running when the sandbox would have ended it;
- the others: a naive parent is hurt by what the program wrote, see `naive`.
"""


@dataclass(frozen=True, slots=True)
class Attack:
    """One hostile program. Inside the sandbox it must leave no evidence; as a control it must.

    `code` finds `at`, what it may know of the scene, `call(name, ...)` for raw system calls, `escaped(evidence)` for
    what only the program can know, and what analysis code has (`records`, `pd`, `np`, `emit`). `then` is a second run
    that looks for what the first left behind. `barred` names the errors of the control which mean that this kernel
    or this user does not offer the facility at all. `full`: only in the full suite, for its time.
    """

    name: str
    theme: str
    code: str
    control: Control = "child"
    barred: tuple[str, ...] = ()
    then: str = ""
    sibling: bool = False
    """Whether another run, with a secret in its table, is under way meanwhile."""
    earlier: bool = False
    """Whether a run with a secret in its table came before in the same sandbox."""
    hidden: bool = False
    """Whether only a mount namespace prevents it: it learns of a file's name, size or time, not of its contents."""
    full: bool = False


ROOT_ONLY = ("EPERM", "EACCES")
"""For what an ordinary user may not do either."""
ABSENT = ("ENOSYS", "ENOENT", "ENODEV", "ENXIO", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EOPNOTSUPP")
"""For what a kernel may be built without."""

PRELUDE = r'''
import ctypes, errno, os, platform, sys
from types import SimpleNamespace
_numbers = {  # x86-64, ARM64
    "bpf": (321, 280), "capset": (126, 91), "clone": (56, 220), "clone3": (435, 435), "fanotify_init": (300, 262),
    "fsopen": (430, 430), "inotify_add_watch": (254, 27), "inotify_init1": (294, 26), "io_uring_setup": (425, 425),
    "ioperm": (173, -1), "ioprio_set": (251, 30), "kcmp": (312, 272), "keyctl": (250, 219), "add_key": (248, 217),
    "memfd_secret": (447, 447), "mount": (165, 40), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "msgctl": (71, 187), "msgget": (68, 186), "msgsnd": (69, 189), "open_by_handle_at": (304, 265),
    "open_tree": (428, 428), "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "prlimit64": (302, 261),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117), "request_key": (249, 218),
    "seccomp": (317, 277), "semctl": (66, 191), "semget": (64, 190), "setns": (308, 268), "shmat": (30, 196),
    "shmctl": (31, 195), "shmget": (29, 194), "socket": (41, 198), "connect": (42, 203), "syslog": (103, 116),
    "tgkill": (234, 131), "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(name, *arguments):
    number = name if isinstance(name, int) else _numbers[name][platform.machine() == "aarch64"]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def escaped(evidence):
    emit("escaped", str(evidence)[:500])
def every(targets, attempt):
    """Try them all; raise the last failure where none succeeded."""
    failure, succeeded = None, False
    for target in targets:
        try:
            attempt(target)
            succeeded = True
        except OSError as error:
            failure = error
    if failure and not succeeded:
        raise failure
'''
"""Put before every program, in the sandbox and in the control alike."""


def source(code: str, known: dict[str, object]) -> str:
    """The whole program as it is run, with what it may know of the scene."""
    return f"{PRELUDE}\nat = SimpleNamespace(**{known!r})\n{code}"
