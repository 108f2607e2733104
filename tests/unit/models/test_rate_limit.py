"""An account's limits are learnt from its answers and kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from sage_spo.models.rate_limit import RateLimit, duration


@dataclass
class Account:
    """A provider that allows so many requests and tokens a minute, on a clock of its own, and says so in headers."""

    requests: float = 60
    tokens: float = 1e9
    now: float = 0.0
    refused: int = 0
    answered: int = 0
    waits: list[float] = field(default_factory=list)
    _left: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._left = {"requests": self.requests, "tokens": self.tokens}
        self.limit = RateLimit(clock=lambda: self.now, sleep=self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        for name in self._left:
            size = getattr(self, name)
            self._left[name] = min(size, self._left[name] + size / 60 * seconds)
        await asyncio.sleep(0)

    async def call(self, bound: int, used: int) -> None:
        await self.limit.wait_for_room(bound, self.waits.append)
        self.limit.begin(bound)
        await asyncio.sleep(0)
        granted = self._left["requests"] >= 1 - 1e-9 and self._left["tokens"] >= used - 1e-9
        if granted:
            self._left["requests"] -= 1
            self._left["tokens"] -= used
        self.refused += not granted
        self.answered += granted
        headers = {}
        for name, left in self._left.items():
            size = getattr(self, name)
            headers[f"x-ratelimit-limit-{name}"] = str(int(size))
            headers[f"x-ratelimit-remaining-{name}"] = str(int(left))
            headers[f"x-ratelimit-reset-{name}"] = f"{(size - left) / size * 60:.3f}s"
        self.limit.learn(200 if granted else 429, headers)
        self.limit.end(bound)

    async def calls(self, count: int, at_once: int, bound: int = 100, used: int = 60) -> None:
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                await self.call(bound, used)

        await asyncio.gather(*(work() for _ in range(at_once)))


async def test_a_small_account_gets_almost_no_refusal_and_is_used_to_the_full() -> None:
    account = Account(requests=60)
    await account.calls(300, at_once=20)
    assert account.refused <= 3
    assert account.answered >= 297
    assert account.now <= 1.15 * 60 * (300 - 60) / 60  # 60 are there at once, then one a second


async def test_tokens_per_minute_are_kept_too() -> None:
    account = Account(requests=10_000, tokens=6_000)
    await account.calls(300, at_once=10, bound=150, used=60)
    assert account.refused <= 3
    assert account.now <= 1.3 * 60 * (300 * 60 - 6_000) / 6_000


async def test_an_account_without_limits_never_waits() -> None:
    limit = RateLimit()
    limit.learn(200, {"content-type": "application/json"})
    assert limit.wait(10**9) == 0


async def test_retry_after_holds_everybody_up_and_the_wait_is_told() -> None:
    account = Account()
    account.limit.learn(429, {"Retry-After": "12"})
    await account.limit.wait_for_room(1, account.waits.append)
    assert account.now == pytest.approx(12)
    assert account.waits[0] == pytest.approx(12)
    assert account.waits[-1] == 0


async def test_a_waiting_call_can_be_cancelled_and_leaves_no_trace() -> None:
    limit = RateLimit()
    limit.learn(429, {"Retry-After": "60"})
    told: list[float] = []
    waiting = asyncio.create_task(limit.wait_for_room(1, told.append))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert told[-1] == 0
    assert 59 < limit.wait(1) <= 60


async def test_a_request_larger_than_the_whole_limit_waits_for_a_full_one_only() -> None:
    account = Account(tokens=1_000)
    account.limit.learn(200, {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "500"})
    assert 0 < account.limit.wait(5_000) <= 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("6m0s", 360.0), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("7", 7.0), ("soon", None), ("", None)],
)
def test_durations_are_read_in_all_their_forms(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds
