"""Edits that are tried together and left out in turn, on a target that says which phrases mend which tickets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sage_spo.agents.attribution import ABOUT, Share, Trial, attribute
from sage_spo.agents.edits import Edit, edited
from sage_spo.errors import BudgetExceeded
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.evaluator import Evaluator, Job
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.seeding import generator
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.causes import Cause, failing_for, tickets

TASK = tickets()
SEED = TASK.seed_prompt
HELPS, SAME, IDLE, MORE = "Mind apples.", "Regard apples too.", "Be polite to callers.", "Weigh pears."
Paid = Callable[[Budget], PaidCalls]
MAIL = Cause({"channel": "mail"}, (("pears",),))


def phone(*mended_by: tuple[str, ...]) -> Cause:
    return Cause({"channel": "phone"}, mended_by)


def about(channel: str) -> frozenset[str]:
    return frozenset(e.id for e in TASK.search if e.metadata["channel"] == channel)


def trials(*texts: str, matched: frozenset[str] | None = None) -> list[Trial]:
    matched = about("phone") if matched is None else matched
    return [Trial((i, 0), Edit(text=text), matched, frozenset()) for i, text in enumerate(texts)]


async def seed_measured(paid: Paid, *causes: Cause, calls: int = 1000, noise: float = 0.06) -> Evaluator:
    """A target that fails for these causes, the seed prompt measured on all of the search split."""
    journal = paid(Budget(target_calls=calls))
    target = make_target(failing_for(*causes, noise=noise), TASK)
    evaluator = Evaluator(TASK, target, journal, cache_scope=journal.run_id)
    await evaluator.measure(Job(SEED, TASK.search))
    return evaluator


async def shares(paid: Paid, given: list[Trial], *causes: Cause, calls: int = 1000, seed: int = 0) -> dict[str, Share]:
    """What each edit is worth, by its text, to a target that fails for these causes."""
    evaluator = await seed_measured(paid, *causes, calls=calls)
    found = await attribute(evaluator, SEED, given, TASK.search, generator(seed, "attribution"))
    assert [share.trial for share in found] == given
    return {share.trial.edit.text: share for share in found}


def earned(found: dict[str, Share]) -> set[str]:
    return {text for text, share in found.items() if share.earned}


async def test_an_edit_that_helps_earns_its_place_and_one_that_does_nothing_does_not(paid: Paid):
    found = await shares(paid, trials(IDLE, HELPS), phone(("apples",)))
    assert earned(found) == {HELPS}
    assert found[IDLE].idle
    assert not found[HELPS].idle
    assert found[HELPS].lost == found[HELPS].tested > 0
    assert "fail again" in found[HELPS].words


@pytest.mark.parametrize("order", [(HELPS, SAME), (SAME, HELPS)])
async def test_of_two_edits_with_the_same_effect_exactly_one_stays(paid: Paid, order: tuple[str, str]):
    found = await shares(paid, trials(*order), phone(("apples",)))
    assert len(earned(found)) == 1


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
    assert earned(found) & {HELPS, SAME}


async def test_what_mends_nothing_is_said_so(paid: Paid):
    found = await shares(paid, trials(IDLE, "Smile."), phone(("apples",)))
    assert earned(found) == set()
    assert all("fixed none of" in share.words for share in found.values())


async def test_an_edit_about_hardly_any_failure_is_judged_by_the_answer_that_it_names(paid: Paid):
    named = "Apples are a billing matter."
    given = [
        Trial((0, 0), Edit(text=named), frozenset(), frozenset()),
        Trial((1, 0), Edit(text=IDLE), frozenset(), frozenset()),
    ]
    found = await shares(paid, given, phone(("Apples",)))
    assert earned(found) == {named}


async def test_what_its_writer_saw_is_measured_last(paid: Paid):
    ids = sorted(about("phone"))
    unseen = frozenset(ids[-ABOUT:])
    given = [Trial((0, 0), Edit(text=HELPS), about("phone"), about("phone") - unseen), *trials(IDLE, matched=unseen)]
    evaluator = await seed_measured(paid, phone(("apples",)))
    await attribute(evaluator, SEED, given, TASK.search, generator(0, "attribution"))
    together = edited(TASK, SEED, [t.edit for t in given], "all")
    assert {r.example_id for r in evaluator.records(together.id)} == unseen


async def test_where_it_cannot_be_paid_that_is_raised(paid: Paid):
    with pytest.raises(BudgetExceeded):
        await shares(paid, trials(HELPS, IDLE), phone(("apples",)), calls=len(TASK.search) + 2)


async def test_where_nothing_failed_no_edit_earns_anything_and_nothing_is_asked(paid: Paid):
    evaluator = await seed_measured(paid, noise=0.0)
    before = evaluator.calls.ledger.spent("target_calls")
    found = await attribute(evaluator, SEED, trials(HELPS, IDLE), TASK.search, generator(0, "attribution"))
    assert not any(share.earned or share.idle for share in found)
    assert evaluator.calls.ledger.spent("target_calls") == before


async def test_examples_that_an_edit_shows_as_demos_are_not_measured_on(paid: Paid):
    ids = sorted(about("phone"))[:2]
    demos = Edit(operation="demos", text="billing, refund", demo_ids=tuple(ids))
    given = [*trials(HELPS), Trial((1, 0), demos, about("phone"), frozenset())]
    evaluator = await seed_measured(paid, phone(("apples",)))
    found = await attribute(evaluator, SEED, given, TASK.search, generator(0, "attribution"))
    together = edited(TASK, SEED, [t.edit for t in given], "all")
    measured = {r.example_id for r in evaluator.records(together.id)}
    assert measured
    assert measured.isdisjoint(ids)
    assert [share.earned for share in found] == [True, False]
