"""A store of its own for every test, and rows to put in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sage_spo.seeding import digest
from sage_spo.traces.rows import Answer, Call, Record, Run
from sage_spo.traces.store import RunStore

RUN = "7d1b5f0e-6a55-4a36-9f2b-0d6f0b2f8c11"

Triple = tuple[Answer, Call, Record]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[RunStore]:
    store = await RunStore.open(tmp_path)
    yield store
    await store.close()


@pytest.fixture
def run_row() -> Run:
    return Run(RUN, "first", "tickets", "sage", {"seed": 3, "budget": {"usd": 2}})


@pytest.fixture
def triple() -> Callable[[int], Triple]:
    """What one target call leaves behind: the answer, the journal's line, the record."""

    def make(number: int) -> Triple:
        key = digest("call", number)
        logprobs = {"yes": -0.1 - number, "no": -2.5}
        return (
            Answer(key, f"yes {number}", 100, 1, 0.25, logprobs, "label scoring"),
            Call(RUN, key, "target", 0, 100, 1, 0.001, 1, False, False),
            Record(RUN, digest("p")[:16], f"e{number}", 0, "search", key, 1.0, "yes", "right", 101, logprobs),
        )

    return make
