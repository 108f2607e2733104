"""An account's limits of requests and tokens per minute, learnt from the provider's answers and kept.

OpenAI's headers, which most compatible services send too: `x-ratelimit-limit-requests`, `-remaining-requests`,
`-reset-requests` (as `6m0s`), the same for `-tokens`; and `Retry-After`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

LONGEST_SLEEP = 1.0
"""Seconds after which a waiting call looks again: an answer may have brought better news."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass
class Bucket:
    """What may still be used of one limit: `level` of at most `size`, growing by `rate` per second."""

    size: float
    level: float
    rate: float
    at: float

    def refill(self, now: float) -> None:
        """Let it grow up to `now`."""
        self.level = min(self.size, self.level + self.rate * (now - self.at))
        self.at = now

    def wait(self, amount: float) -> float:
        """Seconds until so much is there. What is more than the whole bucket waits for a full one."""
        return max(0.0, (min(amount, self.size) - self.level) / self.rate)


@dataclass
class RateLimit:
    """Tells when the account has room for a call: `wait_for_room`, then `begin` and `end` around the attempt.

    Before the first answer nothing is known and nobody waits. Attempts under way count in full, at their upper
    bound of tokens, until they are answered, whatever the server has counted of them already.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _under_way: dict[str, float] = field(default_factory=lambda: {"requests": 0.0, "tokens": 0.0})
    _closed_until: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wait(self, tokens: int) -> float:
        """Seconds until a call of at most so many tokens may go; 0: now."""
        now = self.clock()
        wait = max(0.0, self._closed_until - now)
        for name, bucket in self._buckets.items():
            bucket.refill(now)
            wait = max(wait, bucket.wait(tokens if name == "tokens" else 1))
        return wait

    async def wait_for_room(self, tokens: int, on_wait: Callable[[float], None] = lambda seconds: None) -> None:
        """Returns when a call of at most so many tokens may go; calls go in the order in which they came.

        `on_wait` is told how many seconds a call will wait, and 0 when it goes.
        """
        if not self._turn.locked() and not self.wait(tokens):
            return
        async with self._turn:
            if not self.wait(tokens):
                return
            try:
                while wait := self.wait(tokens):
                    on_wait(wait)
                    await self.sleep(min(wait, LONGEST_SLEEP))
            finally:
                on_wait(0.0)

    def begin(self, tokens: int) -> None:
        """An attempt of at most so many tokens is sent."""
        self._under_way["requests"] += 1
        self._under_way["tokens"] += tokens
        for name, bucket in self._buckets.items():
            bucket.level -= tokens if name == "tokens" else 1

    def end(self, tokens: int) -> None:
        """The attempt begun with this bound has ended, however it did."""
        self._under_way["requests"] -= 1
        self._under_way["tokens"] -= tokens

    def learn(self, status: int, headers: Mapping[str, str]) -> None:
        """Take up what an answer's headers say."""
        for name in ("requests", "tokens"):
            limit = _number(headers.get(f"x-ratelimit-limit-{name}"))
            if limit:
                self._set(name, limit, headers)
        if status == 429 and (wish := retry_after(headers)):
            self._closed_until = max(self._closed_until, self.clock() + wish)

    def _set(self, name: str, limit: float, headers: Mapping[str, str]) -> None:
        remaining = _number(headers.get(f"x-ratelimit-remaining-{name}"))
        remaining = limit if remaining is None else min(limit, remaining)
        reset = duration(headers.get(f"x-ratelimit-reset-{name}"))
        # `reset` says when all of it will be there again. This way limits per day are kept as well.
        rate = (limit - remaining) / reset if reset and remaining < limit else limit / 60
        # The answered call itself is still under way here, and the server has counted it.
        others = max(0.0, self._under_way[name] - (self._under_way[name] / max(1.0, self._under_way["requests"])))
        self._buckets[name] = Bucket(limit, remaining - others, rate, self.clock())


def duration(text: str | None) -> float | None:
    """Seconds of `1s`, `6m0s`, `120ms` or a plain number of seconds; None for anything else."""
    if not text:
        return None
    parts = _DURATION.findall(text)
    return sum(float(n) * _SECONDS[unit] for n, unit in parts) if parts else _number(text)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None without a readable one."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("Retry-After")
        if value is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
