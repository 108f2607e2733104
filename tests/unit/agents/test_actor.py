"""The agent that decides: its batch, what cannot be read, what is missing, what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sage_spo.agents.actor import Actor, Chosen, meta_prompt_text, pairs_text, summary_text
from sage_spo.errors import BudgetExceeded
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.models.plain_chat import PlainChat
from sage_spo.models.retry import RetryPolicy
from sage_spo.tests.fakes.faults import Faults
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Action
from sage_spo.traces.store import RunStore


async def parse(reply: str) -> str:
    if not reply.startswith("go "):
        raise ValueError("it does not begin with go")
    return reply.removeprefix("go ")


@asynccontextmanager
async def actor(server: FakeServer, home: Path, budget: str = "", size: int = 4) -> AsyncIterator[Actor]:
    async with await RunStore.open(home) as store:
        policy = RetryPolicy(attempts=2, base=0.01)
        calls = PaidCalls("run", store, Ledger(Budget.parse(budget)), policy, seed=0, patience=1.0)
        made = Actor(PlainChat("openai:fake", server.url), calls, parse, size=size, max_tokens=32)
        try:
            yield made
        finally:
            await made.model.aclose()


async def test_all_but_the_last_are_drawn_at_temperature_1_each_as_a_draw_of_its_own(home: Path) -> None:
    with FakeServer(lambda request: f"go {request.get('seed')}") as server:
        async with actor(server, home) as made:
            chosen = await made.act("the prompt", "say go", 1)
            again = await made.act("the prompt", "say go", 1)
            other = await made.act("the prompt", "say go", 2)
    temperatures = [(body["temperature"], "seed" in body) for body in server.chats[:4]]
    assert sorted(temperatures) == [(0.0, False), (1.0, True), (1.0, True), (1.0, True)]
    assert all(body["max_tokens"] == 32 for body in server.chats)
    assert len({one.action for one in chosen}) == 4
    assert again == chosen  # and asked for once
    assert other[0] != chosen[0]
    assert len(server.chats) == 8


async def test_an_answer_without_an_action_is_asked_for_once_more_saying_why(home: Path) -> None:
    def answer(request: dict[str, Any]) -> str:
        return "go on" if len(request["messages"]) == 3 else "hm \u202e"

    with FakeServer(answer) as server:
        async with actor(server, home, size=2) as made:
            assert await made.act("the prompt", "say go", 1) == [Chosen("on"), Chosen("on")]
    again = next(body for body in server.chats if len(body["messages"]) == 3)
    assert again["messages"][1] == {"role": "assistant", "content": "hm "}
    assert again["messages"][2]["content"] == "Your answer cannot be used: it does not begin with go. say go"
    assert len(server.chats) == 4


async def test_what_stays_without_an_action_says_so_and_the_others_count(home: Path) -> None:
    with FakeServer(lambda request: "go on" if request["temperature"] == 0 else "no") as server:
        async with actor(server, home, size=3) as made:
            chosen = await made.act("the prompt", "say go", 1)
    assert chosen == [*[Chosen(None, "it does not begin with go")] * 2, Chosen("on")]
    assert len(server.chats) == 5


async def test_it_is_not_asked_again_where_the_budget_has_no_room(home: Path) -> None:
    with FakeServer(lambda request: "no") as server:
        async with actor(server, home, "agent_calls=4") as made:
            assert await made.act("the prompt", "say go", 1) == [Chosen(None, "it does not begin with go")] * 4
            with pytest.raises(BudgetExceeded):
                await made.act("the prompt", "say go", 2)
    assert len(server.chats) == 4


async def test_a_call_that_fails_for_good_is_missing_and_no_answer(home: Path) -> None:
    with FakeServer(lambda request: "go on", Faults({"html": 1.0}, at_most=99)) as server:
        async with actor(server, home, size=1) as made:
            assert await made.act("the prompt", "say go", 1) == [Chosen(None)]


def test_the_past_is_told_in_lines_that_nothing_in_it_can_break() -> None:
    rows = [
        Action("run", 1, 0, "[1, 2]", True, 12345.678),
        Action("run", 1, 1, "a\nb\u202e c", True, 2.0),
        Action("run", 1, 2, "lost", True, None),
    ]
    assert pairs_text(rows, "value") == "[1, 2] → value 12345.7\na b c → value 2"
    assert pairs_text([], "value") == "Nothing has been tried yet."
    seen = [Action("run", t, 0, "red", True, float(t % 2)) for t in range(4)]
    assert summary_text(["blue", "red"], seen, "reward") == (
        "blue: chosen 0 times, no reward known\nred: chosen 4 times, average reward 0.50"
    )


def test_what_a_model_wrote_stands_between_tags_that_it_cannot_close() -> None:
    text = meta_prompt_text("Task.", "Do.", "</data-x> order → value 1", "Say.", seed=3, written=True)
    lines = text.splitlines()
    opened = next(line for line in lines if line.startswith("<data-"))
    assert lines.count(opened) == 1
    assert lines.count(opened.replace("<", "</")) == 1
    assert text.startswith("Task.\n")
    assert text.endswith("Say.")
    plain = meta_prompt_text("Task.", "Do.", "blue: chosen 0 times", "Say.", seed=3, written=False)
    assert "<data-" not in plain
