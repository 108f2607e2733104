"""Sets up the process that given code will run in: its descriptors and what it may use. Runs inside the sandbox."""

from __future__ import annotations

import io
import math
import os
import resource
import sys
import time

from .analysis import RESULTS
from .plan import Limits

_OPEN_FILES = 64


def descriptors(null: int, output: int, results: int) -> None:
    """Keep nothing but an empty input, the output, and the results, which may be any numbers before."""
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(results, RESULTS)
    os.closerange(RESULTS + 1, os.sysconf("SC_OPEN_MAX"))
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(descriptor, "w", closefd=False)
        # By lines, so that a run which is killed has shown what it printed so far.
        text = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "replace", "\n", line_buffering=True)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def limit(limits: Limits, size: int | None) -> None:
    """Bound computing time, files and, where the process's own `size` in bytes is known, memory. Kept for good."""
    # What the process took until now counts too, in whole seconds: rounded so that the code has all of its time, but
    # for a tenth of a second. It is nothing where the process was just forked.
    used = math.ceil(time.process_time() - 0.1)
    # The signal first, which says why; a second later the end, whatever the code did about the signal.
    resource.setrlimit(resource.RLIMIT_CPU, (used + limits.cpu, used + limits.cpu + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    if size is not None:
        resource.setrlimit(resource.RLIMIT_AS, (size + limits.memory, size + limits.memory))
