"""How many calls may be under way at once: a fixed number, or as many as the provider bears."""

from __future__ import annotations

import asyncio
from collections import deque

START, MOST = 20, 256
STEP = 4
"""Calls more at once after a round in which the answers came as fast as before."""
SLOWER = 1.5
"""A mean time of answers beyond so many times the best one says that more calls at once only wait for each other."""
FORGET = 1.02
"""Growth per round of what counts as the best time: a provider that has become slower is no reason to stop for ever."""


class Concurrency:
    """`async with` it around each call; those that wait go in the order in which they came.

    Without a `fixed` number it starts at 20 at once. After each round (as many answers as calls may be under way) in
    which all the room was used and the answers came about as fast as in the best one, there is room for 4 more; one
    that the provider refuses (429) or lets time out halves it, down to 1. Calls that were under way at a halving say
    nothing about the new number: they neither halve it again nor count as a round.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self.size = fixed or START
        """How many may be under way now."""
        self.most = fixed or MOST
        self._fixed = fixed is not None
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._stale = 0
        """Calls of before the last halving that are still under way."""
        self._best = float("inf")
        self._begin_round()

    async def __aenter__(self) -> None:
        if self._under_way < self.size and not self._waiting:
            self._enter()
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was let in and cancelled at the same time
                await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._under_way -= 1
        while self._waiting and self._under_way < self.size:
            turn = self._waiting.popleft()
            if not turn.done():
                self._enter()
                turn.set_result(None)

    def answered(self, seconds: float) -> None:
        """A call was answered after so many seconds."""
        if self._fixed:
            return
        if self._stale:
            self._stale -= 1
            return
        self._answers += 1
        self._seconds += seconds
        if self._answers < self.size:
            return
        mean = self._seconds / self._answers
        self._best = min(self._best * FORGET, mean)
        if self._full and mean <= SLOWER * self._best:
            self.size = min(self.most, self.size + STEP)
        self._begin_round()

    def overloaded(self) -> None:
        """The provider refused a call because there were too many, or did not answer it in time."""
        if self._fixed:
            return
        if self._stale:
            self._stale -= 1
            return
        self.size = max(1, self.size // 2)
        self._stale = self._under_way - 1
        self._begin_round()

    def reached(self, calls: int) -> int:
        """How many calls may have been under way at most in a process that made so many."""
        # Rounds of 20, 24, 28, … answers: the sum of those up to n is about (n² - 20²) / (2 · 4).
        return self.size if self._fixed else min(self.most, int((START**2 + 2 * STEP * calls) ** 0.5) + STEP)

    def _enter(self) -> None:
        self._under_way += 1
        self._full |= self._under_way >= self.size

    def _begin_round(self) -> None:
        self._answers, self._seconds, self._full = 0, 0.0, self._under_way >= self.size
