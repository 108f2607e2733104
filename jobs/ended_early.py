"""How a run that did not come to its end is told of: why, what it has found, and the command that goes on with it."""

from __future__ import annotations

from pydantic import BaseModel

from ..errors import (
    DiskFull,
    EnvironmentFailure,
    ModelError,
    ProviderDown,
    QuotaExhausted,
    RunInterrupted,
    SageError,
    StrategyError,
)
from ..traces.result import SCHEMA_VERSION
from .so_far import BestSoFar

RESUMABLE = (RunInterrupted, ModelError, DiskFull, StrategyError, EnvironmentFailure)
"""Errors after which a run is as it was, and can go on."""


class Unfinished(BaseModel):
    """What `optimize --json` and `resume --json` print then. `resume` is the command that goes on."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    exit_code: int
    error: str
    best_so_far: BestSoFar | None
    resume: str


def how_to_go_on(error: SageError, name: str) -> SageError:
    """The error with the command that goes on with the run of that name."""
    again = resume_command(name)
    if isinstance(error, ProviderDown):
        ended: SageError = RunInterrupted(f"{error}. When it is back: {again}")
    elif isinstance(error, RunInterrupted):
        ended = RunInterrupted(f"stopped; resume with: {again}")
    elif isinstance(error, DiskFull):
        ended = DiskFull(f"{error}, then go on with: {again}")
    elif isinstance(error, QuotaExhausted):
        ended = QuotaExhausted(f"{error}. Then go on with: {again}")
    elif isinstance(error, StrategyError):
        ended = StrategyError(f"{error}. When it is mended: {again}")
    else:
        return error
    ended.best_so_far = error.best_so_far
    return ended


def resume_command(name: str) -> str:
    """The command that goes on with a run."""
    return f"sage-spo resume {name}"
