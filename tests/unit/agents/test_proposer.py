"""The proposer before a scripted model: what it is shown, and what becomes of whatever it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sage_spo.agents.ask import AgentDesk
from sage_spo.agents.critic import weed
from sage_spo.agents.edits import edited
from sage_spo.agents.leaks import Copies
from sage_spo.agents.proposer import Direction, Proposed, propose
from sage_spo.evaluation.hypotheses import Support
from sage_spo.tests.fakes.agent import ScriptedAgent, edit, text_of
from sage_spo.tests.fakes.causes import FIX, PHONE, failing_for, records_of, tickets, workspace_of
from sage_spo.tests.fakes.server import FakeServer

TASK = tickets(seed_prompt="Sort the ticket into one of: {labels}.\nNever guess.", locked=("Never guess.",))
SEED = TASK.seed_prompt
RECORDS = records_of(TASK, failing_for(PHONE))
WORKSPACE = workspace_of(TASK, RECORDS, None)
PREDICATE = 'records["channel"].eq("phone")'
MATCHED = frozenset(e.id for e in TASK.search if e.metadata["channel"] == "phone")
SUPPORT = Support(37, 37, 59, 4)
DIRECTION = Direction(2, "Phone tickets fail.", PREDICATE, "", SUPPORT, MATCHED, "F9: inside_expected")
COPIES = Copies(e.input for e in TASK.search)

Desks = Callable[..., AgentDesk]


async def asked(
    desk_at: Desks, says: Any, direction: Direction = DIRECTION, calls: int = 50, **more: Any
) -> tuple[Proposed, list[dict[str, Any]]]:
    options: dict[str, Any] = {"iteration": 1, "most": 2, "tried": (), "unseen": frozenset(), **more}
    with FakeServer(ScriptedAgent({"Proposal": says})) as server:
        desk = desk_at(server, calls)
        found = await propose(WORKSPACE, direction, desk, np.random.default_rng(0), **options)
        return found, server.chats


async def test_an_edit_is_proposed_with_its_cause_and_who_was_shown(desk_at: Desks):
    found, requests = await asked(desk_at, edit(FIX))
    assert [e.text for e in found.edits] == [FIX]
    assert (found.cause, found.direction) == ("as counted", DIRECTION)
    assert {e.id for e in TASK.search if e.input in text_of(requests[0])} == set(found.shown)
    assert found.shown


async def test_it_is_shown_failures_that_the_direction_is_about_of_the_diagnosis_half(desk_at: Desks):
    found, _ = await asked(desk_at, edit(FIX))
    assert set(found.shown) <= MATCHED & {r.example_id for r in WORKSPACE.failures()}


async def test_none_that_the_candidate_will_be_screened_on_is_shown(desk_at: Desks):
    unseen = frozenset(sorted(MATCHED)[::2])
    found, requests = await asked(desk_at, edit(FIX), unseen=unseen)
    assert not unseen & set(found.shown)
    assert not any(TASK.example(i).input in text_of(requests[0]) for i in unseen)


async def test_it_is_told_counts_rules_and_what_was_tried(desk_at: Desks):
    _, requests = await asked(desk_at, edit(FIX), tried=["Mind the tone."])
    text = text_of(requests[0])
    assert f"predicate: {PREDICATE}; {SUPPORT.words}" in text
    assert "F9: inside_expected" in text
    assert "{labels}" in text
    assert re.search(r"Keep this text word for word:\n<(data-\w+)>\nNever guess\.\n</\1>", text)
    assert "- Mind the tone." in text


async def test_without_counts_it_is_told_none(desk_at: Desks):
    _, requests = await asked(desk_at, edit(FIX), Direction(0, "Tickets fail.", "", "", None, frozenset()))
    assert "predicate" not in text_of(requests[0])
    assert "matched n=" not in text_of(requests[0])


async def test_no_more_edits_are_taken_than_asked_for(desk_at: Desks):
    many = {"edits": [{"text": f"Rule {i}."} for i in range(30)]}
    found, _ = await asked(desk_at, many, most=2)
    assert [e.text for e in found.edits] == ["Rule 0.", "Rule 1."]


@pytest.mark.parametrize(
    "says",
    [
        "",
        "No.",
        json.dumps({"edits": []}),
        json.dumps({"edits": "none"}),
        json.dumps({"edits": [{"operation": "burn", "text": "it"}]}),
        json.dumps({"hypotheses": []}),
        "[" * 10_000,
    ],
    ids=lambda says: says[:30],
)
async def test_a_reply_of_no_use_gives_no_edit_and_says_whom_it_was_about(desk_at: Desks, says: str):
    found, _ = await asked(desk_at, says)
    assert found.edits == ()
    assert found.direction == DIRECTION
    assert found.shown


async def test_without_a_call_left_there_is_no_edit(desk_at: Desks):
    desk_calls = 1
    with FakeServer(ScriptedAgent({"Proposal": "not JSON"})) as server:
        desk = desk_at(server, desk_calls)
        found = await propose(
            WORKSPACE, DIRECTION, desk, np.random.default_rng(0), iteration=1, most=1, tried=(), unseen=frozenset()
        )
    assert found.edits == ()


@pytest.mark.parametrize(
    "proposal",
    [
        edit("", SEED.system, "remove"),
        edit("Name the queue.", "Sort the ticket into one of: {labels}.", "replace"),
        edit("", "Never guess.", "remove"),
        edit("Guess well.", "Never guess.", "replace"),
        edit("Answer billing or refund.", "Sort the ticket into one of: {labels}.", "replace"),
    ],
)
async def test_what_it_drops_that_must_stay_is_put_back_or_the_edit_is_dropped_with_the_reason(
    desk_at: Desks, proposal: dict[str, Any]
):
    found, _ = await asked(desk_at, proposal)
    weeded = weed(TASK, SEED, [found], (), COPIES)
    made = edited(TASK, SEED, [e for one in weeded.proposals for e in one.edits], "edits")
    assert TASK.violations(made) == []
    assert all(label in made.messages(TASK.search[0], TASK.labels)[0]["content"] for label in TASK.labels)
    kept = sum(len(one.edits) for one in weeded.proposals)
    assert kept + len(weeded.dropped) == 1
    assert all(reason for _, _, reason in weeded.dropped)
