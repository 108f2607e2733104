"""Whether a provider answers at all: an outage pauses the calls to it, where one bad request only fails itself.

A call that the provider does not answer is tried again by the retry layer, and in the end it is missing. Where nothing
is answered any more, that would be the wrong end for all of them: the calls wait instead, one of them probes at growing
intervals, and when it is answered they all go on as if nothing had happened. Where the provider can be reached, the
calls that wait may fail for what they ask: the probe is then a request that was answered before, and where it is
answered again, they are tried as if nobody else had failed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from ..errors import ModelError, ProviderDown, TransientModelError
from ..models.retry import Draws

PATIENCE_MINUTES = 10.0
FAILURES = 3
"""Attempts of one call that fail, while no other call is answered either, before it is called an outage. A time-out
counts as two: it has taken long enough."""
WITNESSES = 4
"""Calls that must have failed where the provider can be reached: fewer may fail because of what they ask."""
FEW_SECONDS = 30.0
"""Longest pause where fewer than that failed, as they were all that was asked; then they are missing."""
START_SECONDS = 60.0
"""Longest pause for a provider that has never answered this run: its address may be wrong."""
FIRST_PROBE, PROBE_CAP = 1.0, 30.0
"""Seconds before the first probing call, and at most between two; each time twice as long as before, of which the
upper half is drawn at random."""
LONGEST_SLEEP = 1.0
"""Seconds after which a sleeping probe looks again: a call that was under way may have been answered."""
SHORTEST_PROBE = 1.0
"""Seconds that a probing call has at least, however little patience is left."""


class Asked(Protocol):
    """A request, known by its key."""

    key: str


Request = TypeVar("Request", bound=Asked)


class Paused(Exception):
    """The attempt failed in an outage: it does not count, and the call begins again when `ready` lets it."""


@dataclass
class _Pause:
    """One outage that was noticed."""

    began: float
    limit: float
    few: bool
    """Whether it may be no outage, but the few calls that were asked."""
    interval: float = FIRST_PROBE
    prober: str | None = None
    """The call that probes, or sleeps until it does."""
    over: bool = False
    error: tuple[type[ModelError] | type[ProviderDown], str] | None = None
    """What every waiting call ends with, where the pause ended badly."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Let all who wait look again."""
        self.changed.set()
        self.changed = asyncio.Event()


class Outage:
    """What the calls of one run to one provider know of it together; for one event loop.

    Around every attempt: `if down: await ready(key)` before it; `probe(request)` is what it sends; `answered()` or
    `failed(…)` after it, with `blame()` before where an answer was to another one's request; `leave(key)` when the call
    is through, however it ended. `patience` is in seconds. `on_change(event, fields)` is told of `outage`
    (name, since as seconds of the epoch, reason, patience in seconds) and `outage_over` (name, seconds, answers: False
    where a few calls were given up).
    """

    def __init__(
        self,
        name: str,
        patience: float = 60 * PATIENCE_MINUTES,
        *,
        rng: Draws,
        known: bool = False,
        on_change: Callable[[str, dict[str, Any]], None] = lambda event, fields: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name, self.patience = name, patience
        self.known = known
        """Whether it has ever answered this run."""
        self._rng, self._on_change, self._clock, self._sleep = rng, on_change, clock, sleep
        self._last: Any = None
        """The last request that was answered."""
        self._blamed: set[str] = set()
        """Calls that failed while the provider answered another one: no sign of an outage."""
        self._failures: dict[str, int] = {}
        """Since the last answer: failures by call."""
        self._unreachable = False
        """Whether one of them was a connection that could not be made, or a gateway with nothing behind it."""
        self._since = 0.0
        self._reason = ""
        self._pause: _Pause | None = None

    @property
    def down(self) -> bool:
        """Whether calls have to wait."""
        return self._pause is not None

    def answered(self, request: Any = None) -> None:
        """The provider answered a call (to this request), or refused it for a reason of its own."""
        self.known = True
        self._last = request or self._last
        if self._failures or self._pause is not None:
            self._go_on()

    def failed(self, key: str, error: TransientModelError | TimeoutError, witnesses: int = WITNESSES) -> None:
        """An attempt of the call `key` failed in a way that may pass.

        `witnesses`: how many calls there are that could fail beside it, where that is less than usual. Raises Paused
        in an outage.
        """
        sign = "failing" if isinstance(error, TimeoutError) else error.sign
        if sign == "serving":  # too busy, or a broken reply: no answer, but no outage either
            if self._pause is not None:
                self._go_on()
            return
        if key in self._blamed and sign == "failing" and self._pause is None:
            return
        self._reason = str(error) or "no answer in time"
        self._unreachable |= sign == "unreachable"
        if not self._failures:
            self._since = self._clock()
        self._failures[key] = self._failures.get(key, 0) + (2 if isinstance(error, TimeoutError) else 1)
        if self._pause is None:
            enough = self._unreachable or len(self._failures) >= min(WITNESSES, witnesses)
            if self._failures[key] < FAILURES or not enough:
                return
            self._begin()
        self.leave(key)
        raise Paused from error

    async def ready(self, key: str) -> None:
        """Returns when the call may be tried: the provider answers again, or this call is the one that probes.

        Raises ProviderDown when patience is at its end, ModelError where only these few calls go unanswered.
        """
        while (pause := self._pause) is not None:
            if pause.error is None and pause.prober is None and self._left(pause) <= 0:
                self._give_up(pause)
            while pause.error is None and pause.prober is not None and not pause.over:
                await pause.changed.wait()
            if pause.error is not None:
                kind, words = pause.error
                raise kind(words)
            if pause.over or self._left(pause) <= 0:
                continue
            pause.prober = key
            wait = min(pause.interval * (0.5 + 0.5 * float(self._rng.random())), self._left(pause))
            pause.interval = min(PROBE_CAP, 2 * pause.interval)
            due = self._clock() + wait
            while not pause.over and (left := due - self._clock()) > 0:
                await self._sleep(min(left, LONGEST_SLEEP))
            return

    def probe(self, own: Request) -> Request:
        """What the call with this request sends now: its own one, or the last that was answered where it probes."""
        probes = self._pause is not None and self._pause.prober == own.key
        return self._last if probes and not self._unreachable and self._last is not None else own

    def blame(self) -> None:
        """The provider answers: the calls that failed did so for what they ask. They are tried again all the same."""
        self._blamed.update(self._failures)

    def probe_seconds(self, key: str) -> float | None:
        """How long the attempt of this call may take where it is the probe; None where it is not."""
        pause = self._pause
        return max(SHORTEST_PROBE, self._left(pause)) if pause is not None and pause.prober == key else None

    def leave(self, key: str) -> None:
        """The call is no longer under way: another one may probe."""
        if self._pause is not None and self._pause.prober == key:
            self._pause.prober = None
            self._pause.wake()

    def _begin(self) -> None:
        now = self._clock()
        few = not self._unreachable and len(self._failures) < WITNESSES
        limit = min(self.patience, FEW_SECONDS if few else self.patience)
        limit = limit if self.known else min(limit, START_SECONDS)
        self._pause = _Pause(now, limit, few)
        since = time.time() - (now - self._since)
        self._on_change("outage", {"name": self.name, "since": since, "reason": self._reason, "patience": limit})

    def _left(self, pause: _Pause) -> float:
        return pause.began + pause.limit - self._clock()

    def _go_on(self) -> None:
        self._failures.clear()
        self._unreachable = False
        self._end_pause()

    def _give_up(self, pause: _Pause) -> None:
        # What failed stays noted: where the next call fails too, it is an outage after all.
        waited = f"{self.name} has not answered for {duration(self._clock() - self._since)} ({self._reason})"
        if not self.known:
            waited = f"{self.name} has never answered this run ({self._reason}); is the address right?"
        pause.error = (ModelError if pause.few else ProviderDown, waited)
        if pause.few:
            self._end_pause()
        else:  # It stays: whoever else asks hears the same.
            pause.wake()

    def _end_pause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.over = True
            pause.wake()
            fields = {"name": self.name, "seconds": self._clock() - self._since, "answers": pause.error is None}
            self._on_change("outage_over", fields)


def duration(seconds: float) -> str:
    """`42 s`, `1.5 min`, `10 min`."""
    return f"{seconds:.0f} s" if seconds < 60 else f"{round(seconds / 60, 1):g} min"
