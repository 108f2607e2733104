"""Rephrasing into distinct arms: what is dropped, what is asked again, and what a short domain says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sage_spo import UsageError, rephrase
from sage_spo.agents.ask import AgentDesk
from sage_spo.agents.domain import LONGEST, MANNERS, playbook_versions, rephrased
from sage_spo.tests.fakes.server import FakeServer

TEXT = "Choose the next action from {history}. Explore."
Desks = Callable[..., AgentDesk]


def says(reply: Callable[[int], str]) -> Callable[[dict[str, Any]], str]:
    """A model whose n-th request (counted from 0) gets `reply(n)`."""
    seen: list[str] = []

    def answer(request: dict[str, Any]) -> str:
        seen.append(request["messages"][-1]["content"])
        return json.dumps({"text": reply(len(seen) - 1)})

    return answer


async def test_as_many_versions_as_asked_for_the_original_first(desk_at: Desks) -> None:
    with FakeServer(says(lambda n: f"Version {n} of {{history}}.")) as server:
        domain = await rephrased(TEXT, 6, "instruction", desk_at(server))
        requests = [entry.body for entry in server.log]
    assert domain.texts[0] == TEXT
    assert set(domain.texts[1:]) == {f"Version {n} of {{history}}." for n in range(6)}
    assert (domain.missing, domain.duplicates, domain.unusable) == (0, 0, 0)
    assert {request["temperature"] for request in requests} == {1.3}
    assert all("{history}" in request["messages"][-1]["content"] for request in requests)


async def test_duplicates_and_unusable_replies_are_replaced_as_long_as_it_is_worth_it(desk_at: Desks) -> None:
    replies = [
        "Same {history}.",
        "same   {HISTORY}.".replace("HISTORY", "history"),  # but for case and spaces
        TEXT,  # the original
        "lost its placeholder",
        "",
        "x" * 5000 + "{history}",
    ]
    with FakeServer(says(lambda n: replies[n] if n < len(replies) else f"Fresh {n} {{history}}")) as server:
        domain = await rephrased(TEXT, 8, "instruction", desk_at(server))
    assert len(domain.texts) == 1 + 7  # 12 questions at most, of which 5 were of no use
    assert (domain.missing, domain.duplicates, domain.unusable) == (1, 2, 3)
    assert "7 of 8 rephrasings of the instruction: goes on with 8 arms" in domain.words("instruction")


async def test_a_model_that_says_one_thing_gives_two_arms(desk_at: Desks) -> None:
    with FakeServer(says(lambda n: "Always this, {history}.")) as server:
        domain = await rephrased(TEXT, 4, "description", desk_at(server))
        assert len(server.log) == 6
    assert domain.texts == (TEXT, "Always this, {history}.")
    assert domain.words("description") == (
        "1 of 4 rephrasings of the task description: goes on with 2 arms (5 duplicates and 0 unusable replies dropped)"
    )


async def test_a_spent_budget_ends_it_with_what_there_is(desk_at: Desks) -> None:
    with FakeServer(says(lambda n: f"Version {n} of {{history}}.")) as server:
        domain = await rephrased(TEXT, 10, "instruction", desk_at(server, calls=3))
    assert len(domain.texts) == 4
    assert domain.spent
    assert "budget spent" in domain.words("instruction")


async def test_asked_again_in_the_same_run_it_costs_nothing(desk_at: Desks) -> None:
    with FakeServer(says(lambda n: f"Version {n} of {{history}}.")) as server:
        desk = desk_at(server)
        first = await rephrased(TEXT, 3, "instruction", desk)
        assert await rephrased(TEXT, 3, "instruction", desk) == first
        assert len(server.log) == 3


def test_the_playbook_has_manners_and_orders() -> None:
    text = "Look at the past. Choose one."
    domain = playbook_versions(text, 2 * len(MANNERS) - 1, "instruction", seed=0)
    assert domain.texts[0] == text
    assert f"{text} {MANNERS[1]}" in domain.texts
    assert f"Choose one. Look at the past. {MANNERS[1]}" in domain.texts
    assert len(set(domain.texts)) == 2 * len(MANNERS)
    assert playbook_versions("Only one.", 5, "description", seed=0).missing == 5


def test_rephrase_in_python(caplog: pytest.LogCaptureFixture) -> None:
    assert rephrase("Only one.", 3, part="description") == ("Only one.",)
    assert "0 of 3 rephrasings of the task description" in caplog.text
    with FakeServer(says(lambda n: f"Version {n}")) as server:
        found = rephrase("Choose.", 3, agent="openai:fake", base_url=server.url)
    assert found[0] == "Choose."
    assert set(found[1:]) == {"Version 0", "Version 1", "Version 2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "  "}, "the instruction is empty"),
        ({"text": "x" * (LONGEST + 1)}, "at most 8,000"),
        ({"text": "a", "count": 0}, "count must be at least 1"),
        ({"text": "a", "part": "other"}, "part is 'description' or 'instruction'"),
    ],
)
def test_what_cannot_be_rephrased(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rephrase(**arguments)
