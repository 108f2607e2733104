"""Comparing strategies on equal budgets: `compare` and `acompare`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...evaluation.budget import Budget
from ...graphs.strategy import DEFAULT_PRESET
from ...traces.rows import Run
from ..batch.running import Stopping
from ..measuring import checked_concurrency, checked_patience
from ..named_runs import created_measurement, measuring_alone, new_name
from ..output import counted
from .arms import Arms, Say
from .call import CompareCall, compare_call
from .measure import interrupted, measured
from .outcome import unfinished
from .result import ComparisonResult


def compare(
    task: str | Path,
    strategies: Iterable[str] = (),
    *,
    seeds: int = 2,
    budget: str | Mapping[str, float] | Budget | None = None,
    run: str | None = None,
    **more: Any,
) -> ComparisonResult:
    """Compare strategies on one task: what each finds on the same budget, and whether they differ.

    `strategies`: names, such as `"sage"` or `"random:faithful"` (with a preset). Every one is run with the seeds 0 to
    `seeds` - 1, each run with the whole `budget` (as of `optimize`), in a process of its own, and never sees the test
    split. One half of that then measures what they found, the other certifies the winner. `run` names the comparison:
    called again under that name it goes on where it was, or gives the stored result. For `more` see `acompare`.

    A run that fails is a run with its reason; the others are compared all the same (`exit_code` 1; 75 where runs are
    left to do). Raises UsageError for what the caller can mend, BudgetTooSmall where no run could conclude anything.
    """
    return asyncio.run(acompare(task, strategies, seeds=seeds, budget=budget, run=run, **more))


async def acompare(
    task: str | Path,
    strategies: Iterable[str] = (),
    *,
    seeds: int = 2,
    peers: Iterable[str] = (),
    target: str = "local",
    agent: str | None = None,
    base_url: str | None = None,
    budget: str | Mapping[str, float] | Budget | None = None,
    preset: str = DEFAULT_PRESET,
    run: str | None = None,
    parallel: int = 1,
    silence: float = 60.0,
    say: Say | None = None,
    stopping: Stopping | None = None,
    **options: Any,
) -> ComparisonResult:
    """`compare` for asynchronous code; cancelling it ends the runs under way, which go on when it is called again.

    `peers`: other optimisers, by name. `preset`: of the strategies that name none. `parallel`: runs under way at once.
    `silence`: minutes after which a run that says nothing has hung and is ended. `say` gets a line whenever something
    happens; `stopping()` asks it to stop. `options`: `rule`, `sandbox`, `timeout`, `concurrency`, `patience`, and what
    says how the task is read (`input`, `expected`, `metric`, `labels`, `seed_prompt`, `data`, `shuffle_labels`), as the
    command line's; `rule` is a list of texts `NAME=VALUE`.
    """
    call = await asyncio.to_thread(
        compare_call,
        task,
        strategies,
        name=run or new_name("compare"),
        seeds=seeds,
        peers=peers,
        budget=budget,
        preset=preset,
        target=target,
        agent=agent,
        base_url=base_url,
        **options,
    )
    return await run_comparison(call, parallel=parallel, silence=silence, say=say, stopping=stopping)


async def run_comparison(
    call: CompareCall,
    *,
    parallel: int = 1,
    silence: float = 60.0,
    say: Say | None = None,
    stopping: Stopping | None = None,
) -> ComparisonResult:
    """Do what is left to do of a comparison. Raises Busy where another process works on it."""
    say, stopping = say or (lambda line: None), stopping or Stopping()
    checked_concurrency(call.options.get("concurrency"))
    checked_patience(call.options.get("patience") or 0.0)
    if parallel < 1:
        raise UsageError(f"--parallel: {parallel} runs at a time; it takes 1 at least")
    async with measuring_alone(call.name, "comparison", say):
        before = await call.check()
        if before.finished and before.begun is not None:
            return ComparisonResult.model_validate(before.begun.result)
        begun = before.begun or await created_measurement(
            call.name, call.task.name, "compare", {**call.settings, "command": call.command}
        )
        say(f"comparison {call.name}: go on with it, or see it again: {call.command}")
        return await _run(call, begun, Arms(call.arms, say, stopping, parallel, silence))


async def _run(call: CompareCall, begun: Run, arms: Arms) -> ComparisonResult:
    try:
        standings = await arms.run_all()
    except asyncio.CancelledError:
        await interrupted(begun)
        raise
    if arms.stopping.asked:
        await interrupted(begun)
        return unfinished(call, begun, standings)
    found = sum(standing.state == "done" for standing in standings.values())
    arms.say(f"measuring what {counted(found, 'run')} found on {len(call.halves[0])} test examples")
    measurement = asyncio.create_task(measured(call, begun, arms.standings, arms.say))
    try:
        while not (await asyncio.wait([measurement], timeout=0.2))[0]:
            if arms.stopping.asked:
                measurement.cancel()
    finally:
        measurement.cancel()
        await asyncio.wait([measurement])
    if measurement.cancelled():
        return unfinished(call, begun, standings)
    return measurement.result()
