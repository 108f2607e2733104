"""How many calls are under way: fixed, or grown while answers come as fast and halved when there were too many."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sage_spo.errors import TransientModelError
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.concurrency import MOST, START, STEP, Concurrency
from sage_spo.evaluation.evaluator import Evaluator, Job
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.models.retry import RetryPolicy
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.traces.rows import Call, Record
from sage_spo.traces.store import RunStore


async def round_of(limit: Concurrency, seconds: float) -> None:
    """As many calls as may be under way, all answered after so long."""
    size = limit.size
    for _ in range(size):
        await limit.__aenter__()
    for _ in range(size):
        limit.answered(seconds)
        await limit.__aexit__()


async def test_it_grows_by_a_step_a_round_while_answers_come_as_fast_and_stops_at_the_most() -> None:
    limit = Concurrency()
    assert limit.size == START
    for step in range(1, 4):
        await round_of(limit, 0.1)
        assert limit.size == START + step * STEP
    for _ in range(MOST):
        await round_of(limit, 0.1)
    assert limit.size == MOST


async def test_it_does_not_grow_while_answers_come_slower() -> None:
    limit = Concurrency()
    await round_of(limit, 0.1)
    await round_of(limit, 0.2)
    assert limit.size == START + STEP


async def test_room_that_is_not_used_is_no_reason_to_grow() -> None:
    limit = Concurrency()
    for _ in range(10 * START):
        async with limit:
            limit.answered(0.1)
    assert limit.size == START


async def test_calls_under_way_together_halve_it_once_and_never_below_one() -> None:
    limit = Concurrency()
    for _ in range(START):
        await limit.__aenter__()
    for _ in range(START):
        limit.overloaded()
    assert limit.size == START // 2
    for _ in range(START):
        await limit.__aexit__()
    for _ in range(10):
        async with limit:
            limit.overloaded()
    assert limit.size == 1
    await round_of(limit, 0.1)
    assert limit.size == 1 + STEP


async def test_a_fixed_number_stays() -> None:
    limit = Concurrency(3)
    await round_of(limit, 0.1)
    limit.overloaded()
    assert (limit.size, limit.most) == (3, 3)


async def test_no_more_than_its_size_are_inside_and_they_enter_in_order() -> None:
    limit, inside, entered = Concurrency(3), [0, 0], []

    async def call(number: int) -> None:
        async with limit:
            entered.append(number)
            inside[0] += 1
            inside[1] = max(inside)
            await asyncio.sleep(0.001)
            inside[0] -= 1

    tasks = [asyncio.create_task(call(number)) for number in range(12)]
    await asyncio.sleep(0)
    tasks[5].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert inside == [0, 3]
    assert entered == [n for n in range(12) if n != 5]
    async with limit:
        pass


def test_what_a_process_reached_at_most_covers_every_course() -> None:
    size = calls = START
    while size < MOST:
        assert Concurrency().reached(calls) >= size
        size += STEP
        calls += size
    assert Concurrency(7).reached(10_000) == 7


TASK = make_task()


async def measured(home: Path, concurrency: int | None, budget: Budget) -> tuple[list[Call], list[Record], list[str]]:
    """What measuring leaves behind on a target that is late, refuses and fails, by the request alone."""
    seen: dict[str, int] = {}
    best = [0, 0]

    async def target(messages: list[Message], example: Example) -> str:
        attempt = seen[example.id] = seen.get(example.id, 0) + 1
        best[0] += 1
        best[1] = max(best)
        try:
            await asyncio.sleep(0.001 * (int(example.id[1:]) % 5))
        finally:
            best[0] -= 1
        if attempt == 1 and int(example.id[1:]) % 7 == 0:
            raise TransientModelError("busy", overloaded=True)
        return answer(messages, example)

    made = make_target(target, TASK, None, concurrency)
    if concurrency is None:
        made.concurrency = None
    policy = RetryPolicy(attempts=3, timeout=2.0, deadline=5.0, base=0.001)
    async with await RunStore.open(home) as store:
        evaluator = Evaluator(TASK, made, PaidCalls("run", store, Ledger(budget), policy, seed=0))
        ended = []
        for text in ("Name the colour: {labels}.", "Answer with the colour: {labels}.", "Reply with one of {labels}."):
            prompt = TASK.seed_prompt.edited(text=text, origin="test")
            try:
                await evaluator.measure(Job(prompt, TASK.search), Job(prompt, TASK.holdout, "holdout"))
            except Exception as error:
                ended.append(type(error).__name__)
        assert best[1] <= (concurrency or MOST)
        return await store.calls("run"), await store.records("run"), ended


@pytest.mark.parametrize("budget", [Budget(), Budget(target_calls=400), Budget(tokens=50_000)])
async def test_results_do_not_depend_on_how_many_calls_are_under_way(tmp_path: Path, budget: Budget) -> None:
    calls, *kept = await measured(tmp_path / "one", 1, budget)
    for name, concurrency in (("eight", 8), ("adaptive", None)):
        others, *also_kept = await measured(tmp_path / name, concurrency, budget)
        assert kept == also_kept
        # Where tokens run out within a block nothing of it is kept; a retried call may by then come after others.
        assert calls == others or budget.tokens
