"""Which sentence of a prompt is edited next: weights that grow with what edits of a sentence have brought.

Source: arXiv 2406.13443, section 3.2; docs/strategies.md. The two caps are this project's: uncapped, the weights
explode after some hundred steps.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

START = 1.0
"""The weight that every sentence begins with."""

MOST = 20.0
"""No weight grows beyond this, ..."""

MOST_GROWTH = 0.5
"""... and none by more than exp of this in one step."""


def draw_probabilities(weights: Sequence[float]) -> list[float]:
    """The probability that each sentence is drawn with: exp(w_i) / Σ exp(w_j)."""
    if not weights:
        return []
    top = max(weights)
    powers = [math.exp(w - top) for w in weights]
    total = sum(powers)
    return [p / total for p in powers]


def reward(accuracy: float, on_failures: float, a: float) -> float:
    """r = a · accuracy on the validation set + (1 - a) · accuracy on the failure cases."""
    return a * accuracy + (1 - a) * on_failures


def updated(weights: Sequence[float], drawn: int, r: float, mu: float) -> list[float]:
    """The weights after an edit of sentence `drawn` that earned the reward `r`: w_i · exp(min(μ·r / (p_i·n), 0.5)).

    p_i is the probability it was drawn with, n the number of sentences.
    """
    p = draw_probabilities(weights)[drawn]
    growth = math.exp(min(mu * r / (p * len(weights)), MOST_GROWTH))
    return [min(w * growth, MOST) if i == drawn else w for i, w in enumerate(weights)]


def carried(old: Sequence[str], weights: Sequence[float], new: Sequence[str], other: float = START) -> list[float]:
    """The weights of the sentences of a new prompt: those that stood in the old one keep theirs, all others get
    `other`."""
    left: dict[str, list[float]] = {}
    for text, weight in zip(old, weights, strict=True):
        left.setdefault(text, []).append(weight)
    taken = Counter[str]()
    found: list[float] = []
    for text in new:
        known = left.get(text, [])
        found.append(known[taken[text]] if taken[text] < len(known) else other)
        taken[text] += 1
    return found


def drawn(weights: Sequence[float], count: int, rng: np.random.Generator) -> list[int]:
    """The indices of `count` sentences, drawn by weight: none twice before every one came once."""
    found: list[int] = []
    p = draw_probabilities(weights)
    while p and len(found) < count:
        size = min(count - len(found), sum(x > 0 for x in p))
        found += [int(i) for i in rng.choice(len(p), size=size, replace=False, p=p)]
    return found
