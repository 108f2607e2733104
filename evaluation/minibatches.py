"""Minibatches: the examples in one order for a run, taken some at a time, round and round."""

from __future__ import annotations

from collections.abc import Sequence

from ..tasks.example import Example


def minibatch(order: Sequence[Example], start: int, size: int) -> tuple[Example, ...]:
    """The next `size` examples (at most all of them) of the order after the first `start`, which may have gone round
    more than once."""
    count = len(order)
    return tuple(order[(start + i) % count] for i in range(min(size, count)))
