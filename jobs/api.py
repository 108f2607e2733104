"""The Python front door: `optimize`, `aoptimize`, `resume`, `evaluate`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from langgraph.runtime import RunControl

from ..errors import SageError, StoreError
from ..evaluation.budget import Budget
from ..evaluation.outage import PATIENCE_MINUTES
from ..graphs.held_run import hand_in
from ..graphs.optimize import build
from ..graphs.run_settings import RunSettings
from ..graphs.state import DEFAULT_STRATEGY
from ..graphs.strategy import DEFAULT_PRESET
from ..models.names import check_model
from ..settings import settings as installation
from ..tasks.load import load_task, task_source
from ..tasks.targets import make_target, target_name
from ..tasks.task import Task
from ..traces.result import Result
from ..traces.rows import Run, is_decision, is_search
from ..traces.store import RunStore
from .driving import drive_graph
from .ended_early import RESUMABLE
from .measuring import Listener, checked_concurrency, checked_patience
from .named_runs import known_run, take_up
from .output import short_id
from .sandbox_choice import check_sandbox
from .so_far import best_so_far, so_far_words


def optimize(
    task: str | Path | Task,
    *,
    strategy: str = DEFAULT_STRATEGY,
    target: Any = "local",
    agent: str | None = None,
    budget: str | Mapping[str, float] | Budget | None = None,
    seed: int = 0,
    run: str | None = None,
    **more: Any,
) -> Result:
    """Find a better prompt for `task` and prove that it is better, or say that it is not.

    `task`: a built-in task's name, a task.yaml, a data file, or a Task. `target`: the model whose prompt is
    optimised (`local`, `openai:MODEL`, …) or an app: a callable, a LangChain Runnable, a URL. `agent`: the model
    that writes prompts; None: the playbook, which needs none. `budget`: `"usd=2,target_calls=1500"` or a mapping.
    `run` names the run: called again under that name, an interrupted run goes on and a finished one gives its stored
    result, as long as nothing that defines the run has changed. For `more` see `aoptimize`.

    Raises UsageError for what the caller can mend, and RunInterrupted or ModelError where the run can be resumed: what
    it has found is their `best_so_far` (prompt and estimates, not certified), or None. A budget that cannot pay the
    proof and one race gives the verdict `budget too small` before the first call.
    """
    return asyncio.run(
        aoptimize(task, strategy=strategy, target=target, agent=agent, budget=budget, seed=seed, run=run, **more)
    )


async def aoptimize(
    task: str | Path | Task,
    *,
    strategy: str = DEFAULT_STRATEGY,
    target: Any = "local",
    agent: str | None = None,
    budget: str | Mapping[str, float] | Budget | None = None,
    seed: int = 0,
    run: str | None = None,
    base_url: str | None = None,
    certify: bool = True,
    timeout: float = 60.0,  # noqa: ASYNC109 - of one call, not of this function
    sandbox: str = "auto",
    concurrency: int | None = None,
    patience: float = PATIENCE_MINUTES,
    preset: str = DEFAULT_PRESET,
    options: Mapping[str, Any] | None = None,
    rules: Mapping[str, Any] | None = None,
    cache_scope: str = "",
    task_options: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
    control: RunControl | None = None,
) -> Result:
    """`optimize` for asynchronous code; cancelling it leaves a run that `resume` takes up.

    `base_url`: an OpenAI-compatible server for `openai:` models. `certify=False` leaves the proof out.
    `timeout`: seconds for one attempt of a call. `sandbox`: where analysis code runs (`auto`: `e2b` where its key
    is set and an agent writes code, else `local`; `none`: no code at all; `unsafe`: not isolated). `concurrency`: calls
    to the target under way at once (None: it starts at 20 and finds out what the provider bears). `patience`: minutes
    to wait for a provider that does not answer any more (no working time: they do not count as `minutes` of the
    budget); then ProviderDown is raised, and `resume` goes on. `preset`: `default`, or `faithful` for what the
    strategy's paper did; `options` of the strategy (`candidates`, `pool`, `iterations`, …) and `rules` of acceptance
    (see `ValidationRules`) are changes to it. `cache_scope`: runs with different ones share no answers.
    `task_options`: keywords of `load_task`. `listener(event, fields)` is told what happens; `control` can ask the run
    to stop at the next step, or at once where it waits for a provider that is down: then RunInterrupted is raised, and
    `resume` goes on.
    """
    limits = Budget.parse(budget)
    run_id = str(uuid.uuid4())
    loaded = await asyncio.to_thread(load_task, task, **(task_options or {}))
    settings = RunSettings(
        task=task_source(task) if isinstance(task, (str, Path)) else task.name,
        task_options=dict(task_options or {}),
        task_key=loaded.key,
        strategy=strategy,
        preset=preset,
        options=dict(options or {}),
        target=target_name(target),
        agent=agent,
        base_url=base_url,
        budget=str(limits) if not limits.unlimited else "",
        seed=seed,
        certify=certify,
        timeout=timeout,
        in_process=isinstance(task, Task) or not isinstance(target, str),
        rules=dict(rules or {}),
        cache_scope=cache_scope,
        sandbox=sandbox,
        concurrency=checked_concurrency(concurrency),
        patience=checked_patience(patience),
    )
    settings.check()
    known = await known_run(run, settings) if run else None
    if known is not None:
        await take_up(known)
        objects: dict[str, Any] = {"task": task if isinstance(task, Task) else None}
        objects["target"] = None if isinstance(target, str) else target
        result = await aresume(known.run.id, **objects, listener=listener, control=control)
        return result.model_copy(update={"notes": [*result.notes, known.note]}) if known.note else result
    await asyncio.to_thread(check_sandbox, settings)
    await asyncio.to_thread(make_target, target, loaded, base_url)
    if agent:
        await asyncio.to_thread(check_model, agent, base_url)
    async with await RunStore.open(installation().home) as store:
        await store.create_run(Run(run_id, run, loaded.name, strategy, settings.model_dump(mode="json")))
    hand_in(run_id, task=loaded, target=None if isinstance(target, str) else target, listener=listener)
    if listener:
        listener("created", {"run_id": run_id, "alias": run, "settings": settings, "task": loaded})
    start = {"task": settings.task, "strategy": strategy}
    return await _drive(run_id, start, control)


async def aresume(
    run: str,
    *,
    task: Task | None = None,
    target: Any = None,
    concurrency: int | None = None,
    patience: float | None = None,
    listener: Listener | None = None,
    control: RunControl | None = None,
) -> Result:
    """Go on with an interrupted run (id, alias or the beginning of an id); a finished one gives its result.

    `task` and `target` must be passed again where Python objects were passed at first. `concurrency` changes how
    many calls are under way at once, `patience` how many minutes a provider that is down is waited for, from here on.
    """
    async with await RunStore.open(installation().home) as store:
        found = await store.run(run)
        changes: dict[str, Any] = {"concurrency": checked_concurrency(concurrency)}
        changes["patience"] = None if patience is None else checked_patience(patience)
        changes = {name: value for name, value in changes.items() if value is not None}
        if changes and found.status != "finished":
            found = await store.update_run(found.id, settings={**found.settings, **changes})
    if found.strategy == "compare":
        raise StoreError(f"run {run} is a comparison; go on with: {found.settings.get('command', 'sage-spo compare')}")
    if found.strategy == "landscape":
        command = found.settings.get("command", "sage-spo landscape")
        raise StoreError(f"run {run} is a landscape; go on with: {command}")
    if is_decision(found.strategy):
        raise StoreError(f"run {run} is of agents that decide; go on with: sage-spo resume {run}")
    if not is_search(found.strategy):
        command = found.strategy.replace(":", " ")
        raise StoreError(f"run {run} is no search; do it again with: sage-spo {command} (known answers are free)")
    if found.status == "finished" and found.result:
        return Result.model_validate(found.result)
    settings = RunSettings.model_validate(found.settings)
    if settings.in_process and task is None and target is None:
        raise StoreError(f"run {run} was started from Python with its own task or target; resume it from there")
    hand_in(found.id, task=task, target=target, listener=listener)
    if listener:
        loaded = task or await asyncio.to_thread(load_task, settings.task, **settings.task_options)
        listener("created", {"run_id": found.id, "alias": found.alias, "settings": settings, "task": loaded})
    return await _drive(found.id, {"task": settings.task, "strategy": settings.strategy}, control)


def resume(run: str, **more: Any) -> Result:
    """`aresume` for ordinary code."""
    return asyncio.run(aresume(run, **more))


async def _drive(run_id: str, start: dict[str, Any], control: RunControl | None) -> Result:
    """The stored result of a run after its graph has run; an error that it can be resumed after says what was found."""
    home = installation().home
    try:
        await drive_graph(run_id, partial(build, only=start["strategy"]), start, control)
    except RESUMABLE as error:
        with suppress(SageError):  # the disk may be full, or gone
            async with await RunStore.open(home) as store:
                run, error.best_so_far = await store.run(run_id), await best_so_far(store, run_id)
            error.add_note(f"Best prompt so far (best_so_far): {so_far_words(error.best_so_far)}")
            error.add_note(f'Go on with: sage_spo.resume("{run.alias or short_id(run_id)}")')
        raise
    async with await RunStore.open(home) as store:
        finished = await store.run(run_id)
    return Result.model_validate(finished.result)
