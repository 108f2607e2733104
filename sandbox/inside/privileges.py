"""Gives up what the own process could do beyond its user's rights (Linux). Runs inside the sandbox."""

from __future__ import annotations

import ctypes
from itertools import count

_SET_DUMPABLE, _SET_NO_NEW_PRIVS, _DROP_BOUND, _AMBIENT, _CLEAR_ALL = 4, 38, 24, 47, 4
_VERSION = 0x20080522


def give_up() -> None:
    """Every capability, of this process and of what it forks, and any way to gain one, for good. Raises OSError.

    Also closes /proc/PID of this process and of what it forks, where pipes could be opened, to each other.
    """
    library = ctypes.CDLL(None, use_errno=True)

    def prctl(*given: int) -> bool:
        padded = [*given, 0, 0, 0, 0][:5]
        return library.prctl(ctypes.c_int(padded[0]), *map(ctypes.c_ulong, padded[1:])) == 0

    if not prctl(_SET_DUMPABLE, 0) or not prctl(_SET_NO_NEW_PRIVS, 1):
        raise OSError(ctypes.get_errno(), "prctl: not dumpable, no new privileges: refused")
    prctl(_AMBIENT, _CLEAR_ALL)
    # Without the right to (an ordinary user) nothing is dropped here, and no_new_privs makes the bound idle.
    for capability in count():
        if not prctl(_DROP_BOUND, capability):
            break
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if library.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset: giving up all capabilities was refused")
