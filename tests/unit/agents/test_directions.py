"""Which hypotheses are believed, by counts of our own on records of a target whose causes of failure are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sage_spo.agents import directions
from sage_spo.agents.diagnostician import INVENTED, Draft
from sage_spo.agents.directions import merged, triage
from sage_spo.agents.workspace import Workspace
from sage_spo.evaluation.hypotheses import Support, adjusted, p_value
from sage_spo.sandbox.protocol import Sandbox
from sage_spo.tests.fakes.causes import FIX, LABELS, PHONE, failing_for, records_of, tickets, workspace_of

TASK = tickets()
RECORDS = records_of(TASK, failing_for(PHONE))
PHONE_PREDICATE = 'records["channel"].eq("phone")'
IDLE = 'records["shade"].isin(["rust", "sand"])'
UNCLEAR = 'records["shade"].isin(["teal", "plum"])'
"""Where nobody looked, its tickets fail a little more often than the others, by chance."""


def draft(predicate: str = PHONE_PREDICATE, fix: str = "", source: str = "diagnostician", **more: Any) -> Draft:
    return Draft(source, more.pop("claim", predicate), predicate, "", fix, **more)


def believed(n: int, failures: int, fix: str = "", status: str = "confirmed", **more: Any) -> directions.Tested:
    """A hypothesis about the first `n` tickets, of which so many fail."""
    counts = Support(n, failures, 96 - n, 10)
    source = more.pop("source", "diagnostician")
    first = more.pop("first", 0)
    matched = frozenset(f"e{i}" for i in range(first, first + n))
    made = Draft(source, f"claim of {n} by {source}", f"predicate {n}", "", fix, shown=(f"shown to {source}",))
    return directions.Tested(made, status, "", counts, counts, 0.01, 0.01, matched, **more)


def named(count: int) -> frozenset[str]:
    """So many requests."""
    return frozenset(f"1.{i}" for i in range(count))


def by(request: int) -> frozenset[str]:
    """One request."""
    return frozenset([f"1.{request}"])


def fixed(predicate: str, among: int = 1, finding: str = "F1") -> Draft:
    """A group that was counted with others before anything was known of what fails."""
    return draft(predicate, source="standard analyses", findings=(finding,), among=among)


async def check(sandbox: Sandbox | None, *drafts: Draft, **more: Any) -> list[directions.Tested]:
    return await directions.test_hypotheses(workspace_of(TASK, RECORDS, sandbox, **more), drafts, 0.2)


# -- believed or dropped -------------------------------------------------------------------------------------


async def test_a_planted_cause_is_confirmed_with_the_true_counts(sandbox: Sandbox):
    [found] = await check(sandbox, draft())
    matched = {e.id for e in TASK.search if e.metadata["channel"] == "phone"}
    failed = {r.example_id for r in RECORDS if r.score == 0.0}
    assert found.status == "confirmed"
    assert found.matched == matched
    assert (found.support.n, found.support.failures) == (len(matched), len(matched & failed))
    assert (found.support.other_n, found.support.other_failures) == (96 - len(matched), len(failed - matched))
    assert found.confirmation.n + found.confirmation.other_n == 48
    assert found.belief > 0.8


async def test_a_field_that_means_nothing_is_dropped(sandbox: Sandbox):
    [found] = await check(sandbox, draft(IDLE))
    assert (found.status, found.support.n > 10) == ("dropped", True)
    assert "not confirmed where nobody looked (p = " in found.reason
    assert p_value(found.confirmation) > directions.REFUTED_ABOVE


async def test_what_may_be_chance_is_neither_confirmed_nor_refuted(sandbox: Sandbox):
    [found] = await check(sandbox, draft(UNCLEAR))
    assert 0.2 < p_value(found.confirmation) <= directions.REFUTED_ABOVE
    assert found.status == "unsettled"
    assert "too few fresh examples" in found.reason


async def test_what_holds_where_one_looked_and_not_elsewhere_is_dropped(sandbox: Sandbox):
    half = frozenset(e.id for e in TASK.search[::2])
    failed = sorted(r.example_id for r in RECORDS if r.score == 0.0 and r.example_id in half)
    right = [r.example_id for r in RECORDS if r.score == 1.0 and r.example_id not in half]
    [found] = await check(sandbox, draft(f'records["example_id"].isin({failed[:12] + right[:12]})'))
    assert found.support.rate >= 0.5
    assert found.status == "dropped"


async def test_a_group_too_small_to_tell_is_unsettled(sandbox: Sandbox):
    ids = [r.example_id for r in RECORDS if r.score == 0.0]
    half = {e.id for e in TASK.search[::2]}
    few = [i for i in ids if i in half][:3] + [i for i in ids if i not in half][:1]
    [found] = await check(sandbox, draft(f'records["example_id"].isin({few})'))
    assert found.status == "unsettled"
    assert "too few fresh examples" in found.reason
    assert 0 < found.belief < 0.5


async def test_a_group_without_failures_or_of_hardly_any_examples_is_dropped(sandbox: Sandbox):
    right = [r.example_id for r in RECORDS if r.score == 1.0]
    wrong = [r.example_id for r in RECORDS if r.score == 0.0]
    idle, tiny = await check(
        sandbox,
        draft(f'records["example_id"].isin({right[:4]})'),
        draft(f'records["example_id"].isin({wrong[:1]})'),
    )
    assert {idle.status, tiny.status} == {"dropped"}
    assert "failures=0" in idle.reason
    assert "too few failures are matched" in tiny.reason


async def test_where_nothing_or_everything_fails_nothing_is_confirmed(sandbox: Sandbox):
    for score in (0.0, 1.0):
        records = [replace(r, score=score) for r in RECORDS]
        [found] = await directions.test_hypotheses(workspace_of(TASK, records, sandbox), [draft()], 0.2)
        assert found.status != "confirmed"


async def test_nothing_measured_is_no_reason_to_fall_over(sandbox: Sandbox):
    empty = workspace_of(TASK, [], sandbox, half=frozenset())
    [found] = await directions.test_hypotheses(empty, [draft()], 0.2)
    assert found.status == "dropped"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (draft(""), "its predicate is empty"),
        (draft("import os"), "its predicate is not one Python expression"),
        (draft('records["score"] < 0.5'), "its predicate uses the column score"),
        (draft('records["output"] != records["expected"]'), "its predicate compares output with expected"),
        (draft('records["channel"].eq("fax")'), "its predicate matches no record"),
        (draft('records["fax"].eq("phone")'), "its predicate cannot be evaluated: KeyError"),
        (draft(findings=(f"F98{INVENTED}", f"F99{INVENTED}")), "it rests on findings that do not exist (F98, F99)"),
    ],
)
async def test_a_hypothesis_that_cannot_be_tested_is_dropped_with_the_reason(
    sandbox: Sandbox, made: Draft, reason: str
):
    bad, good = await check(sandbox, made, draft())
    assert (bad.status, bad.matched) == ("dropped", frozenset())
    assert bad.reason.startswith(reason)
    assert good.status == "confirmed"


async def test_one_real_finding_is_enough_beside_an_invented_one(sandbox: Sandbox):
    [found] = await check(sandbox, draft(findings=("F1", f"F99{INVENTED}")))
    assert found.status == "confirmed"


async def test_the_false_discovery_rate_is_that_of_the_whole_round(sandbox: Sandbox):
    idle = [draft(f'records["n_words"].mod({k}).eq({r})') for k, r in ((2, 0), (3, 0), (3, 1), (4, 1), (5, 2))]
    found = await check(sandbox, draft(), draft("nonsense("), *idle)
    alive = [t for t in found if t.support.n]
    assert [t.q for t in alive] == pytest.approx(adjusted([t.p for t in alive]))
    assert found[0].q == pytest.approx(found[0].p * len(alive))
    assert found[0].status == "confirmed"
    assert all(t.status == "dropped" or t.q <= 0.2 or t.reason for t in found)


async def test_the_order_is_kept_and_the_same_draft_may_come_twice(sandbox: Sandbox):
    drafts = [draft(IDLE), draft(), draft("1 +"), draft(), draft(source="standard analyses")]
    found = await check(sandbox, *drafts)
    assert [t.draft for t in found] == drafts
    assert [t.status for t in found] == ["dropped", "confirmed", "dropped", "confirmed", "confirmed"]


async def test_without_a_sandbox_nothing_is_counted_and_all_is_unsettled():
    found = await check(None, draft("", fix=FIX), draft(PHONE_PREDICATE))
    assert [t.status for t in found] == ["unsettled"] * 2
    assert all(t.support.n == 0 and not t.matched and "no code may run" in t.reason for t in found)
    # Nobody says what to do about the second one, and nothing confirms it.
    assert [t.draft.fix for t in triage(found, tried=(), most=5, labels=LABELS, useful=lambda _: 1.0)] == [FIX]


async def test_no_hypothesis_is_no_reason_to_run_code():
    kept: list[Any] = []
    workspace: Workspace = workspace_of(TASK, RECORDS, None, keep=kept.append)
    assert await directions.test_hypotheses(workspace, [], 0.2) == []
    assert kept == []


# -- groups that were fixed beforehand -----------------------------------------------------------------------


def few() -> str:
    """Tickets of which those of the diagnosis half all fail, and so does the only one of the confirmation half."""
    half = {e.id for e in TASK.search[::2]}
    bad = [r.example_id for r in RECORDS if r.score == 0.0]
    ids = [i for i in bad if i in half][:5] + [i for i in bad if i not in half][:1]
    return f'records["example_id"].isin({ids})'


async def test_a_fixed_group_is_tested_on_all_records_and_what_somebody_supposed_where_nobody_looked(sandbox: Sandbox):
    [group] = await check(sandbox, fixed(few()))
    [supposed] = await check(sandbox, draft(few()))
    assert group.support == supposed.support
    assert group.p == p_value(group.support) < 0.01
    assert supposed.p == p_value(supposed.confirmation) > 0.2
    assert (group.status, supposed.status) == ("confirmed", "unsettled")


async def test_a_fixed_group_is_tested_among_all_that_were_counted_with_it(sandbox: Sandbox):
    [alone], [among_many] = [await check(sandbox, fixed(few(), among)) for among in (1, 1000)]
    assert among_many.q == pytest.approx(min(1.0, 1000 * alone.q))
    assert (alone.status, among_many.status) == ("confirmed", "unsettled")


async def test_fixed_groups_and_what_was_supposed_do_not_count_against_each_other(sandbox: Sandbox):
    [alone] = await check(sandbox, fixed(few(), 10))
    others = [draft(UNCLEAR), draft(IDLE), fixed(UNCLEAR, 40, "F2"), fixed(IDLE, 40, "F2")]
    found = await check(sandbox, fixed(few(), 10), *others)
    assert found[0].q == alone.q
    [supposed] = await check(sandbox, draft(PHONE_PREDICATE))
    beside = await check(sandbox, draft(PHONE_PREDICATE), fixed(UNCLEAR, 40), fixed(IDLE, 40))
    assert beside[0].q == supposed.q


async def test_who_supposes_what_was_counted_anyway_is_told_what_those_counts_say(sandbox: Sandbox):
    group, supposed = await check(sandbox, fixed(few(), 3), draft(few(), fix=FIX))
    assert supposed.q == group.q
    assert supposed.status == "confirmed"


# -- duplicates and order ------------------------------------------------------------------------------------


def test_of_two_about_the_same_examples_the_one_worth_more_is_kept():
    strong, weak = believed(20, 20), believed(21, 15)
    [kept] = merged([weak, strong], LABELS)
    assert (kept.draft, kept.support, kept.opinions) == (strong.draft, strong.support, 1)


def test_two_about_other_examples_are_both_kept():
    assert len(merged([believed(20, 20), believed(20, 18, first=40)], LABELS)) == 2


def test_two_fixes_of_other_meaning_for_the_same_examples_are_both_kept():
    one = believed(20, 20, "Parcels are refund.", source="diagnostician")
    two = believed(20, 20, "Invoices are billing.", source="diagnostician 2")
    assert len(merged([one, two], LABELS)) == 2


def test_the_same_fix_named_by_several_requests_counts_as_their_opinions():
    one = believed(20, 20, "Damaged parcels are refund.", sources=by(1))
    two = believed(12, 12, "Treat damaged parcels as refund.", source="diagnostician 2", first=50, sources=by(2))
    three = believed(11, 11, "A damaged parcel: refund.", source="diagnostician 3", first=70, sources=by(3))
    [kept] = merged([two, one, three], LABELS)
    assert kept.draft.fix == one.draft.fix
    assert kept.opinions == 3


def test_one_request_that_repeats_itself_is_one_opinion():
    one, two = (believed(n, n, "Parcels are refund.", sources=by(1)) for n in (20, 19))
    [kept] = merged([one, two], LABELS)
    assert kept.opinions == 1


def test_two_requests_are_two_opinions_however_often_the_second_repeats_itself():
    one = believed(20, 20, "Parcels are refund.", sources=by(1))
    again = [believed(n, n, "Parcels are refund.", source="diagnostician 2", sources=by(2)) for n in (19, 18, 17)]
    [kept] = merged([one, *again], LABELS)
    assert kept.opinions == 2


def test_a_finding_without_a_fix_takes_over_that_of_its_twin_and_who_was_shown_what():
    counted = believed(20, 20, source="standard analyses")
    [kept] = merged([counted, believed(20, 19, FIX)], LABELS)
    assert kept.draft.source == "standard analyses"
    assert (kept.draft.fix, kept.draft.shown) == (FIX, ("shown to diagnostician",))


def test_more_opinions_make_the_unsettled_more_believed_but_less_than_a_sure_thing():
    beliefs = [believed(9, 9, status="unsettled", sources=named(n)).belief for n in (1, 2, 3, 9)]
    assert beliefs == sorted(beliefs)
    assert beliefs[0] < beliefs[1] < 1.0
    assert beliefs[-1] < believed(9, 9).belief


def test_the_best_directions_are_chosen_best_first_and_no_more_than_asked_for():
    made = [believed(n, n, first=first) for n, first in ((6, 0), (20, 10), (10, 50))]
    assert [t.support.n for t in triage(made, tried=(), most=2, labels=LABELS)] == [20, 10]
    assert [t.support.n for t in triage(made, tried=(), most=9, labels=LABELS)] == [20, 10, 6]


def test_a_fix_that_was_tried_before_is_left_out_in_any_wording():
    made = [believed(20, 20, "Damaged parcels are refund."), believed(9, 9, "Read the invoice.", first=40)]
    tried = ["A damaged parcel: refund"]
    assert [t.draft.fix for t in triage(made, tried=tried, most=5, labels=LABELS)] == ["Read the invoice."]


def test_what_was_dropped_is_no_direction():
    assert triage([believed(20, 20, status="dropped")], tried=(), most=5, labels=LABELS) == []
    assert triage([], tried=(), most=5, labels=LABELS) == []


def test_the_more_likely_a_fix_is_of_use_the_earlier_it_is_tried():
    small, large = believed(9, 9, "Read the invoice.", first=40), believed(20, 20, "Damaged parcels are refund.")
    odds = {small.draft.fix: 0.9, large.draft.fix: 0.1}

    def order(useful: dict[str, float] | None) -> list[str]:
        likely = None if useful is None else lambda t: useful[t.draft.fix]
        return [t.draft.fix for t in triage([small, large], tried=(), most=5, labels=LABELS, useful=likely)]

    assert order(None) == [large.draft.fix, small.draft.fix]
    assert order(odds) == [small.draft.fix, large.draft.fix]


def test_where_an_agent_is_asked_one_without_a_fix_has_to_be_confirmed():
    made = [believed(20, 20), believed(9, 9, status="unsettled", first=40), believed(6, 6, FIX, "unsettled", first=60)]
    assert [t.support.n for t in triage(made, tried=(), most=5, labels=LABELS, useful=lambda _: 0.9)] == [20, 6]
    assert [t.support.n for t in triage(made, tried=(), most=5, labels=LABELS)] == [20, 9, 6]
