"""Sentences of a champion that break what the prompt before it did well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sage_spo.agents.edits import Edit, edited
from sage_spo.evaluation.evaluator import Job
from sage_spo.graphs.archive import keep_left_out, may_lead, spare
from sage_spo.graphs.blame import blamed
from sage_spo.graphs.session import Session
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tests.fakes.causes import LABELS, PHONE, Target, failing_for, tickets
from sage_spo.traces.rows import Decision, Hypothesis

from .conftest import RUN, Opened

TASK = tickets()
SEED = TASK.seed_prompt
IDLE, LEARNED = "Be polite to callers.", "Weigh pears."
WANTED, GIVEN = LABELS[0], LABELS[1]
WRONG = f"Weigh plums as {GIVEN}."
HELD_BACK = {e.id for e in TASK.holdout}


def champion_with(*texts: str) -> Prompt:
    return edited(TASK, SEED, [Edit(text=text) for text in texts], "a champion")


def learned_by_heart(messages: Sequence[Message], example: Example) -> str:
    """Pears mend all phone calls of the search split, and spoil every mail of the holdout split."""
    pears, channel = "pears" in messages[0]["content"], example.metadata["channel"]
    wrong = (channel == "mail" and pears) if example.id in HELD_BACK else (channel == "phone" and not pears)
    return LABELS[(LABELS.index(example.label) + wrong) % len(LABELS)]


def wrong_answer(messages: Sequence[Message], example: Example) -> str:
    """Plums turn one answer into another."""
    return GIVEN if "plums" in messages[0]["content"] and example.label == WANTED else example.label


async def accepted(session: Session, *texts: str) -> Prompt:
    """A champion that was accepted in the first iteration, measured as the seed was."""
    champion = champion_with(*texts)
    session.keep(champion, 1)
    for prompt in (SEED, champion):
        await session.evaluator.measure(Job(prompt, TASK.search), Job(prompt, TASK.holdout, "holdout"))
    session.decide(Decision(RUN, 1, 0, champion.id, SEED.id, "accepted", "", {}))
    return champion


@pytest.mark.parametrize(("target", "culprit"), [(learned_by_heart, LEARNED), (wrong_answer, WRONG)])
async def test_the_sentence_without_which_broken_answers_come_right_is_blamed(
    opened: Opened, target: Target, culprit: str
):
    session = await opened(target)
    champion = await accepted(session, IDLE, culprit)
    [share] = await blamed(session, champion, 2)
    assert share.trial.edit.text == culprit
    assert share.idle
    assert "answers come right again" in share.harm
    keep_left_out(session, 2, [share])
    assert [edit.old for edit in spare(session, champion, 2)] == [culprit]


async def test_nothing_is_blamed_where_nothing_was_broken(opened: Opened):
    session = await opened(failing_for(PHONE, noise=0.0))
    assert await blamed(session, await accepted(session, IDLE, LEARNED), 2) == []
    assert sum(session.evaluator.calls_by_step().values()) == 2 * (len(TASK.search) + len(TASK.holdout))


async def test_nothing_is_blamed_for_what_stays_wrong_without_it_or_comes_right_without_anything(opened: Opened):
    def by_chance(messages: Sequence[Message], example: Example) -> str:
        """Some answers are wrong with exactly the two sentences, whatever these say."""
        both = len(messages[0]["content"].splitlines()) == 3
        return LABELS[(LABELS.index(example.label) + (both and example.metadata["channel"] == "mail")) % len(LABELS)]

    session = await opened(by_chance)
    assert await blamed(session, await accepted(session, IDLE, LEARNED), 2) == []


async def test_a_sentence_that_mends_more_than_it_breaks_stays(opened: Opened):
    def mends_more(messages: Sequence[Message], example: Example) -> str:
        """Pears mend phone calls everywhere, and spoil one mail in three of the holdout split."""
        pears, channel = "pears" in messages[0]["content"], example.metadata["channel"]
        spoilt = example.metadata["shade"] == "teal" and channel == "mail" and example.id in HELD_BACK
        wrong = spoilt if pears else channel == "phone"
        return LABELS[(LABELS.index(example.label) + wrong) % len(LABELS)]

    session = await opened(mends_more)
    assert await blamed(session, await accepted(session, IDLE, LEARNED), 2) == []


async def test_each_champion_is_looked_into_once(opened: Opened):
    session = await opened(wrong_answer)
    champion = await accepted(session, IDLE, WRONG)
    assert await blamed(session, SEED, 2) == []  # nobody's successor
    assert len(await blamed(session, champion, 2)) == 1
    session.suppose(_supposed(2))
    assert len(await blamed(session, champion, 2)) == 1  # the step is run again
    assert await blamed(session, champion, 3) == []


async def test_prompts_with_a_harmful_sentence_do_not_take_the_lead_back(opened: Opened):
    session = await opened(wrong_answer)
    champion = await accepted(session, IDLE, WRONG)
    keep_left_out(session, 2, await blamed(session, champion, 2))
    other, mended = champion_with(WRONG), champion_with(IDLE)
    for prompt in (other, mended):
        session.keep(prompt, 2)
    accepted_ids = [SEED.id, other.id, champion.id, mended.id]
    assert may_lead(session, accepted_ids, champion, 2) == accepted_ids
    assert may_lead(session, accepted_ids, mended, 2) == [SEED.id, mended.id]
    assert may_lead(session, [other.id, champion.id], mended, 2) == [other.id]  # what the search set out from


async def test_what_a_rejected_candidate_lacked_stays_unless_it_does_harm(opened: Opened):
    session = await opened(wrong_answer)
    champion = await accepted(session, IDLE, WRONG)
    keep_left_out(session, 2, [replace(s, harm="") for s in await blamed(session, champion, 2)])
    without = edited(TASK, champion, [Edit(operation="remove", old=WRONG)], "shorter")
    session.keep(without, 2)
    assert [edit.old for edit in spare(session, champion, 3)] == [WRONG]
    session.decide(Decision(RUN, 2, 0, without.id, champion.id, "not better", "", {}))
    assert spare(session, champion, 3) == []
    keep_left_out(session, 3, await blamed(session, champion, 2))
    assert [edit.old for edit in spare(session, champion, 3)] == [WRONG]


def _supposed(iteration: int) -> Hypothesis:
    return Hypothesis(RUN, iteration, 0, "diagnostician", "claim", "", "", "", (), "spare")
