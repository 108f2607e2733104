"""What is measured is asked once, paid once, and never a zero where it is missing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sage_spo.errors import BudgetExceeded, ModelError, ModelRefused, TransientModelError
from sage_spo.evaluation.budget import Budget
from sage_spo.evaluation.evaluator import Evaluator, Job, paired_differences
from sage_spo.evaluation.ledger import Ledger
from sage_spo.evaluation.paid_calls import PaidCalls
from sage_spo.models.retry import RetryPolicy
from sage_spo.tasks.example import Example
from sage_spo.tasks.prompt import Message
from sage_spo.tasks.targets import make_target
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.store import RunStore

QUICK = RetryPolicy(attempts=3, timeout=0.2, deadline=5.0, base=0.001)
TASK = make_task()
SEED = TASK.seed_prompt


class Counting:
    """The landscape's target, counting its calls; `trouble` may raise instead of answering."""

    def __init__(self) -> None:
        self.calls = 0
        self.trouble = lambda example, call: None

    async def __call__(self, messages: list[Message], example: Example) -> str:
        self.calls += 1
        self.trouble(example, self.calls)
        await asyncio.sleep(0)
        return answer(messages, example)


@pytest.fixture
async def store(home: Path) -> AsyncIterator[RunStore]:
    opened = await RunStore.open(home)
    yield opened
    await opened.close()


def evaluator(store: RunStore, target: Counting, run: str = "a", budget: Budget | None = None) -> Evaluator:
    calls = PaidCalls(run, store, Ledger(budget or Budget()), QUICK, seed=0)
    return Evaluator(TASK, make_target(target, TASK), calls)


async def test_a_repeated_request_is_free(store: RunStore):
    target = Counting()
    ev = evaluator(store, target)
    await ev.measure(Job(SEED, TASK.search[:10]))
    await ev.measure(Job(SEED, TASK.search[:10]))
    assert target.calls == 10
    assert ev.calls.ledger.spent("target_calls") == 10


async def test_the_same_request_twice_at_once_is_asked_once(store: RunStore):
    target = Counting()
    ev = evaluator(store, target)
    await asyncio.gather(*(ev.measure(Job(SEED, TASK.search[:10])) for _ in range(3)))
    assert target.calls == 10
    assert ev.calls.ledger.spent("target_calls") == 10


async def test_another_runs_answer_costs_no_money_but_counts_as_a_call(store: RunStore):
    target = Counting()
    await evaluator(store, target, "a").measure(Job(SEED, TASK.search[:10]))
    other = evaluator(store, target, "b")
    await other.measure(Job(SEED, TASK.search[:10]))
    assert target.calls == 10
    assert other.calls.ledger.spent("target_calls") == 10
    assert other.calls.ledger.spent("tokens") == 0


async def test_certification_never_takes_another_runs_answer(store: RunStore):
    target = Counting()
    await evaluator(store, target, "a").measure(Job(SEED, TASK.test[:10], "test"), role="certification")
    await evaluator(store, target, "b").measure(Job(SEED, TASK.test[:10], "test"), role="certification")
    assert target.calls == 20


async def test_another_draw_is_another_call(store: RunStore):
    target = Counting()
    ev = evaluator(store, target)
    await ev.measure(Job(SEED, TASK.search[:10]), Job(SEED, TASK.search[:10], repeat=1))
    assert target.calls == 20


async def test_a_call_that_fails_for_good_is_missing_and_not_a_zero_nor_cached(store: RunStore):
    target = Counting()
    broken = TASK.search[3]

    def fail(example: Example, call: int) -> None:
        if example.id == broken.id:
            raise ModelError("no such luck")

    target.trouble = fail
    ev = evaluator(store, target)
    await ev.measure(Job(SEED, TASK.search[:5]))
    scores = ev.scores(SEED.id, TASK.search[:5])
    assert scores[broken.id] is None
    assert sum(score is None for score in scores.values()) == 1
    target.trouble = lambda example, call: None
    again = evaluator(store, target, "b")
    await again.measure(Job(SEED, TASK.search[:5]))
    assert again.scores(SEED.id, [broken])[broken.id] is not None


async def test_what_may_pass_is_retried_and_counts_as_one_call(store: RunStore):
    target = Counting()

    def fail_first(example: Example, call: int) -> None:
        if call <= 2:
            raise TransientModelError("busy")

    target.trouble = fail_first
    ev = evaluator(store, target)
    await ev.measure(Job(SEED, TASK.search[:1]))
    assert target.calls == 3
    assert ev.calls.ledger.spent("target_calls") == 1
    assert ev.scores(SEED.id, TASK.search[:1])[TASK.search[0].id] is not None


async def test_a_job_is_measured_whole_or_not_at_all(store: RunStore):
    target = Counting()
    ev = evaluator(store, target, budget=Budget(target_calls=25))
    other = SEED.edited(text="Another {labels}.", origin="test")
    assert await ev.measure(Job(SEED, TASK.search[:20]), Job(other, TASK.search[:20])) == 1
    assert target.calls == 20
    with pytest.raises(BudgetExceeded):
        await ev.measure(Job(other, TASK.search[:20]))
    assert ev.calls.ledger.spent("target_calls") == 20


async def test_a_process_that_takes_the_run_up_again_pays_nothing_twice(store: RunStore):
    target = Counting()
    await evaluator(store, target).measure(Job(SEED, TASK.search[:10]))
    resumed = evaluator(store, target)
    await resumed.calls.restore(restarts=1, in_flight=4)
    await resumed.restore()
    await resumed.measure(Job(SEED, TASK.search[:12]))
    assert target.calls == 12
    assert resumed.calls.ledger.spent("target_calls") == 12


async def test_what_was_missing_and_is_asked_again_has_a_score_then(store: RunStore):
    target = Counting()

    def fail(example: Example, call: int) -> None:
        raise ModelError("no such luck")

    target.trouble = fail
    await evaluator(store, target).measure(Job(SEED, TASK.search[:5]))
    target.trouble = lambda example, call: None
    resumed = evaluator(store, target)
    await resumed.calls.restore(restarts=1, in_flight=4)
    await resumed.restore()
    assert set(resumed.scores(SEED.id, TASK.search[:5]).values()) == {None}
    await resumed.measure(Job(SEED, TASK.search[:5]))
    assert None not in resumed.scores(SEED.id, TASK.search[:5]).values()
    assert {r.score for r in await store.records("a")} == {r.score for r in resumed.records(SEED.id)}


async def test_a_step_that_is_run_again_sees_what_it_saw_the_first_time(store: RunStore):
    target = Counting()
    ev = evaluator(store, target)
    ev.begin(1)
    await ev.measure(Job(SEED, TASK.search[:5]))
    ev.begin(2)
    await ev.measure(Job(SEED, TASK.search[:9]))
    ev.begin(2)
    assert len(ev.records(SEED.id)) == 5
    await ev.measure(Job(SEED, TASK.search[:9]))
    assert len(ev.records(SEED.id)) == 9
    assert target.calls == 9


async def test_cancelling_leaves_nothing_running(store: RunStore):
    class Stuck(Counting):
        async def __call__(self, messages: list[Message], example: Example) -> str:
            self.calls += 1
            await asyncio.sleep(60)
            return ""

    ev = evaluator(store, Stuck())
    before = len(asyncio.all_tasks())
    running = asyncio.create_task(ev.measure(Job(SEED, TASK.search[:10])))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) == before
    assert ev.calls.ledger.spent("target_calls") == 0


async def test_what_a_call_took_that_was_cut_is_spent_and_adds_up_over_processes(store: RunStore):
    def cut(example: Example, call: int) -> None:
        if call % 2:
            raise TransientModelError("no answer in time", spent=True)
        raise ModelRefused("no credit left")

    target, bound = Counting(), 0.0
    target.trouble = cut
    for process in range(3):
        ev = evaluator(store, target)
        await ev.calls.restore(restarts=0, in_flight=0)
        assert ev.calls.ledger.spent("tokens") == bound
        with pytest.raises(ModelRefused):
            await ev.measure(Job(SEED, TASK.search[:1]))
        request = ev.target.request(SEED, TASK.search[0])
        bound += request.max_input_tokens + request.max_output_tokens
        assert ev.calls.ledger.spent("tokens") == bound
        await store.flush()
        [row] = await store.calls("a")
        assert (row.missing, row.attempts, row.input_tokens + row.output_tokens) == (True, 2 * process + 2, bound)
    target.trouble = lambda example, call: None
    ev = evaluator(store, target)
    await ev.calls.restore(restarts=0, in_flight=0)
    await ev.measure(Job(SEED, TASK.search[:1]))
    assert ev.calls.ledger.spent("target_calls") == 1
    assert ev.calls.ledger.spent("tokens") > bound
    await store.flush()
    [row] = await store.calls("a")
    assert not row.missing
    assert row.input_tokens + row.output_tokens == ev.calls.ledger.spent("tokens")


async def test_a_hanging_attempt_is_cut_and_tried_again(store: RunStore):
    class Hanging(Counting):
        async def __call__(self, messages: list[Message], example: Example) -> str:
            self.calls += 1
            if self.calls == 1:
                await asyncio.sleep(60)
            return answer(messages, example)

    target = Hanging()
    ev = evaluator(store, target)
    await ev.measure(Job(SEED, TASK.search[:1]))
    assert target.calls == 2
    assert ev.scores(SEED.id, TASK.search[:1])[TASK.search[0].id] is not None


async def test_a_reply_that_does_not_say_its_tokens_costs_what_it_may_have_taken_at_most(store: RunStore):
    with FakeServer(lambda request: "red") as server:
        server.counts_tokens = False
        target = make_target("openai:fake", TASK, server.url)
        requests = [target.request(SEED, example) for example in TASK.search[:5]]
        least = sum(r.max_input_tokens + r.max_output_tokens for r in requests)
        ev = Evaluator(TASK, target, PaidCalls("a", store, Ledger(Budget(tokens=2 * least)), QUICK, seed=0))
        await ev.measure(Job(SEED, TASK.search[:5]))
        await target.aclose()
        assert all(request["max_tokens"] == requests[0].max_output_tokens for request in server.chats)
    assert ev.calls.ledger.spent("tokens") == least


@pytest.mark.parametrize("many", [1, 3, 8])
async def test_calls_that_hang_at_every_attempt_are_missing_however_many_and_no_outage(store: RunStore, many: int):
    stuck = {example.id for example in TASK.search[30 : 30 + many]}

    class Hanging(Counting):
        async def __call__(self, messages: list[Message], example: Example) -> str:
            self.calls += 1
            if example.id in stuck:
                await asyncio.sleep(3600)
            return answer(messages, example)

    ev = evaluator(store, Hanging())
    ev.calls.patience = 5.0
    assert await ev.measure(Job(SEED, TASK.search)) == 1
    scores = ev.scores(SEED.id, TASK.search)
    assert {i for i, score in scores.items() if score is None} == stuck
    assert ev.calls.ledger.spend["target"].missing == many
    assert ev.calls.ledger.spent("target_calls") == len(TASK.search)


@pytest.mark.parametrize("after", [0, 40])
async def test_where_every_call_hangs_for_a_while_they_wait_and_nothing_is_missing(store: RunStore, after: int):
    target = Counting()
    began: list[float] = []

    class Pausing(Counting):
        async def __call__(self, messages: list[Message], example: Example) -> str:
            target.calls += 1
            if target.calls > after:
                began.append(time.monotonic())
                if time.monotonic() - began[0] < 1.5:
                    await asyncio.sleep(3600)
            return answer(messages, example)

    ev = evaluator(store, Pausing())
    heard: list[str] = []
    ev.calls.on_outage = lambda event, fields: heard.append(event)
    await ev.measure(Job(SEED, TASK.search))
    assert None not in ev.scores(SEED.id, TASK.search).values()
    assert heard[0] == "outage"
    assert heard[-1] == "outage_over"


def test_missing_scores_drop_out_of_a_comparison():
    assert paired_differences({"a": 1.0, "b": None, "c": 0.0}, {"a": 0.0, "b": 1.0, "c": None}) == [1.0]
