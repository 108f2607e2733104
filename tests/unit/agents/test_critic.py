"""The critic: what it weeds by computation, and how far it believes a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sage_spo.agents.ask import AgentDesk
from sage_spo.agents.critic import GROWTH, ROOM, flaw, review, weed
from sage_spo.agents.edits import Edit
from sage_spo.agents.leaks import Copies
from sage_spo.agents.operators import demo_of
from sage_spo.agents.proposer import Direction, Proposed
from sage_spo.tests.fakes.agent import ScriptedAgent, form_of, text_of
from sage_spo.tests.fakes.causes import FIX, tickets
from sage_spo.tests.fakes.server import FakeServer

TASK = tickets(seed_prompt="Sort the ticket into one of: {labels}.\nNever guess.", locked=("Never guess.",))
SEED = TASK.seed_prompt
COPIES = Copies(e.input for e in TASK.search)
GOOD = SEED.edited(text=f"{SEED.system}\n{FIX}", origin="1 edit for 1 direction", shown=("e1",))
REJECT = {"problems": ["It contradicts itself."], "verdict": "reject", "repaired": ""}

Desks = Callable[..., AgentDesk]


def proposed(*edits: Edit, index: int = 0) -> Proposed:
    return Proposed(Direction(index, f"claim {index}", "", "", None, frozenset()), "cause", edits, ())


def say(text: str) -> Edit:
    return Edit(text=text)


# -- edits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (say(""), "adds nothing"),
        (say("long " * 1000), "longer than"),
        (say("Sort the tickets into: {labels}"), "already"),
        (say(f"For example: {TASK.search[5].input}"), "copies a search example"),
        (say("Heed the polite greeting."), "tried before"),
        (Edit(operation="remove", old="Not there."), "not there"),
        (Edit(operation="replace", old="Never guess.", text="Never guess."), "nothing"),
        (Edit(operation="demos", text="no such label"), "no worked example"),
    ],
)
def test_an_edit_of_no_use_is_dropped_with_the_reason_and_costs_no_other(edit: Edit, reason: str):
    weeded = weed(TASK, SEED, [proposed(edit, say(FIX))], ["Polite greetings: heed them"], COPIES)
    assert [one.edits for one in weeded.proposals] == [(say(FIX),)]
    [(_, dropped, why)] = weeded.dropped
    assert dropped == edit
    assert reason in why


def test_what_two_edits_say_is_said_once_by_the_first():
    one, two = proposed(say("Damaged parcels are refund.")), proposed(say("A damaged parcel: refund."), index=1)
    weeded = weed(TASK, SEED, [one, two], (), COPIES)
    assert weeded.proposals == (one,)
    assert [(p.direction.index, why) for p, _, why in weeded.dropped] == [(1, "says what another edit says")]


def test_edits_that_differ_in_the_answer_alone_are_not_the_same():
    edits = (say("Damaged parcels are refund."), say("Damaged parcels are billing."))
    assert weed(TASK, SEED, [proposed(*edits)], (), COPIES).proposals[0].edits == edits


def test_nothing_is_lost_between_kept_and_dropped():
    given = [proposed(say(FIX), say(FIX), say(""), index=i) for i in range(3)]
    weeded = weed(TASK, SEED, given, (), COPIES)
    assert sum(len(p.edits) for p in weeded.proposals) == 1
    assert len(weeded.dropped) == 8
    assert weed(TASK, SEED, [], (), COPIES).proposals == ()


def test_worked_examples_are_shown_by_one_edit_alone_and_are_no_copies():
    demos = Edit(operation="demos", text="refund", demo_ids=("e1",))
    weeded = weed(TASK, SEED, [proposed(demos), proposed(demos, index=1)], (), COPIES)
    assert [one.direction.index for one in weeded.proposals] == [0]
    assert "another edit" in weeded.dropped[0][2]


# -- candidates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        (f"{SEED.system} " + "word " * (GROWTH * len(SEED.system) + ROOM), "is too long"),
        ("Sort the ticket. Never guess.", "placeholder {labels} is missing"),
        ("Sort the ticket into one of: {labels}.", "locked text"),
        (f"{SEED.system}\nSay: {TASK.search[7].input}", "copies a search example"),
    ],
)
def test_a_flawed_candidate_is_told_by_its_flaw_and_no_model_is_asked(text: str, reason: str):
    assert reason in flaw(TASK, SEED, SEED.edited(text=text, origin="flawed"), COPIES)


def test_a_sound_candidate_has_no_flaw_whatever_its_demos_show():
    assert flaw(TASK, SEED, GOOD, COPIES) == ""
    shown = SEED.edited(demos=[demo_of(e) for e in TASK.search[:4]], origin="demos")
    assert flaw(TASK, SEED, shown, COPIES) == ""


# -- the model's review --------------------------------------------------------------------------------------


OTHER = "Quote nothing that the customer did not say."
DIRECTION = Direction(0, "claim", "", "", None, frozenset())
BUNDLE = (Proposed(DIRECTION, "", (Edit(text=FIX), Edit(text=OTHER)), ("e1",)),)


def texts(proposals: Sequence[Proposed]) -> list[str]:
    return [edit.text for one in proposals for edit in one.edits]


async def reviewed(desk_at: Desks, says: Any, calls: int = 50) -> tuple[list[str], str, list[dict[str, Any]]]:
    with FakeServer(ScriptedAgent({"Critique": says})) as server:
        desk = desk_at(server, calls)
        passed, reason = await review(TASK, SEED, BUNDLE, desk, COPIES, iteration=1, tried=["Mind the tone."])
        return texts(passed), reason, server.chats


async def test_what_it_accepts_passes(desk_at: Desks):
    passed, reason, requests = await reviewed(desk_at, {"problems": ["A little long."], "verdict": "accept"})
    assert (passed, reason) == ([FIX, OTHER], "")
    assert [form_of(r) for r in requests] == ["Critique"]
    assert all(text in text_of(requests[0]) for text in (SEED.system, FIX, OTHER, "claim", "- Mind the tone."))


async def test_what_it_rejects_twice_is_out_with_its_reason(desk_at: Desks):
    passed, reason, requests = await reviewed(desk_at, REJECT)
    assert passed == []
    assert "It contradicts itself." in reason
    assert len(requests) == 2


async def test_one_rejection_is_not_enough(desk_at: Desks):
    votes: list[str] = []

    def says(text: str) -> dict[str, Any]:
        votes.append(text)
        return REJECT if len(votes) == 1 else {"verdict": "accept"}

    passed, _, requests = await reviewed(desk_at, says)
    assert passed == [FIX, OTHER]
    assert len(requests) == 2


async def test_of_a_repaired_bundle_the_edits_stay_that_still_stand_in_it(desk_at: Desks):
    passed, reason, requests = await reviewed(desk_at, {**REJECT, "repaired": f"{SEED.system}\n{OTHER}"})
    assert passed == [OTHER]
    assert "It contradicts itself." in reason
    assert len(requests) == 1


@pytest.mark.parametrize("repaired", ["", "  ", SEED.system, f"{SEED.system}\n{FIX}\n{OTHER}", "Something else."])
async def test_a_repair_that_repairs_nothing_is_a_vote_against_all(desk_at: Desks, repaired: str):
    passed, reason, requests = await reviewed(desk_at, {**REJECT, "repaired": repaired})
    assert passed == []
    assert "rejected by the critic" in reason
    assert len(requests) == 2


@pytest.mark.parametrize("says", ["", "No opinion.", '{"verdict": "maybe"}', "{}", '{"hypotheses": []}'])
async def test_a_critic_that_gives_no_answer_stops_nothing(desk_at: Desks, says: str):
    passed, reason, _ = await reviewed(desk_at, says)
    assert (passed, reason) == ([FIX, OTHER], "")


async def test_without_a_call_left_nothing_is_stopped(desk_at: Desks):
    passed, _, _ = await reviewed(desk_at, "not JSON", calls=1)
    assert passed == [FIX, OTHER]


async def test_without_a_model_what_has_no_flaw_passes():
    passed, reason = await review(TASK, SEED, BUNDLE, None, COPIES, iteration=1, tried=())
    assert (texts(passed), reason) == ([FIX, OTHER], "")
