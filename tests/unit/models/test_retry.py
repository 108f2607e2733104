"""The one retry layer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from sage_spo.errors import ModelError, TransientModelError
from sage_spo.models.client import QuotaExhausted
from sage_spo.models.retry import RetryPolicy, call_with_retries

POLICY = RetryPolicy(attempts=4, timeout=5.0, deadline=60.0, base=1.0, cap=3.0)


class Script:
    """Raises or returns one outcome after another, and notes how long it was waited before each."""

    def __init__(self, *outcomes: Exception | str) -> None:
        self.outcomes: Iterator[Exception | str] = iter(outcomes)
        self.calls = 0
        self.waits: list[float] = []

    async def attempt(self) -> str:
        self.calls += 1
        outcome = next(self.outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def run(self, policy: RetryPolicy = POLICY, seed: int = 0) -> str:
        return await call_with_retries(self.attempt, policy, rng=np.random.default_rng(seed), sleep=self.sleep)


async def test_what_may_pass_is_tried_again() -> None:
    script = Script(TransientModelError("500"), TransientModelError("503"), "answer")
    assert await script.run() == "answer"
    assert script.calls == 3


async def test_waits_grow_up_to_the_cap_and_are_jittered_by_the_generator_given() -> None:
    failures = [TransientModelError("500")] * 9
    script = Script(*failures, "answer")
    await script.run(RetryPolicy(attempts=10, base=1.0, cap=3.0))
    assert all(0.5 * full <= wait <= full for wait, full in zip(script.waits, [1, 2, 3, 3, 3, 3, 3, 3, 3], strict=True))
    again, other = Script(*failures, "answer"), Script(*failures, "answer")
    await again.run(RetryPolicy(attempts=10, base=1.0, cap=3.0))
    await other.run(RetryPolicy(attempts=10, base=1.0, cap=3.0), seed=1)
    assert again.waits == script.waits != other.waits


async def test_the_servers_wish_is_honoured() -> None:
    script = Script(TransientModelError("429", retry_after=7.0), "answer")
    await script.run()
    assert 7.0 < script.waits[0] <= 8.0


async def test_a_wish_beyond_the_deadline_ends_it_at_once() -> None:
    script = Script(TransientModelError("429", retry_after=100.0), "answer")
    with pytest.raises(ModelError, match="gave up after 1 attempts: 429"):
        await script.run()
    assert script.waits == []


@pytest.mark.parametrize("error", [ModelError("400"), QuotaExhausted("no credit"), ValueError("bug")])
async def test_permanent_errors_pass_through_at_once(error: Exception) -> None:
    script = Script(error, "answer")
    with pytest.raises(type(error), match=str(error)):
        await script.run()
    assert script.calls == 1


async def test_it_gives_up_after_its_attempts_for_good() -> None:
    script = Script(*[TransientModelError("500")] * 9)
    with pytest.raises(ModelError, match="gave up after 4 attempts: 500") as caught:
        await script.run()
    assert not isinstance(caught.value, TransientModelError)
    assert (script.calls, len(script.waits)) == (4, 3)


async def test_an_attempt_that_hangs_is_cut_and_tried_again() -> None:
    cancelled: list[int] = []

    async def attempt() -> str:
        if len(cancelled) < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise
        return "answer"

    policy = RetryPolicy(attempts=4, timeout=0.02, deadline=5.0, base=0.001)
    assert await call_with_retries(attempt, policy, rng=np.random.default_rng(0)) == "answer"
    assert len(cancelled) == 2


async def test_the_deadline_holds_however_long_attempts_may_take() -> None:
    async def attempt() -> str:
        await asyncio.sleep(60)
        return "answer"

    policy = RetryPolicy(attempts=100, timeout=60.0, deadline=0.1, base=0.001)
    started = asyncio.get_running_loop().time()
    with pytest.raises(ModelError, match="gave up"):
        await call_with_retries(attempt, policy, rng=np.random.default_rng(0))
    assert asyncio.get_running_loop().time() - started < 2


async def test_cancelling_cancels_the_attempt_under_way() -> None:
    ended = asyncio.Event()

    async def attempt() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return "answer"

    task = asyncio.create_task(call_with_retries(attempt, POLICY, rng=np.random.default_rng(0)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
