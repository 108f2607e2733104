"""The error hierarchy. Every message says what is wrong, where, and what to do about it.

`exit_code` is what the command line returns: 1 failure, 2 the user can mend the call, 3 the budget is too
small to conclude anything, 75 interrupted and resumable.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

Sign = Literal["serving", "failing", "unreachable"]


class SageError(Exception):
    """Base of every error raised on purpose by sage-spo."""

    exit_code = 1
    best_so_far: Any = None
    """What the run that it ended had found (`jobs.so_far.BestSoFar`); None where there was nothing, or no run."""


class UsageError(SageError):
    """The call itself cannot be carried out as given; the message names the setting and the mend."""

    exit_code = 2


class TaskError(UsageError):
    """A task, data file, split or metric is unusable; the message names file, line and field."""


class BudgetError(UsageError):
    """A budget that cannot be read or enforced (unknown unit, not positive, unknown price)."""


class ModelSetupError(UsageError):
    """A model cannot be used as named: unknown provider, missing key, missing weights."""


class StoreError(UsageError):
    """The run store or its folder cannot be used, or holds no such run."""


class DiskFull(StoreError):
    """The disk of SAGE_HOME is full. What was committed is safe, and with room again the run can be resumed."""

    exit_code = 75


class ModelError(SageError):
    """A model call failed for good (after the retry layer gave up, or with an error not worth retrying)."""


class TransientModelError(ModelError):
    """A model call failed in a way that may pass: 429, 5xx, time-out, connection reset.

    `retry_after` is the server's own wish in seconds, when it gave one.
    `spent` tells whether the attempt may have cost tokens (it was sent and not refused), `overloaded` whether the
    provider said or showed that it was asked too much at once. `sign` is what it says of the provider: it is there
    (`serving`: 429, a broken reply), it may be down (`failing`: 500, a time-out, a broken connection), nothing is
    there (`unreachable`: no connection, or a gateway that finds nobody).
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        spent: bool = False,
        overloaded: bool = False,
        sign: Sign = "serving",
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.spent = spent
        self.overloaded = overloaded
        self.sign: Sign = sign


class ModelRefused(ModelError):
    """The provider will refuse every further call too: a key it does not accept, a model it does not know."""

    exit_code = 2


class QuotaExhausted(ModelRefused):
    """The account has no credit left; waiting does not help. With credit again the run can be resumed."""

    exit_code = 1


class BudgetExceeded(SageError):
    """The budget has no room for the next call. The run ends cleanly with the best it has."""


class BudgetTooSmall(SageError):
    """The budget cannot pay certification plus one race; nothing was spent."""

    exit_code = 3


class StrategyError(SageError):
    """A strategy of a user's own raised, hung, or returned what is no prompt. With it mended the run can be resumed."""


class EnvironmentFailure(SageError):
    """A decision environment raised, hung, or answered what is no answer. With it mended the run can be resumed."""


class SandboxError(UsageError):
    """Code could not be run isolated; the message names what to install and the ways out.

    `billed` are the seconds that a paid service charges for although nothing was run.
    """

    billed = 0.0


class RunInterrupted(SageError):
    """The run was stopped on request; it can be resumed."""

    exit_code = 75


class ProviderDown(RunInterrupted):
    """A provider did not answer for longer than the run's patience; the run can be resumed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest known name, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""
