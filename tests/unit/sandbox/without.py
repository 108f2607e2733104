"""Runs a command on a machine that lacks a feature of the kernel, as far as the command can tell.

`python without.py namespaces,landlock COMMAND …`: a filter answers the system call that the feature begins with as a
kernel does where it is missing or forbidden. It holds for whatever the command starts, too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

CALLS = {
    "x86_64": {"namespaces": (272, errno.EPERM), "landlock": (444, errno.ENOSYS), "seccomp": (317, errno.EINVAL)},
    "aarch64": {"namespaces": (97, errno.EPERM), "landlock": (444, errno.ENOSYS), "seccomp": (277, errno.EINVAL)},
}
"""By machine and layer: the number of the call, and what it says."""


def command(layers: str, *python: str) -> list[str]:
    """What runs Python with these arguments where the layers, with commas between, are missing."""
    return [sys.executable, __file__, layers, sys.executable, *python]


def take_away(layers: list[str]) -> None:
    """For this process and what it starts, for good."""
    steps = [(0x20, 0, 0, 0)]
    for layer in layers:
        number, says = CALLS[platform.machine()][layer]
        steps += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | says)]
    steps += [(0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    libc, zero = ctypes.CDLL(None), ctypes.c_ulong(0)
    assert libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero) == 0
    assert libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(Program(len(steps), code)), zero, zero) == 0


if __name__ == "__main__":
    take_away(sys.argv[1].split(","))
    os.execvp(sys.argv[2], sys.argv[2:])
