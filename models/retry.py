"""The one retry layer: what may pass is tried again, until it works or a hard deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..errors import ModelError, TransientModelError

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """At most `attempts`, each at most `timeout` seconds, all together at most `deadline` seconds (waiting to be
    admitted aside).

    Between attempts it waits as long as the server's Retry-After asks, and on top of that `base` · 2^k seconds, at
    most `cap`, of which the upper half is drawn at random.
    """

    attempts: int = 6
    timeout: float = 60.0
    deadline: float = 300.0
    base: float = 0.5
    cap: float = 30.0


class Draws(Protocol):
    """Where random numbers in [0, 1) come from: a numpy generator, or what makes one when it is first needed."""

    def random(self) -> float: ...


async def call_with_retries(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    rng: Draws,
    admit: Callable[[], Awaitable[None]] | None = None,
    on_failure: Callable[[TransientModelError | TimeoutError], None] = lambda error: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """The result of the first attempt that succeeds.

    `TransientModelError` and an attempt's time-out are retried, everything else is raised at once. Raises
    ModelError when attempts or deadline run out. Before each attempt it awaits `admit()`, which is not part of the
    attempt's time; `on_failure` is told of every attempt that failed in a way that may pass, and may end the call by an
    exception of its own. Cancelling it cancels the attempt under way.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + policy.deadline
    for number in range(policy.attempts):
        wait = 0.0
        try:
            if admit is not None:
                started = loop.time()
                await admit()
                end += loop.time() - started
            async with asyncio.timeout(min(policy.timeout, max(0.0, end - loop.time()))):
                return await attempt()
        except TimeoutError as error:
            failure = f"no answer within {policy.timeout:g} s"
            on_failure(error)
        except TransientModelError as error:
            failure, wait = str(error), error.retry_after or 0.0
            on_failure(error)
        # On top of the server's wish, so that callers who were all sent away at once do not all come back at once.
        wait += min(policy.cap, policy.base * 2**number) * (0.5 + 0.5 * float(rng.random()))
        if number + 1 == policy.attempts or loop.time() + wait >= end:
            raise ModelError(f"gave up after {number + 1} attempts: {failure}")
        await sleep(wait)
    raise ModelError("no attempt was allowed")
