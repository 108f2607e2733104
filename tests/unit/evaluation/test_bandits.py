"""Best-arm identification on arms whose means are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from sage_spo.evaluation.bandits import Arms, Bound, by_rejects, by_upper_bound, phases, upper_bound
from sage_spo.evaluation.portions import portion

MEANS = (0.3, 0.35, 0.4, 0.7, 0.45, 0.3)
BEST = 3


class Coins:
    """Arms that pay 0 or 1 with known chances; `log` holds the arms pulled in each round."""

    def __init__(self, means: Sequence[float], seed: int, sample: int = 4, room: int = 10**6) -> None:
        self.means, self.rng, self.sample, self.room = means, np.random.default_rng(seed), sample, room
        self.log: list[list[int]] = []

    async def __call__(self, arms: Sequence[int]) -> list[list[float]] | None:
        self.room -= len(arms)
        if self.room < 0:
            return None
        self.log.append(list(arms))
        return [[float(x) for x in self.rng.random(self.sample) < self.means[arm]] for arm in arms]


@pytest.mark.parametrize("bound", ["ucb", "ucb-e"])
async def test_upper_bounds_find_the_best_arm_and_pull_it_most(bound: Bound):
    found, share, regret, uniform = 0, 0.0, 0.0, 0.0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        arms = await by_upper_bound(
            len(MEANS), Coins(MEANS, seed), rng, rounds=40, width=2, exploration=0.5, bound=bound
        )
        found += arms.ranked()[0] == BEST
        share += arms.pulls[BEST] / sum(arms.pulls) / 40
        regret += sum(n * (max(MEANS) - m) for n, m in zip(arms.pulls, MEANS, strict=True))
        uniform += sum(arms.pulls) / len(MEANS) * sum(max(MEANS) - m for m in MEANS)
    assert found >= 36
    assert share > 1.5 / len(MEANS)
    assert regret < 0.85 * uniform


async def test_successive_rejects_finds_the_best_arm_within_its_pulls():
    found = 0
    for seed in range(40):
        arms = await by_rejects(len(MEANS), Coins(MEANS, seed), pulls=90)
        assert sum(arms.pulls) <= 90
        assert sorted(arms.pulls)[-1] == arms.pulls[arms.ranked()[0]] or arms.ranked()[0] != BEST
        found += arms.ranked()[0] == BEST
    assert found >= 36


def test_the_phases_are_those_of_the_paper():
    # K = 4, B = 20: l = 1/2 + 1/2 + 1/3 + 1/4, n_k = ceil(16 / (l (5 - k)))
    log = 0.5 + 1 / 2 + 1 / 3 + 1 / 4
    assert phases(4, 20) == [math.ceil(16 / (log * 4)), math.ceil(16 / (log * 3)), math.ceil(16 / (log * 2))]
    assert phases(1, 5) == [5]
    for size in range(2, 12):
        lengths = phases(size, 10 * size)
        assert lengths == sorted(lengths)
        assert sum(lengths) + lengths[-1] <= 10 * size


def test_the_bounds_are_those_of_the_paper():
    assert upper_bound(0.5, 4, 8, 0.5) == pytest.approx(0.5 + 0.5 * math.sqrt(math.log(8) / 4))
    assert upper_bound(0.5, 4, 8, 0.5, "ucb-e") == pytest.approx(0.5 + 0.5 * math.sqrt(0.5 / 4))


async def test_every_arm_is_pulled_before_one_is_pulled_twice_and_none_more_than_it_may():
    coins = Coins(MEANS, 1)
    arms = await by_upper_bound(6, coins, np.random.default_rng(0), rounds=20, width=2, exploration=0.5, most=2)
    assert sorted(arm for chosen in coins.log[:3] for arm in chosen) == list(range(6))
    assert arms.pulls == [2] * 6


async def test_an_arm_whose_rewards_are_all_missing_has_no_mean_and_is_not_pulled_for_ever():
    async def pull(arms: Sequence[int]) -> list[list[float]]:
        return [[] if arm == 0 else [0.1, 0.2] for arm in arms]

    arms = await by_upper_bound(3, pull, np.random.default_rng(0), rounds=9, width=1, exploration=0.5)
    assert arms.mean(0) is None
    assert arms.pulls[0] == 1
    assert 0 not in arms.ranked()


async def test_where_the_budget_ends_what_was_seen_counts():
    arms = await by_upper_bound(
        6, Coins(MEANS, 2, room=7), np.random.default_rng(0), rounds=9, width=3, exploration=0.5
    )
    assert arms.cut
    assert sum(arms.pulls) == 6


def test_missing_rewards_leave_the_mean_alone():
    arms = Arms(1)
    arms.add(0, [1.0])
    arms.add(0, [])
    assert arms.mean(0) == 1.0


def test_a_portion_stays_within_its_bounds():
    assert [portion(limit, 10, 2, 8) for limit in (None, 5, 50, 500)] == [8, 2, 5, 8]
