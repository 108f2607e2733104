"""What the own process asks of prctl(2) and capset(2): to be able to do less, and to end in time (Linux).

Runs inside the sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from functools import cache
from itertools import count

_SET_PARENT_DEATH_SIGNAL, _SET_DUMPABLE, _SET_NO_NEW_PRIVS, _DROP_BOUND, _AMBIENT, _CLEAR_ALL = 1, 4, 38, 24, 47, 4
_VERSION = 0x20080522


def end_with_parent() -> None:
    """Be killed when the parent ends. Whether it has ended already is for the caller to look. Raises OSError."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def give_up() -> None:
    """Every capability, of this process and of what it forks, and any way to gain one, for good. Raises OSError.

    Also closes /proc/PID of this process and of what it forks, where pipes could be opened, to each other.
    """
    _prctl(_SET_DUMPABLE, 0)
    gain_none()
    with contextlib.suppress(OSError):
        _prctl(_AMBIENT, _CLEAR_ALL)
    # Without the right to (an ordinary user) nothing is dropped here, and no_new_privs makes the bound idle.
    with contextlib.suppress(OSError):
        for capability in count():
            _prctl(_DROP_BOUND, capability)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if _library().capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset: giving up all capabilities was refused")


def gain_none() -> None:
    """No program that is started gives this process new rights, for good (`no_new_privs`). Raises OSError."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(what: int, value: int) -> None:
    arguments = map(ctypes.c_ulong, (value, 0, 0, 0))
    if _library().prctl(ctypes.c_int(what), *arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {what}, {value}: {os.strerror(number)}")
