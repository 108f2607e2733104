"""One run of given code, in a process of its own that is used once. Runs inside the sandbox."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Any

from . import analysis, own_process, privileges
from .confine import confine_worker
from .plan import Plan

FAILED = 97


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker needs: the table, the code, and the descriptors it is left with."""

    table: Any
    code: str
    toolkit: Any
    null: int
    output: int
    results: int
    parent: int
    size: int | None
    plan: Plan


def live(job: Job) -> None:
    """Give up what is not needed, run the code, and end the process. Never returns."""
    os.setsid()
    if sys.platform == "linux":
        privileges.end_with_parent()
        if os.getppid() != job.parent:
            os._exit(FAILED)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    own_process.descriptors(job.null, job.output, job.results)
    sys.argv[:] = [""]
    random.seed(0)  # forking has just seeded it anew
    own_process.limit(job.plan.limits, job.size)
    if job.plan.layers:  # counts threads too, and the user's other processes: for code of ours it would be a lottery
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    confine_worker(job.plan)
    # Only now, and by this, the parent knows that code runs and that it runs confined.
    analysis.send(b"s", b"")
    analysis.run(job.code, job.table, job.toolkit, job.plan.limits)
