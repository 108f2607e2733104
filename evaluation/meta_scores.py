"""What a meta-prompt scores for the actions that an agent chose under it, and how far the actions were from the best.

Source of the scores: arXiv 2502.00728, sections 3.3 (minimisation) and 4.2 (bandits).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

UNPULLED = 0.5
"""The mean that an action without a value is taken to have, as a part of the way from the lowest to the highest."""
LOWEST = -1.0
"""No meta-prompt scores less: how much worse than twice the bound an action is says nothing more of its meta-prompt."""


def minimised(value: float, bound: float) -> float:
    """(bound - value)/bound: 1 at a value of 0, 0 at the bound, at least -1. Raises ValueError unless bound > 0."""
    if not 0 < bound < math.inf:
        raise ValueError(f"the bound of a minimisation must be a positive finite number, not {bound}")
    return max(LOWEST, (bound - value) / bound)


def maximised(value: float, low: float | None, high: float | None) -> float:
    """The value as a part of its range, where it has one with two ends; else the value as it is."""
    return value if low is None or high is None else (value - low) / (high - low)


def batch_score(
    chosen: Sequence[str], seen: Sequence[tuple[str, float]], low: float | None = 0.0, high: float | None = 1.0
) -> float:
    """Σ p_a·μ̂_a over the actions of a batch: p_a the share of the batch that chose a, μ̂_a the mean of a's values so far
    (0.5 where it has none), as parts of the range. Raises ValueError for an empty batch."""
    if not chosen:
        raise ValueError("a batch without an action has no score")
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for action, value in seen:
        sums[action] += maximised(value, low, high)  # type: ignore[assignment]  (a Counter holds floats as well)
        counts[action] += 1
    means = {action: sums[action] / counts[action] for action in counts}
    return sum(means.get(action, UNPULLED) for action in chosen) / len(chosen)


def running_sum(values: Sequence[float | None]) -> list[float]:
    """Sums of the values up to each one; what is missing adds nothing."""
    return [float(total) for total in np.cumsum([0.0 if value is None else value for value in values])]


def running_least(values: Sequence[float | None]) -> list[float | None]:
    """The least value up to each one; None before the first."""
    found: list[float | None] = []
    least: float | None = None
    for value in values:
        if value is not None:
            least = value if least is None else min(least, value)
        found.append(least)
    return found


def fixed_regret(means: Sequence[Sequence[float]], taken: Sequence[float]) -> float:
    """Regret against the best single action: max_a Σ_t means[t][a] - Σ_t taken[t], taken[t] being the mean of the
    action of round t. Negative where an agent that follows the drift does better than any single action."""
    if not means:
        return 0.0
    return float(np.sum(np.asarray(means, dtype=np.float64), axis=0).max() - np.sum(taken))


def mean_se(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and its standard error; None where there is no value, and for the error of one value."""
    if not values:
        return None, None
    spread = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return float(np.mean(values)), spread
