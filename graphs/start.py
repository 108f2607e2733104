"""Making the run that a graph is to work on, where nobody has made it before (LangGraph Studio, a bare invoke)."""

from __future__ import annotations

import asyncio
import uuid

from langgraph.runtime import Runtime

from ..errors import StoreError
from ..settings import settings as installation
from ..traces.rows import Run
from ..traces.store import RunStore
from .run_settings import RunSettings
from .state import DEFAULT_STRATEGY, DEFAULT_TASK, Context, RunState


async def ensure_run(state: RunState, runtime: Runtime[Context], only: str | None = None) -> str:
    """The id of the thread's run: the one that stands in the store, else a new one made from input and context.

    `only`: the strategy, where the graph has but one.
    """
    info = runtime.execution_info
    run_id = info.thread_id if info and info.thread_id else str(uuid.uuid4())
    store = await RunStore.open(await asyncio.to_thread(lambda: installation().home))
    try:
        try:
            run = await store.run(run_id)
        except StoreError:
            context = runtime.context or Context()
            chosen = RunSettings(
                task=state.get("task") or DEFAULT_TASK,
                strategy=only or state.get("strategy") or DEFAULT_STRATEGY,
                target=context.target,
                agent=context.agent or None,
                budget=context.budget,
                seed=context.seed,
            )
            await store.create_run(Run(run_id, None, chosen.task, chosen.strategy, chosen.model_dump(mode="json")))
        else:
            if run.status == "finished":
                raise StoreError("this thread's run is finished; start a new thread for another one")
    finally:
        await store.close()
    return run_id
