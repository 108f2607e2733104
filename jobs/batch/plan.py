"""Which job of a batch comes next, and what it may spend: pure arithmetic on what is known."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...evaluation.budget import Budget
from .file import Job

State = Literal["waiting", "running", "done", "failed", "skipped", "interrupted"]
CENT_PARTS = 1e6
"""Shares of dollars and minutes are rounded down to a millionth, so that sums never exceed the whole."""


@dataclass(frozen=True)
class Granted:
    """What a job may spend; `budget` is None where it has to wait (`wait`) or nothing is left for it."""

    budget: Budget | None
    wait: bool = False


def next_job(jobs: Iterable[Job], states: Mapping[str, State]) -> Job | None:
    """The job to start now: of those whose `after` is done the one of highest priority, then the first in the file."""
    ready = [j for j in jobs if states[j.name] == "waiting" and all(states[name] == "done" for name in j.after)]
    return min(ready, key=lambda job: (-job.priority, job.order), default=None)


def hopeless(jobs: Sequence[Job], states: Mapping[str, State]) -> list[tuple[Job, str]]:
    """The waiting jobs that can never start, each with the job that it waits for in vain."""
    found: list[tuple[Job, str]] = []
    lost = {name for name, state in states.items() if state in ("failed", "skipped")}
    grown = True
    while grown:
        grown = False
        for job in jobs:
            in_vain = next((name for name in job.after if name in lost), None)
            if states[job.name] == "waiting" and job.name not in lost and in_vain is not None:
                found.append((job, in_vain))
                lost.add(job.name)
                grown = True
    return found


def left(shared: Budget, held: Collection[Mapping[str, float]]) -> dict[str, float]:
    """What is left of each shared limit; `held`: what each other job has spent, or reserved where it may go on."""
    return {unit: limit - sum(one.get(unit, 0.0) for one in held) for unit, limit in shared.limits().items()}


def grant(own: Budget, remaining: Mapping[str, float], *, unstarted: int, others_run: bool) -> Granted:
    """What a job is given when it starts.

    Of each shared limit its `own`, at most what remains; where it names none an equal share over the `unstarted`
    jobs, itself included. Where its own does not fit and `others_run`, it waits for what they leave over.
    """
    limits = own.limits()
    for unit, amount in remaining.items():
        wanted = limits.get(unit)
        given = min(wanted, amount) if wanted is not None else amount / unstarted
        given = _rounded(unit, given)
        if others_run and given < (wanted if wanted is not None else _least(unit)):
            return Granted(None, wait=True)
        if given < _least(unit):
            return Granted(None)
        limits[unit] = given
    return Granted(Budget.parse(limits))


def raised(declared: Budget, before: Budget, granted: Budget, remaining: Mapping[str, float]) -> Budget | None:
    """What a job that has begun may spend now: its reservation, more where the file now says more than `before`, and at
    most what remains of a limit that the jobs share since then; None where nothing of that is left.

    `remaining` does not count the job's own reservation as free.
    """
    reserved = granted.limits()
    limits = dict(reserved) if declared == before else declared.limits()
    for unit, amount in remaining.items():
        free = max(0.0, amount)
        if unit not in reserved:
            limits[unit] = min(limits.get(unit, free), free)
        elif declared != before:
            limits[unit] = min(limits[unit], reserved[unit] + free) if unit in limits else reserved[unit]
    limits = {unit: _rounded(unit, value) for unit, value in limits.items()}
    return None if any(value < _least(unit) for unit, value in limits.items()) else Budget.parse(limits)


def _rounded(unit: str, amount: float) -> float:
    if unit in ("usd", "minutes"):
        return math.floor(amount * CENT_PARTS) / CENT_PARTS
    return math.floor(amount)


def _least(unit: str) -> float:
    return 1 / CENT_PARTS if unit in ("usd", "minutes") else 1
