"""Best-arm identification: which of several candidates is the best, found by measuring the promising ones more.

An arm is a candidate, a pull measures it on a few examples and gives their rewards, each from 0 to 1; a missing one is
left out, never a zero. The source of the whole is ProTeGi (arXiv 2305.03495, section 3.2, algorithms 3 and 4), which
takes its formulas from

    UCB     mean + c·sqrt(ln t / n)            Auer, Cesa-Bianchi and Fischer, Machine Learning 47 (2002), UCB1
    UCB-E   mean + c·sqrt(c / n)               Audibert, Bubeck and Munos, COLT 2010, section 3, with a = c³
    rejects n_k = ceil((B - K) / (l·(K + 1 - k))), l = 1/2 + 1/2 + 1/3 + … + 1/K     the same, section 4

with t the rounds so far, n the rewards of the arm, K the arms, B the pulls there are for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Bound = Literal["ucb", "ucb-e"]

Pull = Callable[[Sequence[int]], Awaitable[Sequence[Sequence[float]] | None]]
"""Pulls each of the arms once, at the same time: the rewards of each, in order; None where no pull can be paid."""


@dataclass
class Arms:
    """What was seen of K arms: `pulls`, number of rewards (`counts`) and their `sums`, one entry for each arm."""

    size: int
    pulls: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    cut: bool = False
    """Whether the pulls ended before their time, for want of budget."""

    def __post_init__(self) -> None:
        self.pulls, self.counts, self.sums = [0] * self.size, [0] * self.size, [0.0] * self.size

    def add(self, arm: int, rewards: Iterable[float]) -> None:
        """Count one pull of an arm."""
        seen = list(rewards)
        self.pulls[arm] += 1
        self.counts[arm] += len(seen)
        self.sums[arm] += sum(seen)

    def mean(self, arm: int) -> float | None:
        """The mean reward of an arm; None where it has none."""
        return self.sums[arm] / self.counts[arm] if self.counts[arm] else None

    def ranked(self) -> list[int]:
        """The arms that have rewards, the highest mean first; on a tie the one that comes first."""
        means = {arm: mean for arm in range(self.size) if (mean := self.mean(arm)) is not None}
        return sorted(means, key=lambda arm: -means[arm])


def upper_bound(mean: float, count: int, rounds: int, exploration: float, bound: Bound = "ucb") -> float:
    """How good an arm may be: `mean` over `count` rewards, after so many rounds; see the top of this file."""
    within = math.log(max(rounds, 1)) if bound == "ucb" else exploration
    return mean + exploration * math.sqrt(within / count)


async def by_upper_bound(
    size: int,
    pull: Pull,
    rng: np.random.Generator,
    *,
    rounds: int,
    width: int,
    exploration: float,
    bound: Bound = "ucb",
    most: int | None = None,
) -> Arms:
    """What `rounds` rounds saw, each of which pulls the `width` arms with the highest upper bounds.

    Arms without a pull come first, ties are in an order drawn once. An arm is pulled `most` times at most, and not
    again where its pulls gave no reward at all.
    """
    arms, order = Arms(size), rng.permutation(size)
    rank = {int(arm): place for place, arm in enumerate(order)}
    for number in range(1, rounds + 1):

        def worth(arm: int, number: int = number) -> tuple[float, int]:
            mean = arms.mean(arm)
            high = math.inf if mean is None else upper_bound(mean, arms.counts[arm], number, exploration, bound)
            return (-high, rank[arm])

        open_ = [a for a in range(size) if not arms.pulls[a] or (arms.counts[a] and (not most or arms.pulls[a] < most))]
        if not await _pulled(arms, sorted(open_, key=worth)[:width], pull):
            break
    return arms


async def by_rejects(size: int, pull: Pull, *, pulls: int, keep: int = 1, most: int | None = None) -> Arms:
    """What successive rejects saw with so many pulls for all arms: in each phase all that are left are pulled equally
    often, then the one with the lowest mean falls out, until `keep` are left."""
    arms, left, done = Arms(size), list(range(size)), 0
    for wanted in phases(size, pulls)[: max(1, size - keep)]:
        wanted = wanted if most is None else min(wanted, most)
        for _ in range(done, wanted):
            if not await _pulled(arms, left, pull):
                return arms
        done = max(done, wanted)
        if len(left) > keep:
            means = {arm: mean if (mean := arms.mean(arm)) is not None else -1.0 for arm in left}
            left.remove(min(reversed(left), key=lambda arm: means[arm]))
    return arms


def phases(size: int, pulls: int) -> list[int]:
    """For each of the K - 1 phases of successive rejects, how often every arm left was pulled by its end; at least 1.

    With a budget of `pulls` at least K, no more than that are made in all; of one arm it is all of them.
    """
    if size < 2:
        return [max(1, pulls)]
    harmonic = 0.5 + sum(1 / i for i in range(2, size + 1))
    return [max(1, math.ceil((pulls - size) / (harmonic * (size + 1 - k)))) for k in range(1, size)]


async def _pulled(arms: Arms, chosen: Sequence[int], pull: Pull) -> bool:
    """Pull the chosen arms; False where there are none, or the budget has no room."""
    if not chosen:
        return False
    rewards = await pull(chosen)
    arms.cut = rewards is None
    for arm, seen in zip(chosen, rewards or (), strict=False):
        arms.add(arm, seen)
    return rewards is not None
