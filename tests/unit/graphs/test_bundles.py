"""The champion's sentences left out: which are missed, which do harm where nobody searched, and how that is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from sage_spo.agents.attribution import Share, Trial
from sage_spo.agents.edits import Edit, edited
from sage_spo.agents.validator import Outcome
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.evaluator import Job
from sage_spo.graphs import bundles
from sage_spo.graphs.sage_candidates import judge_shorter, together
from sage_spo.graphs.session import Session
from sage_spo.graphs.state import RunState
from sage_spo.seeding import generator
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tests.fakes.causes import LABELS, Cause, Target, failing_for, tickets

from .conftest import Opened

TASK = tickets()
SEED = TASK.seed_prompt
HELPS, IDLE, LEARNED = "Mind apples.", "Be polite to callers.", "Weigh pears."
NAMES_ONE = "Weigh pears, for a refund."
PHONE = Cause({"channel": "phone"}, (("apples",),))
MAIL = Cause({"channel": "mail"}, (("pears",),))
HELD_BACK = {e.id for e in TASK.holdout}


def champion_with(*texts: str) -> Prompt:
    return edited(TASK, SEED, [Edit(text=text) for text in texts], "a champion")


def trials(*texts: str) -> list[Trial]:
    about = frozenset(e.id for e in TASK.search)
    return [Trial((i, 0), Edit(text=text), about, frozenset()) for i, text in enumerate(texts)]


def learned_by_heart(messages: Sequence[Message], example: Example) -> str:
    """Pears mend mails of the search split, and spoil every chat of the holdout split."""
    spoilt = example.id in HELD_BACK and example.metadata["channel"] == "chat" and "pears" in messages[0]["content"]
    if spoilt:
        return LABELS[(LABELS.index(example.label) + 1) % len(LABELS)]
    return failing_for(PHONE, MAIL, noise=0.0)(messages, example)


async def missed(session: Session, *texts: str, held_back: bool = True) -> dict[str, Share]:
    """What the sentences of a champion are worth that was measured on the holdout split, and the seed on the search
    split."""
    champion = champion_with(*texts)
    await session.evaluator.measure(Job(SEED, TASK.search))
    if held_back:
        await session.evaluator.measure(Job(champion, TASK.holdout, "holdout"))
    found = await bundles.missed(session, champion, SEED, trials(*texts), generator(0, "missed"), 2)
    assert found is not None
    return {share.trial.edit.text: share for share in found}


async def test_a_sentence_is_missed_where_failures_of_the_start_come_back_without_it(opened: Opened):
    session = await opened(failing_for(PHONE, noise=0.0))
    found = await missed(session, HELPS, IDLE)
    assert found[HELPS].earned
    assert found[HELPS].lost == found[HELPS].tested > 0
    assert not found[IDLE].earned
    assert found[IDLE].lost == 0 < found[IDLE].tested


async def test_a_sentence_that_does_harm_on_the_holdout_split_is_not_kept_though_it_is_missed(opened: Opened):
    session = await opened(learned_by_heart)
    found = await missed(session, HELPS, LEARNED)
    assert found[LEARNED].lost > 0
    assert found[LEARNED].odds > 0  # on what the search looks at it pays
    assert "held-back failures come right" in found[LEARNED].harm
    assert not found[LEARNED].earned
    assert found[LEARNED].idle
    assert found[HELPS].earned
    assert found[HELPS].harm == ""


async def test_a_sentence_does_no_harm_where_what_fails_stays_wrong_without_it(opened: Opened):
    session = await opened(failing_for(PHONE, MAIL, Cause({"channel": "chat"}), noise=0.0))
    found = await missed(session, HELPS, LEARNED)
    assert all(share.earned and not share.harm for share in found.values())


@pytest.mark.parametrize(("texts", "held_back"), [((HELPS, NAMES_ONE), True), ((HELPS, LEARNED), False)])
async def test_harm_is_looked_for_in_what_concerns_every_answer_and_was_measured_there(
    opened: Opened, texts: tuple[str, ...], held_back: bool
):
    session = await opened(learned_by_heart)
    found = await missed(session, *texts, held_back=held_back)
    assert all(share.earned for share in found.values())


async def test_what_was_looked_at_on_the_holdout_split_stays_out_of_diagnosis(opened: Opened):
    session = await opened(learned_by_heart)
    await missed(session, HELPS, LEARNED)
    shorter = together(session, champion_with(HELPS, LEARNED), (), [Edit(operation="remove", old=LEARNED)])
    looked_at = session.evaluator.records(shorter.id)
    assert {r.example_id for r in looked_at} & HELD_BACK
    assert not {r.example_id for r in session.evaluator.records(shorter.id, "search")} & HELD_BACK


# -- the candidate without them ------------------------------------------------------------------------------

LARGE = tickets((96, 90, 20))


async def judged(opened: Opened, target: Target, *, before: Prompt | None = None) -> tuple[Session, Prompt, Outcome]:
    """The outcome for a champion without its last sentence, beside another candidate that was judged before."""
    session = await opened(target, LARGE)
    champion = champion_with(HELPS, IDLE)
    other = edited(LARGE, champion, [Edit(text="Smile.")], "another")
    shorter = together(session, champion, (), [Edit(operation="remove", old=IDLE)])
    for prompt in (champion, other, shorter):
        session.keep(prompt, 1)
    state: dict[str, Any] = {
        **{"run_id": session.run.id, "iteration": 1, "step": 0, "champion": champion.id, "flip_rate": 0.0},
        **{"candidates": [other.id, shorter.id], "proposed": 2},
    }
    outcome = await judge_shorter(session, cast(RunState, state), shorter.id, Outcome(before or champion, []))
    return session, shorter, outcome


async def test_a_shorter_prompt_that_is_as_good_takes_the_lead_and_alone_is_judged(opened: Opened):
    _, shorter, outcome = await judged(opened, failing_for(PHONE))
    assert [(v.prompt_id, v.outcome) for v in outcome.verdicts] == [(shorter.id, "accepted")]
    assert outcome.champion == shorter


async def test_it_races_on_held_back_examples_that_no_diagnosis_sees(opened: Opened):
    session, shorter, _ = await judged(opened, failing_for(PHONE))
    held_back = {e.id for e in LARGE.holdout}
    champion = champion_with(HELPS, IDLE)
    for prompt in (shorter, champion):
        assert {r.example_id for r in session.evaluator.records(prompt.id)} <= held_back
        assert session.evaluator.records(prompt.id, "search") == []
    raced = {r.example_id for r in session.evaluator.records(shorter.id)}
    assert raced & {e.id for e in LARGE.holdout[session.rules.holdout :]}


async def test_a_shorter_prompt_that_is_worse_does_not_take_the_lead(opened: Opened):
    _, shorter, outcome = await judged(opened, failing_for(PHONE, Cause({"plan": "pro"}, (("callers",),))))
    assert [(v.prompt_id, v.accepted) for v in outcome.verdicts] == [(shorter.id, False)]
    assert outcome.champion == champion_with(HELPS, IDLE)


async def test_it_waits_where_another_candidate_was_accepted(opened: Opened):
    session, shorter, outcome = await judged(opened, failing_for(PHONE), before=SEED)
    assert [(v.prompt_id, v.outcome) for v in outcome.verdicts] == [(shorter.id, "second best")]
    assert outcome.champion == SEED
    assert session.evaluator.records(shorter.id) == []


# -- what the budget leaves for a diagnosis ------------------------------------------------------------------


@pytest.mark.parametrize(("beyond", "expected"), [(96, 96), (95, 88), (80, 80), (79, 0)])
async def test_a_diagnosis_looks_at_as_many_examples_as_leave_room_for_edits_and_their_race(
    opened: Opened, beyond: int, expected: int
):
    session = await opened(failing_for(PHONE), LARGE)
    after = 2 * session.rules.block + session.rules.holdout + bundles.FEW_EDITS * bundles.COSTS
    session.ledger.budget = Budget(target_calls=beyond + after)
    assert len(bundles.affordable(session, SEED, LARGE.search)) == expected
    await session.evaluator.measure(Job(SEED, LARGE.search[:40]))
    assert len(bundles.affordable(session, SEED, LARGE.search)) == expected  # what is known is free


async def test_a_small_task_is_looked_at_whole(opened: Opened):
    session = await opened(failing_for(PHONE))
    assert len(bundles.affordable(session, SEED, TASK.search[:20])) == 20
