"""Edits that are tried together and left out in turn, on a target that says which phrases mend which tickets."""

from __future__ import annotations

import pytest

from sage_spo.agents.attribution import Share, Trial, attribute
from sage_spo.agents.edits import Edit, edited
from sage_spo.errors import BudgetExceeded
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.evaluator import Evaluator, Job
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.models.retry import RetryPolicy
from sage_spo.seeding import generator
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.causes import Cause, failing_for, tickets
from sage_spo.traces.store import RunStore

TASK = tickets()
SEED = TASK.seed_prompt
HELPS, SAME, IDLE, MORE = "Mind apples.", "Regard apples too.", "Be polite to callers.", "Weigh pears."
MAIL = Cause({"channel": "mail"}, (("pears",),))


def phone(*mended_by: tuple[str, ...]) -> Cause:
    return Cause({"channel": "phone"}, mended_by)


def about(channel: str) -> frozenset[str]:
    return frozenset(e.id for e in TASK.search if e.metadata["channel"] == channel)


def trials(*texts: str, matched: frozenset[str] | None = None) -> list[Trial]:
    matched = about("phone") if matched is None else matched
    return [Trial((i, 0), Edit(text=text), matched, frozenset()) for i, text in enumerate(texts)]


async def shares(
    store: RunStore, given: list[Trial], *causes: Cause, calls: int = 1000, seed: int = 0
) -> dict[str, Share]:
    """What each edit is worth, by its text, to a target that fails for these causes."""
    paid = PaidCalls("run", store, Ledger(Budget(target_calls=calls)), RetryPolicy(attempts=1), seed=0)
    evaluator = Evaluator(TASK, make_target(failing_for(*causes), TASK), paid)
    await evaluator.measure(Job(SEED, TASK.search))
    found = await attribute(evaluator, SEED, given, TASK.search, generator(seed, "attribution"))
    assert [share.trial for share in found] == given
    return {share.trial.edit.text: share for share in found}


def earned(found: dict[str, Share]) -> set[str]:
    return {text for text, share in found.items() if share.earned}


async def test_an_edit_that_helps_earns_its_place_and_one_that_does_nothing_does_not(store: RunStore):
    found = await shares(store, trials(IDLE, HELPS), phone(("apples",)))
    assert earned(found) == {HELPS}
    assert found[IDLE].idle
    assert not found[HELPS].idle
    assert found[HELPS].lost == found[HELPS].tested > 0
    assert "fail again" in found[HELPS].words


@pytest.mark.parametrize("order", [(HELPS, SAME), (SAME, HELPS)])
async def test_of_two_edits_with_the_same_effect_exactly_one_stays(store: RunStore, order: tuple[str, str]):
    found = await shares(store, trials(*order), phone(("apples",)))
    assert len(earned(found)) == 1


async def test_two_edits_that_pay_only_together_both_stay(store: RunStore):
    found = await shares(store, trials(HELPS, MORE, IDLE), phone(("apples", "pears")))
    assert earned(found) == {HELPS, MORE}


async def test_edits_for_other_examples_are_judged_on_those(store: RunStore):
    given = [
        Trial((0, 0), Edit(text=HELPS), about("phone"), frozenset()),
        Trial((1, 0), Edit(text=MORE), about("mail"), frozenset()),
        Trial((2, 0), Edit(text=IDLE), about("mail"), frozenset()),
    ]
    found = await shares(store, given, phone(("apples",)), MAIL)
    assert earned(found) == {HELPS, MORE}


async def test_a_cause_behind_another_is_seen_though_neither_edit_alone_mends_anything(store: RunStore):
    pro_or_phone = Cause({"plan": "pro"}, (("pears",),))
    both = frozenset(e.id for e in TASK.search if e.metadata["channel"] == "phone" and e.metadata["plan"] == "pro")
    found = await shares(store, trials(HELPS, MORE, matched=both), phone(("apples",)), pro_or_phone)
    assert earned(found) == {HELPS, MORE}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("order", [(IDLE, HELPS, SAME), (HELPS, IDLE, SAME), (HELPS, SAME, IDLE)])
async def test_an_idle_edit_does_not_take_the_place_of_two_that_say_the_same(
    store: RunStore, order: tuple[str, ...], seed: int
):
    found = await shares(store, trials(*order), phone(("apples",)), seed=seed)
    assert earned(found) & {HELPS, SAME}


async def test_what_mends_nothing_is_said_so(store: RunStore):
    found = await shares(store, trials(IDLE, "Smile."), phone(("apples",)))
    assert earned(found) == set()
    assert all("fixed none of" in share.words for share in found.values())


async def test_an_edit_about_hardly_any_failure_is_judged_by_the_answer_that_it_names(store: RunStore):
    named = "Apples are a billing matter."
    given = [
        Trial((0, 0), Edit(text=named), frozenset(), frozenset()),
        Trial((1, 0), Edit(text=IDLE), frozenset(), frozenset()),
    ]
    found = await shares(store, given, phone(("Apples",)))
    assert earned(found) == {named}


async def test_what_its_writer_saw_is_measured_last(store: RunStore):
    ids = sorted(about("phone"))
    unseen = frozenset(ids[-6:])
    given = [Trial((0, 0), Edit(text=HELPS), about("phone"), about("phone") - unseen), *trials(IDLE, matched=unseen)]
    paid = PaidCalls("run", store, Ledger(Budget(target_calls=1000)), RetryPolicy(attempts=1), seed=0)
    evaluator = Evaluator(TASK, make_target(failing_for(phone(("apples",))), TASK), paid)
    await evaluator.measure(Job(SEED, TASK.search))
    await attribute(evaluator, SEED, given, TASK.search, generator(0, "attribution"))
    together = edited(TASK, SEED, [t.edit for t in given], "all")
    assert {r.example_id for r in evaluator.records(together.id)} == unseen


async def test_where_it_cannot_be_paid_that_is_raised(store: RunStore):
    with pytest.raises(BudgetExceeded):
        await shares(store, trials(HELPS, IDLE), phone(("apples",)), calls=len(TASK.search) + 2)


async def test_where_nothing_failed_no_edit_earns_anything_and_nothing_is_asked(store: RunStore):
    paid = PaidCalls("run", store, Ledger(Budget(target_calls=1000)), RetryPolicy(attempts=1), seed=0)
    evaluator = Evaluator(TASK, make_target(failing_for(noise=0.0), TASK), paid)
    await evaluator.measure(Job(SEED, TASK.search))
    before = paid.ledger.spent("target_calls")
    found = await attribute(evaluator, SEED, trials(HELPS, IDLE), TASK.search, generator(0, "attribution"))
    assert not any(share.earned or share.idle for share in found)
    assert paid.ledger.spent("target_calls") == before


async def test_examples_that_an_edit_shows_as_demos_are_not_measured_on(store: RunStore):
    ids = sorted(about("phone"))[:2]
    demos = Edit(operation="demos", text="billing, refund", demo_ids=tuple(ids))
    given = [*trials(HELPS), Trial((1, 0), demos, about("phone"), frozenset())]
    paid = PaidCalls("run", store, Ledger(Budget(target_calls=1000)), RetryPolicy(attempts=1), seed=0)
    evaluator = Evaluator(TASK, make_target(failing_for(phone(("apples",))), TASK), paid)
    await evaluator.measure(Job(SEED, TASK.search))
    found = await attribute(evaluator, SEED, given, TASK.search, generator(0, "attribution"))
    together = edited(TASK, SEED, [t.edit for t in given], "all")
    measured = {r.example_id for r in evaluator.records(together.id)}
    assert measured
    assert measured.isdisjoint(ids)
    assert [share.earned for share in found] == [True, False]
