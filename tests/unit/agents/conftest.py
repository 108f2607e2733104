"""What the agents of this folder's tests work with: a real sandbox, a store, and a desk before a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from sage_spo.agents.ask import AgentDesk
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.models.agent import agent_model
from sage_spo.models.retry import RetryPolicy
from sage_spo.sandbox.choose import make_sandbox
from sage_spo.sandbox.protocol import Sandbox
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.store import RunStore

Desks = Callable[..., AgentDesk]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """What `--sandbox auto` gives. One for all tests: a start costs a second or more, a run some milliseconds."""
    made = make_sandbox("auto")
    assert made is not None
    yield made
    asyncio.run(made.aclose())


@pytest.fixture
async def store(home: Path) -> AsyncIterator[RunStore]:
    opened = await RunStore.open(home)
    yield opened
    await opened.close()


@pytest.fixture
async def desk_at(store: RunStore) -> AsyncIterator[Desks]:
    """`desk_at(server, calls=50)`: a desk whose model is the server's, with a budget of so many calls."""
    made: list[AgentDesk] = []

    def desk(server: FakeServer, calls: int = 50) -> AgentDesk:
        paid = PaidCalls("run", store, Ledger(Budget(agent_calls=calls)), RetryPolicy(attempts=1), seed=0)
        made.append(AgentDesk(agent_model("openai:fake", server.url), paid))
        return made[-1]

    yield desk
    for each in made:
        await each.model.aclose()
