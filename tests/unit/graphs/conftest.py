"""A session of a run of `sage`, for tests of what its nodes work with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sage_spo.graphs.held_run import close_session, hand_in
from sage_spo.graphs.session import Session, open_session
from sage_spo.settings import settings as installation
from sage_spo.tasks.task import Task
from sage_spo.tests.fakes.causes import PHONE, Target, failing_for, tickets
from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

RUN = "7f0e8a52-0000-4000-8000-000000000000"
Opened = Callable[..., Awaitable[Session]]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """`opened(target, task)`: the session of a new run; called again, that of the same run, which is taken up."""
    made = False

    async def opens(target: Target | None = None, task: Task | None = None) -> Session:
        nonlocal made
        task = task or tickets()
        if made:
            await close_session(RUN, "interrupted")
        else:
            async with await RunStore.open(await asyncio.to_thread(lambda: installation().home)) as store:
                given = {"task": task.name, "in_process": True, "strategy": "sage", "certify": False}
                await store.create_run(Run(RUN, None, task.name, "sage", given))
        made = True
        hand_in(RUN, task=task, target=target or failing_for(PHONE, noise=0.0))
        session = await open_session(RUN)
        session.keep(task.seed_prompt, 0)
        return session

    yield opens
    await close_session(RUN, "interrupted")
