"""How an error rate is spread over repeated uses, so that all of them together err no more often than once."""

from __future__ import annotations

import math


def spent_alpha(use: int, alpha: float = 0.05) -> float:
    """The error rate left for the `use`-th use (from 1) of one test split: alpha · 6 / (π² use²).

    The series sums to `alpha` over all uses there can ever be, so nobody has to say beforehand how many.
    """
    if use < 1:
        raise ValueError(f"uses are counted from 1, not {use}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    return alpha * 6 / (math.pi * use) ** 2


def candidate_alpha(index: int, alpha: float = 0.05) -> float:
    """The error rate for a run's `index`-th candidate (from 1) under accept rule `significant`: the same series."""
    return spent_alpha(index, alpha)
