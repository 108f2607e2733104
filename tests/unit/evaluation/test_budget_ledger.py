"""The budget is read strictly, and the ledger is overrun by nobody."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sage_spo.errors import BudgetError, BudgetExceeded
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.ledger import COUNTED_AS, Charge, Ledger, Spender, TimeCharge
from sage_spo.traces.rows import Call


def test_a_budget_is_read_from_text_and_printed_as_it_was_written():
    budget = Budget.parse("usd=2,target_calls=1500, minutes=0.5")
    assert budget == Budget(usd=2.0, target_calls=1500, minutes=0.5)
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("target_calls=0", "target_calls=0 must be above zero"),
        ("usd=-1", "usd=-1 must be above zero"),
        ("dollars=3", "unknown unit 'dollars'"),
        ("target_cals=3", "Did you mean 'target_calls'"),
        ("usd", "is not NAME=AMOUNT"),
        ("tokens=many", "is not a number"),
        ("tokens=1.5", "whole number"),
        ("usd=nan", "above zero"),
        ("usd=1,usd=2", "given twice"),
    ],
)
def test_a_wrong_budget_is_refused_by_name(text: str, says: str):
    with pytest.raises(BudgetError, match=says):
        Budget.parse(text)


def test_what_is_held_for_certification_only_certification_may_use():
    ledger = Ledger(Budget(target_calls=10))
    ledger.hold_for_certification(calls=4, tokens=0, usd=0.0)
    ledger.take("target", 6)
    with pytest.raises(BudgetExceeded, match="1 more needed of target_calls, 0 left"):
        ledger.take("target", 1)
    ledger.take("certification", 4)
    assert ledger.spent("target_calls") == 10


def test_time_that_is_up_stops_new_calls():
    now = [0.0]
    ledger = Ledger(Budget(minutes=1), clock=lambda: now[0])
    ledger.take("target", 1)
    now[0] = 61.0
    with pytest.raises(BudgetExceeded, match="time is used up"):
        ledger.take("target", 1)


def test_working_time_of_earlier_processes_counts():
    ledger = Ledger(Budget(minutes=1), seconds_before=61.0, clock=lambda: 5.0)
    assert not ledger.room_for("target", 1)


async def test_an_attempt_that_nobody_settles_costs_its_bound():
    ledger = Ledger(Budget(tokens=1000))
    async with ledger.attempt("target", Charge(100, 20)):
        pass
    assert ledger.spent("tokens") == 120


async def test_a_reservation_waits_for_room_that_others_hold():
    ledger = Ledger(Budget(tokens=150))
    release = asyncio.Event()

    async def first() -> None:
        async with ledger.attempt("target", Charge(100, 20)) as charge:
            await release.wait()
            charge.settle(10, 5)

    async def second() -> None:
        async with ledger.attempt("target", Charge(100, 20)) as charge:
            charge.settle(10, 5)

    one = asyncio.create_task(first())
    await asyncio.sleep(0)
    two = asyncio.create_task(second())
    await asyncio.sleep(0.01)
    assert not two.done()
    release.set()
    await asyncio.gather(one, two)
    assert ledger.spent("tokens") == 30


async def test_a_call_that_can_never_fit_is_refused_at_once():
    ledger = Ledger(Budget(usd=0.001))
    with pytest.raises(BudgetExceeded, match="usd"):
        async with ledger.attempt("target", Charge(10_000, 1000, price=(1.0, 1.0))):
            pass


def test_a_restored_ledger_has_spent_what_the_journal_says_and_what_a_crash_may_have_lost():
    ledger = Ledger(Budget(tokens=10_000))
    calls = [Call("r", str(i), "target", 1, 10, 0, 0.0, 1, False, False) for i in range(10)]
    before = ledger.left("tokens")
    ledger.restore(calls, restarts=1, in_flight=30)
    assert ledger.spent("tokens") == 100
    assert ledger.spent("target_calls") == 10
    # 300 tokens may be lost; the share kept for that (2 % = 200) covers a part of them.
    assert ledger.left("tokens") == before - 100 - 100


@given(
    limit=st.integers(1, 400),
    bounds=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30)), min_size=1, max_size=60),
    seed=st.integers(0, 1000),
)
def test_no_number_of_callers_overruns_a_limit(limit: int, bounds: list[tuple[int, int]], seed: int):
    async def run() -> None:
        ledger = Ledger(Budget(tokens=limit, target_calls=max(1, limit // 10)))
        worst = [0.0]

        async def caller(index: int, input_tokens: int, output_tokens: int) -> None:
            try:
                ledger.take("target", 1)
                async with ledger.attempt("target", Charge(input_tokens, output_tokens)) as charge:
                    await asyncio.sleep(0)
                    charge.settle((input_tokens * (index + seed)) % (input_tokens + 1), output_tokens)
                worst[0] = max(worst[0], ledger.spent("tokens"))
            except BudgetExceeded:
                pass

        await asyncio.gather(*(caller(i, *bound) for i, bound in enumerate(bounds)))
        assert worst[0] <= limit
        assert ledger.spent("target_calls") <= max(1, limit // 10)

    asyncio.run(run())


CALLERS = 500
ROLES: tuple[Spender, ...] = ("target", "agent", "judge", "certification", "sandbox")
How = Literal["counted", "no usage", "half a usage", "time-out", "cancelled", "unused"]
CALLER = st.tuples(
    st.sampled_from(ROLES),
    st.integers(1, 60),
    st.integers(0, 30),
    st.sampled_from(("counted", "no usage", "half a usage", "time-out", "cancelled", "unused")),
    st.integers(0, 3),
)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(CALLER, min_size=1, max_size=40),
    tokens=st.integers(50, 20_000),
    usd=st.floats(0.0001, 0.05),
    calls=st.integers(1, 400),
    held=st.integers(0, 40),
)
def test_500_callers_at_once_overrun_no_limit_whatever_becomes_of_their_calls(
    kinds: list[tuple[Spender, int, int, How, int]], tokens: int, usd: float, calls: int, held: int
):
    limits = Budget(target_calls=calls, agent_calls=calls, tokens=tokens, usd=usd)
    paid = {"tokens": 0.0, "usd": 0.0}

    async def run() -> None:
        ledger = Ledger(limits)
        ledger.hold_for_certification(calls=min(held, calls), tokens=min(held, tokens), usd=min(held / 1e6, usd))

        def check() -> None:
            for name, limit in limits.limits().items():
                assert ledger.spent(name) <= limit + 1e-9, name

        async def call(role: Spender, read: int, written: int, how: How, pauses: int) -> None:
            charge = TimeCharge(read / 10, 1e-5) if role == "sandbox" else Charge(read, written, price=(1.0, 4.0))
            if role != "sandbox":
                ledger.take(role, 1)
            await ledger.reserve(role, charge)
            try:
                try:
                    for _ in range(pauses):
                        await asyncio.sleep(0)
                    if how == "unused":
                        charge.settle_unused()
                    elif isinstance(charge, TimeCharge):
                        charge.settle(charge.seconds / 2) if how == "counted" else None
                    elif how in ("counted", "no usage", "half a usage"):
                        charge.settle(
                            None if how == "no usage" else read // 2, written // 2 if how == "counted" else None
                        )
                        if how == "no usage":
                            assert charge.tokens == read + written
                    elif how == "time-out":
                        raise TimeoutError
                    else:
                        await asyncio.sleep(3600)
                finally:
                    paid["tokens"] += charge.input_tokens + charge.output_tokens
                    paid["usd"] += charge.usd
            finally:
                ledger.book(role, charge)
            check()

        tasks = [asyncio.create_task(call(*kinds[i % len(kinds)])) for i in range(CALLERS)]
        for _ in range(40):
            await asyncio.sleep(0)
            check()
        while not all(task.done() for task in tasks):
            for i, task in enumerate(tasks):
                if kinds[i % len(kinds)][3] == "cancelled":
                    task.cancel()
            await asyncio.sleep(0.001)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        odd = [e for e in done if e and not isinstance(e, BudgetExceeded | TimeoutError | asyncio.CancelledError)]
        assert odd == []
        check()
        assert ledger.spent("tokens") == paid["tokens"]
        assert ledger.spent("usd") == pytest.approx(paid["usd"])
        assert all(role in COUNTED_AS or role == "sandbox" for role in ledger.spend)

    asyncio.run(run())
