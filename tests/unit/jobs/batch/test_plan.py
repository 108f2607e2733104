"""Which job comes next and what it may spend, as arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sage_spo.evaluation.budget import Budget
from sage_spo.jobs.batch.file import Job
from sage_spo.jobs.batch.kinds import KINDS
from sage_spo.jobs.batch.plan import State, grant, hopeless, left, next_job, raised


def job(name: str, order: int = 0, *, after: tuple[str, ...] = (), priority: int = 0) -> Job:
    return Job(name, KINDS["optimize"], (), after=after, priority=priority, order=order)


def test_the_highest_priority_that_is_ready_comes_first_then_the_order_of_the_file() -> None:
    jobs = [job("a", 0), job("b", 1, priority=2), job("c", 2, after=("a",), priority=9), job("d", 3)]
    states: dict[str, State] = dict.fromkeys("abcd", "waiting")
    order = []
    while (found := next_job(jobs, states)) is not None:
        order.append(found.name)
        states[found.name] = "done"
    assert order == ["b", "a", "c", "d"]


def test_a_job_starts_only_after_those_it_needs_are_done() -> None:
    jobs = [job("a", 0), job("b", 1, after=("a",))]
    assert next_job(jobs, {"a": "running", "b": "waiting"}) is None
    assert next_job(jobs, {"a": "failed", "b": "waiting"}) is None


def test_what_waits_in_vain_is_found_through_others_whatever_the_order() -> None:
    jobs = [job("c", 0, after=("b",)), job("b", 1, after=("a",)), job("a", 2), job("d", 3)]
    found = hopeless(jobs, {"a": "failed", "b": "waiting", "c": "waiting", "d": "waiting"})
    assert [(one.name, other) for one, other in found] == [("b", "a"), ("c", "b")]
    assert hopeless(jobs, {"a": "interrupted", "b": "waiting", "c": "waiting", "d": "waiting"}) == []


@pytest.mark.parametrize(
    ("own", "remaining", "unstarted", "others", "expected"),
    [
        ("", {}, 3, False, ""),
        ("usd=2", {}, 3, False, "usd=2.0"),
        ("", {"target_calls": 1000}, 3, False, "target_calls=333"),
        ("target_calls=200", {"target_calls": 1000}, 3, False, "target_calls=200"),
        ("target_calls=2000", {"target_calls": 1000}, 3, False, "target_calls=1000"),
        ("target_calls=2000", {"target_calls": 1000}, 3, True, "wait"),
        ("usd=1", {"target_calls": 900, "usd": 3.0}, 3, False, "target_calls=300,usd=1.0"),
        ("", {"target_calls": 0}, 1, False, "nothing"),
        ("", {"target_calls": 0}, 1, True, "wait"),
        ("", {"usd": -0.1}, 2, False, "nothing"),
        ("", {"usd": 1.0}, 3, False, "usd=0.333333"),
    ],
)
def test_what_a_job_is_given(
    own: str, remaining: dict[str, float], unstarted: int, others: bool, expected: str
) -> None:
    given_ = grant(Budget.parse(own), remaining, unstarted=unstarted, others_run=others)
    said = str(given_.budget) if given_.budget else "wait" if given_.wait else "nothing"
    assert said == (expected or "unlimited")


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 900)), st.floats(0, 1)), min_size=1, max_size=8))
def test_however_much_each_job_spends_of_its_share_the_shared_limit_holds(
    jobs: list[tuple[int | None, float]],
) -> None:
    shared, held = Budget(target_calls=1000), []
    for i, (own, share) in enumerate(jobs):
        given_ = grant(Budget(target_calls=own), left(shared, held), unstarted=len(jobs) - i, others_run=False)
        if given_.budget is not None:
            granted = given_.budget.limits()["target_calls"]
            # Some have ended and given back, others still hold all they reserved.
            held.append({"target_calls": granted if share > 0.7 else float(int(share * granted))})
    assert sum(one["target_calls"] for one in held) <= 1000


def test_a_job_that_has_begun_keeps_its_reservation_and_gets_more_only_where_the_file_says_so() -> None:
    granted, own = Budget(target_calls=300), Budget(target_calls=500)
    assert raised(own, own, granted, {"target_calls": 900}) == granted
    assert raised(Budget(target_calls=700), own, granted, {"target_calls": 900}) == Budget(target_calls=700)
    assert raised(Budget(target_calls=700), own, granted, {"target_calls": 100}) == Budget(target_calls=400)
    assert raised(Budget(target_calls=700), own, granted, {}) == Budget(target_calls=700)


def test_a_job_that_has_begun_keeps_to_a_limit_that_is_shared_since_then() -> None:
    granted, own = Budget(target_calls=500), Budget(target_calls=500)
    assert raised(own, own, granted, {"usd": 2.0}) == Budget(target_calls=500, usd=2.0)
    assert raised(Budget(target_calls=900), own, granted, {"usd": 2.0}) == Budget(target_calls=900, usd=2.0)
    assert raised(own, own, granted, {"usd": 0.0}) is None
