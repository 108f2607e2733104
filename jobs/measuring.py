"""Measuring outside a search: a run row, a ledger and an evaluator, so that it is journaled like everything else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ..errors import RunInterrupted, StoreError, UsageError
from ..evaluation.budget import Budget, check_prices
from ..evaluation.evaluator import Evaluator
from ..evaluation.ledger import Ledger
from ..evaluation.outage import PATIENCE_MINUTES
from ..evaluation.paid_calls import PaidCalls
from ..graphs.lease import keep_lease, take_lease
from ..models.retry import RetryPolicy
from ..settings import settings as installation
from ..tasks.targets import make_target
from ..tasks.task import Task
from ..traces.redact import redact
from ..traces.rows import Run
from ..traces.store import RunStore

Listener = Callable[[str, dict[str, Any]], None]
MOST_AT_ONCE = 1024


@dataclass
class Measuring:
    """One run that only measures. `finish` stores what came of it."""

    run_id: str
    store: RunStore
    ledger: Ledger
    evaluator: Evaluator

    async def finish(self, result: BaseModel) -> None:
        """Store the result with the run and mark it as finished."""
        await self.store.update_run(
            self.run_id, status="finished", result=result.model_dump(mode="json"), seconds=self.ledger.seconds
        )


def checked_concurrency(concurrency: int | None) -> int | None:
    """The number as it is. Raises UsageError where so many calls cannot be under way at once."""
    if concurrency is not None and not 1 <= concurrency <= MOST_AT_ONCE:
        raise UsageError(f"concurrency={concurrency}: it lies between 1 and {MOST_AT_ONCE}; leave it out to adapt")
    return concurrency


def checked_patience(minutes: float) -> float:
    """The minutes as they are. Raises UsageError where nobody can wait so long."""
    if not 0 <= minutes < float("inf"):
        raise UsageError(f"patience={minutes}: minutes to wait for a provider that does not answer, 0 or more")
    return minutes


@asynccontextmanager
async def measuring(
    task: Task,
    target: Any,
    budget: Budget,
    *,
    strategy: str,
    settings: Mapping[str, Any],
    base_url: str | None = None,
    concurrency: int | None = None,
    patience: float = PATIENCE_MINUTES,
    listener: Listener | None = None,
    name: str | None = None,
    begun: Run | None = None,
    seed: int = 0,
    cache_scope: str = "",
) -> AsyncIterator[Measuring]:
    """A run of that `strategy` with everything opened; closed and marked as failed where an error leaves it.

    A new one called `name`, or `begun`, one that did not come to its end. `seed` is of its sample stream (a target that
    is random) and its waiting times, `cache_scope` separates caches (see `Evaluator`). Raises ModelSetupError,
    BudgetError, StoreError before anything is asked.
    """
    waits = 60 * checked_patience(patience)
    made = await asyncio.to_thread(make_target, target, task, base_url, checked_concurrency(concurrency))
    check_prices(budget, {made.name: made.price})
    store = await RunStore.open(installation().home)
    run_id, owner = begun.id if begun else str(uuid.uuid4()), None
    ledger = Ledger(budget, seconds_before=begun.seconds if begun else 0.0)
    calls = PaidCalls(run_id, store, ledger, RetryPolicy(), seed=seed, patience=waits)
    evaluator = Evaluator(task, made, calls, cache_scope)
    if listener is not None:
        tell = listener
        calls.on_trouble = lambda message: tell("call_failed", {"message": message})
        calls.on_call = lambda call: tell("call", {"role": call.role})
        calls.on_outage = tell
        calls.on_wait = lambda seconds: tell("rate_limit", {"seconds": seconds})
    try:
        if begun is None:
            await store.create_run(Run(run_id, name, task.name, strategy, dict(settings), status="running"))
        owner = await take_lease(store, run_id, name or run_id)
        keeping = asyncio.create_task(_kept(store, run_id, owner, ledger, asyncio.current_task()))
        try:
            if begun is not None:
                await calls.restore(restarts=begun.restarts + 1, in_flight=evaluator.limit.reached)
                await store.update_run(run_id, status="running", restarts=begun.restarts + 1, settings=dict(settings))
            yield Measuring(run_id, store, ledger, evaluator)
        except (asyncio.CancelledError, RunInterrupted):
            if keeping.done() and not keeping.cancelled():
                raise StoreError(f"run {name or run_id} was taken over by another process") from None
            await store.update_run(run_id, status="interrupted", seconds=ledger.seconds)
            raise
        except Exception as error:
            await store.update_run(run_id, status="failed", error=redact(str(error)), seconds=ledger.seconds)
            raise
        finally:
            keeping.cancel()
    finally:
        if owner is not None:
            await store.release_lease(run_id, owner)
        await made.aclose()
        await store.close()


async def _kept(store: RunStore, run_id: str, owner: str, ledger: Ledger, work: asyncio.Task[Any] | None) -> None:
    """Keep the run's lease until it is cancelled; where another process takes the run, the work on it ends."""
    await keep_lease(store, run_id, owner, lambda: ledger.seconds)
    if work is not None:
        work.cancel()
