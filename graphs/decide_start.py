"""Making the run that the graph is to work on, where nobody has made it before (LangGraph Studio, a bare invoke)."""

from __future__ import annotations

import asyncio
import uuid

from langgraph.runtime import Runtime

from ..errors import StoreError
from ..settings import settings as installation
from ..traces.rows import DECIDE, Run
from ..traces.store import RunStore
from .decide_settings import DEFAULT_ENVIRONMENT, DEFAULT_METHOD, DecideSettings
from .decide_state import DecideContext, DecideState


async def ensure_decide_run(state: DecideState, runtime: Runtime[DecideContext]) -> str:
    """The id of the thread's run: the one that stands in the store, else a new one made from input and context."""
    info = runtime.execution_info
    run_id = info.thread_id if info and info.thread_id else str(uuid.uuid4())
    async with await RunStore.open(await asyncio.to_thread(lambda: installation().home)) as store:
        try:
            run = await store.run(run_id)
        except StoreError:
            context = runtime.context or DecideContext()
            chosen = DecideSettings(
                environment=state.get("environment") or DEFAULT_ENVIRONMENT,
                method=state.get("method") or DEFAULT_METHOD,
                rounds=context.rounds or None,
                agent=context.agent,
                budget=context.budget,
                seed=context.seed,
            )
            chosen.check()
            await store.create_run(new_run(run_id, None, chosen))
        else:
            if run.status == "finished":
                raise StoreError("this thread's run is finished; start a new thread for another one")
    return run_id


def new_run(run_id: str, name: str | None, settings: DecideSettings) -> Run:
    """The row of a run that is to begin."""
    return Run(run_id, name, settings.environment, DECIDE + settings.method, settings.model_dump(mode="json"))
