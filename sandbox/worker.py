"""One run of given code, in a process of its own that is used once. Runs inside the sandbox."""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import io
import os
import random
import resource
import signal
import sys
from dataclasses import dataclass
from typing import Any

from .confine import confine_worker
from .plan import Limits, Plan

FAILED = 97
FILENAME = "<analysis>"
_RESULTS = 3
_SET_PARENT_DEATH_SIGNAL = 1
_OPEN_FILES = 64


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
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGKILL))
        if os.getppid() != job.parent:
            os._exit(FAILED)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _descriptors(job)
    sys.argv[:] = [""]
    random.seed(0)  # forking has just seeded it anew
    _limit(job)
    confine_worker(job.plan)
    # Only now, and by this, the parent knows that code runs and that it runs confined.
    send(b"s", b"")
    _run(job)


def send(kind: bytes, payload: bytes) -> None:
    """Write one frame of results: kind, length, payload."""
    rest = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
    while rest:
        rest = rest[os.write(_RESULTS, rest) :]


def _descriptors(job: Job) -> None:
    """Keep nothing but an empty input, the output, and the results, which may be any numbers before."""
    os.dup2(job.null, 0)
    os.dup2(job.output, 1)
    os.dup2(job.output, 2)
    os.dup2(job.results, _RESULTS)
    os.closerange(_RESULTS + 1, os.sysconf("SC_OPEN_MAX"))
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(descriptor, "w", closefd=False)
        # By lines, so that a run which is killed has shown what it printed so far.
        text = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "replace", "\n", line_buffering=True)
        setattr(sys, name, text)
        setattr(sys, f"__{name}__", text)


def _limit(job: Job) -> None:
    limits = job.plan.limits
    # The signal first, which says why; a second later the end, whatever the code did about the signal.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    if job.plan.layers:  # counts threads too, and the user's other processes: for code of ours it would be a lottery
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if job.size is not None:
        resource.setrlimit(resource.RLIMIT_AS, (job.size + limits.memory, job.size + limits.memory))


def _run(job: Job) -> None:
    import numpy as np
    import pandas as pd

    results = Results(job.plan.limits)
    given = {
        "__name__": "__main__",
        "__builtins__": builtins,
        "records": job.table,
        "pd": pd,
        "np": np,
        "emit": results.emit,
    }
    if job.toolkit is not None:
        given["toolkit"] = job.toolkit
    error = ""
    try:
        exec(compile(job.code, FILENAME, "exec", dont_inherit=True), given)  # noqa: S102
    except SystemExit as left:
        if left.code not in (None, 0):
            error = describe(left, job.code)
    except MemoryError as full:
        line = _line(full, job.code)
        given.clear()  # or there may be no room to say it
        error = f"memory limit of {_size(job.plan.limits.memory)}{line}"
    except BaseException as raised:
        error = describe(raised, job.code)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    if error:
        send(b"e", error[:4000].encode("utf-8", "replace"))
    send(b"d", str(results.dropped).encode())
    os._exit(0)


class Results:
    """The findings of one run, written as they come: what was found before a time-out is kept."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0
        self.bytes = 0
        self.dropped = 0

    def emit(self, name: object, value: object, note: object = "") -> None:
        """Register a finding. Tables keep their first 5,000 rows; what is too large is cut, and the note says so."""
        from . import values

        if self.count >= self.limits.findings:
            self.dropped += 1
            return
        room = min(self.limits.finding_bytes, self.limits.total_bytes - self.bytes)
        data = values.finding(name, value, note, room - 16)
        if data is None:
            self.dropped += 1
            return
        self.count += 1
        self.bytes += len(data) + 5
        send(b"f", data)


def describe(error: BaseException, code: str) -> str:
    """The exception as one line of text, with the line of the given code that it came from."""
    name = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        return f"{name}: {error.msg}{_quote(error.lineno or 1, code)}"
    try:
        message = str(error)[:2000]
    except Exception:
        message = "(its message could not be made)"
    return f"{name}: {message}{_line(error, code)}" if message else f"{name}{_line(error, code)}"


def _line(error: BaseException, code: str) -> str:
    number = 0
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == FILENAME:
            number = step.tb_lineno
        step = step.tb_next
    return _quote(number, code) if number else ""


def _quote(number: int, code: str) -> str:
    lines = code.splitlines()
    text = lines[number - 1].strip()[:200] if number <= len(lines) else ""
    return f" (line {number}: {text})" if text else f" (line {number})"


def _size(amount: int) -> str:
    return f"{amount / (1 << 30):g} GB" if amount >= 1 << 30 else f"{amount / (1 << 20):g} MB"
