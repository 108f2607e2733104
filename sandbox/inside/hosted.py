"""The worker of a hosted sandbox: one run of given code in a process of its own, on a machine of its own.

Started by path by `relay`; what isolates it is the machine, so that it only bounds itself. Arguments: the limits as
JSON, the file of the table, the file of the code, and the descriptor for results.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
from dataclasses import replace
from types import ModuleType

_FAILED = 97
_SPARE = 0.9
"""Of the memory that the machine has left: it needs some to say that the rest was not enough."""


def main(limits_given: str, table_file: str, code_file: str, results: str) -> None:
    """Load the table, set this process up, say so, and run the code. Never returns."""
    package = ModuleType("inside")
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules["inside"] = package
    from inside import analysis, own_process, plan  # type: ignore[attr-defined]

    limits = plan.Limits(**json.loads(limits_given))
    with open(table_file, "rb") as file:
        table = analysis.load(file.read())
    with open(code_file, encoding="utf-8") as file:
        code = file.read()
    toolkit = analysis.prepare()
    size, free = _memory()
    if free is not None:
        limits = replace(limits, memory=max(1 << 20, min(limits.memory, int(free * _SPARE) >> 20 << 20)))
    own_process.descriptors(0, 1, int(results))
    sys.argv[:] = [""]
    sys.path.pop(0)  # this folder: its names are none of the code's business
    random.seed(0)
    own_process.limit(limits, size)
    analysis.send(b"s", b"")
    os.read(0, 1)  # until the parent has been told, which the code could prevent
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    analysis.run(code, table, toolkit, limits)


def _memory() -> tuple[int | None, int | None]:
    """Bytes that this process takes, as RLIMIT_AS counts them, and that the machine has left."""
    size = free = None
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
    return size, free


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BaseException as error:  # before any given code, or because that closed what its end is told by
        with contextlib.suppress(OSError):
            os.write(1, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(_FAILED)
