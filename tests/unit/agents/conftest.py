"""What the agents of this folder's tests work with: a store, and a desk before a scripted model."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from sage_spo.agents.ask import AgentDesk
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.models.agent import agent_model
from sage_spo.models.retry import RetryPolicy
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.store import RunStore

Desks = Callable[..., AgentDesk]


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunStore]:
    """One store for all tests: to open one takes longer than most of them."""
    opened = asyncio.run(RunStore.open(tmp_path_factory.mktemp("store")))
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def paid(shared_store: RunStore) -> Callable[[Budget], PaidCalls]:
    """`paid(budget)`: the paid calls of a run of its own."""

    def calls(budget: Budget) -> PaidCalls:
        return PaidCalls(str(uuid.uuid4()), shared_store, Ledger(budget), RetryPolicy(attempts=1), seed=0)

    return calls


@pytest.fixture
async def desk_at(paid: Callable[[Budget], PaidCalls]) -> AsyncIterator[Desks]:
    """`desk_at(server, calls=50)`: a desk whose model is the server's, with a budget of so many calls."""
    made: list[AgentDesk] = []

    def desk(server: FakeServer, calls: int = 50) -> AgentDesk:
        made.append(AgentDesk(agent_model("openai:fake", server.url), paid(Budget(agent_calls=calls))))
        return made[-1]

    yield desk
    for each in made:
        await each.model.aclose()
