"""Measuring a landscape: `landscape` and `alandscape`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import BudgetExceeded, BudgetTooSmall, ModelError
from ...evaluation.budget import Budget
from ...evaluation.landscape import LEAST_PROMPTS, MOST_PROMPTS, enough_scores
from ...evaluation.outage import PATIENCE_MINUTES
from ...models.embeddings import embed
from ...tasks.task import Task
from ...traces.rows import Run
from ..measuring import Listener, Measuring, measuring
from ..named_runs import known_measurement
from .call import LandscapeCall, landscape_call
from .choice import embedded_text
from .outcome import Measured, outcome
from .result import LandscapeResult

AT_ONCE = 4
"""Prompts whose calls are made together."""


def landscape(
    runs: Sequence[str] | str,
    *,
    budget: str | Mapping[str, float] | Budget | None = None,
    run: str | None = None,
    **more: Any,
) -> LandscapeResult:
    """How rugged the landscape of a task's prompts is: those that `runs` have met, on one panel of examples.

    `runs`: names or ids of searches of one task on one target; a comparison's name stands for the runs of its rows.
    `budget` defaults to the calls that it takes. For `more` see `alandscape`.

    Raises UsageError for what the caller can mend, BudgetTooSmall where too few prompts could be measured to conclude
    anything; what was answered is kept, and the same call with a larger budget goes on.
    """
    return asyncio.run(alandscape(runs, budget=budget, run=run, **more))


async def alandscape(
    runs: Sequence[str] | str,
    *,
    budget: str | Mapping[str, float] | Budget | None = None,
    run: str | None = None,
    prompts: int = MOST_PROMPTS,
    embeddings: str | None = None,
    task: Task | None = None,
    target: Any = None,
    concurrency: int | None = None,
    patience: float = PATIENCE_MINUTES,
    listener: Listener | None = None,
) -> LandscapeResult:
    """`landscape` for asynchronous code; cancelling it keeps the answers, so that the next time they are free.

    `prompts`: how many are measured at most (12 to 60). `embeddings`: the model that says how far apart they are
    (`local` or `openai:MODEL`; default: OpenAI's for its own models, else the embedded one). `run`: a name; by default
    one that depends on runs and prompts alone, so that the same call goes on, or gives the stored result.
    `task` and `target` are passed again where the runs were started with Python objects. The rest as of `aevaluate`.
    """
    call = await landscape_call(
        runs, budget=budget, prompts=prompts, embeddings=embeddings, run=run, task=task, target=target
    )
    return await run_landscape(call, concurrency=concurrency, patience=patience, listener=listener)


async def run_landscape(
    call: LandscapeCall,
    *,
    concurrency: int | None = None,
    patience: float = PATIENCE_MINUTES,
    listener: Listener | None = None,
) -> LandscapeResult:
    """Do what is left to do of a landscape, or give its stored result."""
    begun = await known_measurement(call.name, "landscape", call.settings)
    stored = _stored(call, begun)
    if stored is not None:
        return stored
    vectors = await _embedded(call)  # before anything is paid for
    async with measuring(
        call.sources.task,
        call.sources.target,
        call.budget,
        strategy="landscape",
        settings={**call.settings, "command": call.command},
        base_url=call.sources.base_url,
        concurrency=concurrency,
        patience=patience,
        listener=listener,
        name=call.name,
        begun=begun,
    ) as opened:
        if listener is not None:
            listener("measuring", {"run_id": opened.run_id, "examples": call.needed})
        measured = await _measured(call, opened, vectors)
        # Out of the event loop: it takes seconds, in which the run's lease is to be kept.
        result = await asyncio.to_thread(outcome, call, opened, measured)
        await opened.finish(result)
    return result


def _stored(call: LandscapeCall, begun: Run | None) -> LandscapeResult | None:
    """The result that there is, unless the budget has grown and there are prompts that it did not reach."""
    if begun is None or begun.status != "finished" or not begun.result:
        return None
    result = LandscapeResult.model_validate(begun.result)
    grown = begun.settings.get("budget") != str(call.budget)
    return None if grown and result.left_out else result


async def _embedded(call: LandscapeCall) -> np.ndarray:
    """The vector of every prompt. Raises ModelError where they cannot be had."""
    texts = [embedded_text(prompt) for prompt in call.prompts]
    try:
        vectors = await embed(texts, call.embeddings, call.sources.base_url)
    except ModelError as error:
        raise type(error)(
            f"embeddings from {call.embeddings} cannot be had: {error}. Nothing was measured; name another model with "
            "--embeddings (local, or openai:MODEL)"
        ) from error
    if not np.isfinite(vectors).all() or not np.any(vectors):
        raise ModelError(f"{call.embeddings} sent embeddings that are no vectors; name another with --embeddings")
    return vectors


async def _measured(call: LandscapeCall, opened: Measuring, vectors: np.ndarray) -> Measured:
    """The scores of all prompts that the budget reached and that have enough of them."""
    reached, cut = 0, False
    while reached < len(call.jobs) and not cut:
        block = call.jobs[reached : reached + AT_ONCE]
        try:
            done = await opened.evaluator.measure(*block)
        except BudgetExceeded:
            done = 0
        reached, cut = reached + done, done < len(block)
    scores = np.full((reached, len(call.panel)), np.nan)
    for row, prompt in enumerate(call.prompts[:reached]):
        found = opened.evaluator.scores(prompt.id, call.panel)
        scores[row] = [np.nan if (score := found.get(e.id)) is None else score for e in call.panel]
    if cut and reached < LEAST_PROMPTS:
        raise BudgetTooSmall(
            f"the budget was spent after {reached} prompts; it takes at least {LEAST_PROMPTS}. What was answered is "
            f"kept: call it again with a larger --budget"
        )
    kept = np.flatnonzero(enough_scores(scores))
    if len(kept) < LEAST_PROMPTS:
        reason = opened.evaluator.calls.trouble or "the metric failed"
        raise ModelError(
            f"landscape: only {len(kept)} of {reached} prompts have enough scores, it takes {LEAST_PROMPTS}; the last "
            f"failure: {reason}"
        )
    return Measured(tuple(call.prompts[i] for i in kept), scores[kept], vectors[kept], reached)
