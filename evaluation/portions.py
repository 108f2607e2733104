"""What one step of a search may spend, so that a small budget pays for enough of them."""

from __future__ import annotations


def portion(limit: float | None, steps: int, least: int, most: int) -> int:
    """The `steps`-th part of a limit, at least `least` and at most `most`, which it is where nothing is limited."""
    return most if limit is None else max(least, min(most, int(limit / steps)))
