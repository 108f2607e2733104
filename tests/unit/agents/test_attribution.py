"""Edits that are tried together and left out in turn, on a target that says which phrases mend which tickets."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from sage_spo.agents.attribution import ABOUT, FEW, PUT_BACK, RIVALS_OUT, Share, Trial, attribute
from sage_spo.agents.edits import Edit, edited
from sage_spo.errors import BudgetExceeded
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.evaluator import Evaluator, Job
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.evaluation.usefulness import REFUTED, STAYS_WRONG, TRUSTED, named
from sage_spo.seeding import generator, shuffled
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message, Prompt
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.causes import LABELS, Cause, failing_for, tickets

TASK = tickets()
SEED = TASK.seed_prompt
HELPS, SAME, IDLE, MORE = "Mind apples.", "Regard apples too.", "Be polite to callers.", "Weigh pears."
REFUND, AGAIN, OTHERS = "Apples are a refund.", "A refund: apples.", "Pears are a refund."
"""Edits that name the same answer."""
Paid = Callable[[Budget], PaidCalls]
MAIL = Cause({"channel": "mail"}, (("pears",),))


def phone(*mended_by: tuple[str, ...]) -> Cause:
    return Cause({"channel": "phone"}, mended_by)


def everything(phrase: str) -> Cause:
    """All tickets, more than are few."""
    assert len(TASK.search) > FEW
    return Cause({}, ((phrase,),))


def about(channel: str) -> frozenset[str]:
    return frozenset(e.id for e in TASK.search if e.metadata["channel"] == channel)


def trials(*texts: str, matched: frozenset[str] | None = None) -> list[Trial]:
    matched = about("phone") if matched is None else matched
    return [Trial((i, 0), Edit(text=text), matched, frozenset()) for i, text in enumerate(texts)]


def built(edits: Sequence[Edit]) -> Prompt:
    return edited(TASK, SEED, edits, "some of the edits")


async def seed_measured(paid: Paid, *causes: Cause, calls: int = 1000, noise: float = 0.06) -> Evaluator:
    """A target that fails for these causes, the seed prompt measured on all of the search split."""
    journal = paid(Budget(target_calls=calls))
    target = make_target(failing_for(*causes, noise=noise), TASK)
    evaluator = Evaluator(TASK, target, journal, cache_scope=journal.run_id)
    await evaluator.measure(Job(SEED, TASK.search))
    return evaluator


async def attributed(evaluator: Evaluator, given: Sequence[Trial], seed: int = 0) -> list[Share]:
    """What each edit is worth on what the seed prompt fails, in an order of this seed."""
    bad = {i for i, score in evaluator.scores(SEED.id, TASK.search).items() if score == 0.0}
    failing = [e for e in shuffled(TASK.search, generator(seed, "order")) if e.id in bad]
    return await attribute(evaluator, built, given, failing)


async def shares(paid: Paid, given: list[Trial], *causes: Cause, calls: int = 1000, seed: int = 0) -> dict[str, Share]:
    """What each edit is worth, by its text, to a target that fails for these causes."""
    evaluator = await seed_measured(paid, *causes, calls=calls)
    found = await attributed(evaluator, given, seed)
    assert [share.trial for share in found] == given
    return {share.trial.edit.text: share for share in found}


def earned(found: dict[str, Share]) -> set[str]:
    return {text for text, share in found.items() if share.earned}


async def test_an_edit_that_helps_earns_its_place_and_one_that_does_nothing_does_not(paid: Paid):
    found = await shares(paid, trials(IDLE, HELPS), phone(("apples",)))
    assert earned(found) == {HELPS}
    assert not found[HELPS].idle
    assert found[HELPS].lost == found[HELPS].tested > 0
    assert found[HELPS].odds > found[HELPS].trial.prior
    assert found[IDLE].odds < found[IDLE].trial.prior
    assert "fail again" in found[HELPS].words


async def test_an_edit_is_idle_only_where_enough_speaks_against_it(paid: Paid):
    given = [*trials(HELPS), *trials(IDLE)]
    doubted = Trial((2, 0), Edit(text="Smile."), about("phone"), frozenset(), prior=named(1, 12))
    found = await shares(paid, [*given, doubted], phone(("apples",)))
    assert not found[IDLE].earned
    assert not found[IDLE].idle  # four examples that stay right without it say too little
    assert found["Smile."].evidence == found[IDLE].evidence
    assert found["Smile."].idle
    assert found["Smile."].odds < REFUTED < found[IDLE].odds


@pytest.mark.parametrize("order", [(HELPS, SAME), (SAME, HELPS)])
async def test_of_two_edits_with_the_same_effect_exactly_one_stays(paid: Paid, order: tuple[str, str]):
    found = await shares(paid, trials(*order), phone(("apples",)))
    assert len(earned(found)) == 1
    [other] = set(order) - earned(found)
    assert not found[other].idle  # it is good, and not needed


async def test_two_edits_that_pay_only_together_both_stay(paid: Paid):
    found = await shares(paid, trials(HELPS, MORE, IDLE), phone(("apples", "pears")))
    assert earned(found) == {HELPS, MORE}


async def test_edits_for_other_examples_are_judged_on_those(paid: Paid):
    given = [
        Trial((0, 0), Edit(text=HELPS), about("phone"), frozenset()),
        Trial((1, 0), Edit(text=MORE), about("mail"), frozenset()),
        Trial((2, 0), Edit(text=IDLE), about("mail"), frozenset()),
    ]
    found = await shares(paid, given, phone(("apples",)), MAIL)
    assert earned(found) == {HELPS, MORE}


async def test_a_cause_behind_another_is_seen_though_neither_edit_alone_mends_anything(paid: Paid):
    pro_or_phone = Cause({"plan": "pro"}, (("pears",),))
    both = frozenset(e.id for e in TASK.search if e.metadata["channel"] == "phone" and e.metadata["plan"] == "pro")
    found = await shares(paid, trials(HELPS, MORE, matched=both), phone(("apples",)), pro_or_phone)
    assert earned(found) == {HELPS, MORE}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", [(IDLE, HELPS, SAME), (HELPS, IDLE, SAME), (HELPS, SAME, IDLE)])
async def test_an_idle_edit_does_not_take_the_place_of_two_that_say_the_same(
    paid: Paid, order: tuple[str, ...], seed: int
):
    found = await shares(paid, trials(*order), phone(("apples",)), seed=seed)
    assert len(earned(found) & {HELPS, SAME}) == 1
    assert not found[IDLE].earned


# -- edits that name the same answer -------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(REFUND, AGAIN), (AGAIN, REFUND)])
async def test_of_two_edits_that_name_the_same_answer_and_do_the_same_work_exactly_one_stays(
    paid: Paid, order: tuple[str, str]
):
    found = await shares(paid, trials(*order), phone(("pples",)))
    assert len(earned(found)) == 1
    [other] = set(order) - earned(found)
    assert found[other].stood_in
    assert not found[other].idle


async def test_two_edits_that_name_the_same_answer_and_mend_different_examples_both_stay(paid: Paid):
    given = trials(REFUND, matched=about("phone"))
    given += [Trial((1, 0), Edit(text=OTHERS), about("mail"), frozenset())]
    found = await shares(paid, given, phone(("Apples",)), Cause({"channel": "mail"}, (("Pears",),)))
    assert earned(found) == {REFUND, OTHERS}
    assert not any(share.stood_in for share in found.values())


async def test_of_rivals_the_one_that_does_nothing_does_not_stay(paid: Paid):
    found = await shares(paid, trials("Every refund is a refund.", REFUND), phone(("Apples",)))
    assert earned(found) == {REFUND}
    idle = found["Every refund is a refund."]
    assert (idle.lost, idle.tested) == (0, PUT_BACK)
    assert idle.idle


async def test_of_rivals_with_the_same_effect_the_one_that_is_more_likely_of_use_stays(paid: Paid):
    likely = Trial((1, 0), Edit(text=AGAIN), about("phone"), frozenset(), prior=-0.1)
    for given in ([*trials(REFUND), likely], [likely, *trials(REFUND)]):
        assert earned(await shares(paid, given, phone(("pples",)))) == {AGAIN}


async def test_rivals_are_left_out_together_and_put_back_alone_on_few_examples(paid: Paid):
    given = trials(REFUND, AGAIN)
    evaluator = await seed_measured(paid, everything("pples"))
    before = evaluator.calls.ledger.spent("target_calls")
    await attributed(evaluator, given)
    alone = [{r.example_id for r in evaluator.records(built([t.edit]).id)} for t in given]
    assert [len(ids) for ids in alone] == [PUT_BACK, PUT_BACK]
    assert alone[0] == alone[1]
    together = evaluator.records(built([t.edit for t in given]).id)
    assert len(together) == ABOUT <= RIVALS_OUT
    # Without both it is the seed prompt, which was measured before.
    assert evaluator.calls.ledger.spent("target_calls") - before == ABOUT + 2 * PUT_BACK


async def test_rivals_that_nobody_misses_do_not_stay(paid: Paid):
    other = Trial((2, 0), Edit(text=HELPS), about("phone"), frozenset())
    found = await shares(paid, [*trials("Every refund counts.", "Mind each refund."), other], phone(("apples",)))
    assert earned(found) == {HELPS}
    rival = found["Mind each refund."]
    assert (rival.lost, rival.tested > 0) == (0, True)
    assert rival.odds < rival.trial.prior


# -- what was known before -----------------------------------------------------------------------------------


async def test_a_trusted_edit_is_not_left_out_and_stays(paid: Paid):
    trusted = Trial((0, 0), Edit(text=IDLE), about("phone"), frozenset(), prior=TRUSTED)
    evaluator = await seed_measured(paid, phone(("apples",)))
    found = await attributed(evaluator, [trusted, *trials(HELPS)])
    assert [share.earned for share in found] == [True, True]
    assert found[0].tested == 0
    assert evaluator.records(built([Edit(text=HELPS)]).id) == []


async def test_what_is_known_before_decides_where_little_can_be_measured(paid: Paid):
    ids = sorted(about("phone"))[:1]
    given = [
        Trial((0, 0), Edit(text=HELPS), frozenset(ids), frozenset(), prior=prior)
        for prior in (named(1), math.log(0.01))
    ]
    evaluator = await seed_measured(paid, phone(("apples",)), noise=0.0)
    failing = [e for e in TASK.search if e.id in ids]
    [likely] = await attribute(evaluator, built, given[:1], failing)
    [unlikely] = await attribute(evaluator, built, given[1:], failing)
    assert likely.lost == unlikely.lost == 1
    assert (likely.earned, unlikely.earned) == (True, False)


async def test_what_was_mended_by_chance_speaks_for_no_edit(paid: Paid):
    def moody(messages: Sequence[Message], example: Example) -> str:
        """Right on the phone where the prompt minds apples, and by mail where both edits stand in this order."""
        text = messages[0]["content"]
        right = {"phone": "apples" in text, "mail": f"{IDLE}\n{HELPS}" in text}.get(example.metadata["channel"], True)
        return LABELS[(LABELS.index(example.label) + (not right)) % len(LABELS)]

    journal = paid(Budget(target_calls=1000))
    evaluator = Evaluator(TASK, make_target(moody, TASK), journal, cache_scope=journal.run_id)
    await evaluator.measure(Job(SEED, TASK.search))
    idle, helps = await attributed(evaluator, [*trials(IDLE, matched=about("mail")), *trials(HELPS)])
    assert idle.fixed == len(about("mail"))
    assert (idle.tested, idle.lost, idle.earned) == (0, 0, False)
    assert helps.lost == helps.tested > 0
    assert helps.earned


# -- where little is left to measure -------------------------------------------------------------------------


async def test_what_mends_nothing_is_said_so(paid: Paid):
    found = await shares(paid, trials(IDLE, "Smile."), phone(("apples",)))
    assert earned(found) == set()
    assert all("fixed none of" in share.words for share in found.values())
    assert all(share.evidence == pytest.approx(share.failing * STAYS_WRONG) for share in found.values())
    assert all(share.failing == len(about("phone")) for share in found.values())


async def test_an_edit_about_hardly_any_failure_is_judged_by_the_answer_that_it_names(paid: Paid):
    named_answer = "Apples are a billing matter."
    given = [
        Trial((0, 0), Edit(text=named_answer), frozenset(), frozenset()),
        Trial((1, 0), Edit(text=IDLE), frozenset(), frozenset()),
    ]
    found = await shares(paid, given, phone(("Apples",)))
    assert earned(found) == {named_answer}


async def test_what_its_writer_saw_is_measured_last(paid: Paid):
    ids = sorted(about("phone"))
    unseen = frozenset(ids[-ABOUT:])
    given = [Trial((0, 0), Edit(text=HELPS), about("phone"), about("phone") - unseen), *trials(IDLE, matched=unseen)]
    evaluator = await seed_measured(paid, everything("apples"))
    await attributed(evaluator, given)
    together = built([t.edit for t in given])
    assert {r.example_id for r in evaluator.records(together.id)} == unseen


async def test_where_there_are_few_failures_the_bundle_is_measured_on_all_that_it_is_about(paid: Paid):
    evaluator = await seed_measured(paid, phone(("apples",)))
    await attributed(evaluator, trials(HELPS))
    assert len(about("phone")) <= FEW
    assert {r.example_id for r in evaluator.records(built([Edit(text=HELPS)]).id)} == about("phone")


async def test_where_it_cannot_be_paid_that_is_raised(paid: Paid):
    with pytest.raises(BudgetExceeded):
        await shares(paid, trials(HELPS, IDLE), phone(("apples",)), calls=len(TASK.search) + 2)


async def test_where_nothing_failed_no_edit_earns_anything_and_nothing_is_asked(paid: Paid):
    evaluator = await seed_measured(paid, noise=0.0)
    before = evaluator.calls.ledger.spent("target_calls")
    found = await attributed(evaluator, trials(HELPS, IDLE, REFUND, AGAIN))
    assert not any(share.earned or share.idle for share in found)
    assert all(share.evidence == 0 for share in found)
    assert evaluator.calls.ledger.spent("target_calls") == before


async def test_examples_that_an_edit_shows_as_demos_are_not_measured_on(paid: Paid):
    ids = sorted(about("phone"))[:2]
    demos = Edit(operation="demos", text="some", demo_ids=tuple(ids))
    given = [*trials(HELPS), Trial((1, 0), demos, about("phone"), frozenset())]
    evaluator = await seed_measured(paid, phone(("apples",)))
    found = await attributed(evaluator, given)
    together = built([t.edit for t in given])
    measured = {r.example_id for r in evaluator.records(together.id)}
    assert measured
    assert measured.isdisjoint(ids)
    assert [share.earned for share in found] == [True, False]
