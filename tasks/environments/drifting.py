"""Bandits whose chances change while they are played; how they change is fixed by the seed before the first round."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...seeding import generator
from .bandits import BUTTONS, Bandit

Family = Literal["switch", "periodic", "walk"]
FAMILIES: tuple[Family, ...] = ("switch", "periodic", "walk")
COUNT, GAP = 5, 0.4
SWITCH_AT = 50
"""The round from which another action is the best one."""
PERIOD = 25
"""Rounds after which the next action is the best one, in turn."""
STEP, LOW, HIGH = 0.04, 0.1, 0.9
"""Of the random walk: standard deviation of a round's step, and where it is thrown back."""
HORIZON = 2000
"""Rounds for which the walk is drawn; beyond them it stands still."""


class DriftingBandit(Bandit):
    """Five buttons, a gap of 0.4 (`switch`, `periodic`) or independent random walks (`walk`).

    A round is a new action id. Regret: the best chance of that round minus the action's, so that its sum is the regret
    against the best switching arm.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        super().__init__(BUTTONS, COUNT, GAP)

    def reset(self, seed: int) -> None:
        """Fix how the chances change, and begin again at the first round."""
        super().reset(seed)
        rng = generator(seed, "drift", self._family)
        order = rng.permutation(COUNT)
        best = {
            "switch": lambda t: order[int(t >= SWITCH_AT)],
            "periodic": lambda t: order[t // PERIOD % COUNT],
            "walk": lambda t: 0,
        }[self._family]
        self._means = np.full((HORIZON, COUNT), 0.5 - GAP / 2)
        self._means[np.arange(HORIZON), [best(t) for t in range(HORIZON)]] = 0.5 + GAP / 2
        if self._family == "walk":
            steps = rng.normal(0.0, STEP, (HORIZON, COUNT))
            steps[0] += rng.uniform(LOW, HIGH, COUNT)
            self._means = _reflected(np.cumsum(steps, axis=0))

    def means(self, round: int) -> tuple[float, ...]:
        return tuple(float(mean) for mean in self._means[min(round, HORIZON - 1)])


def _reflected(values: np.ndarray) -> np.ndarray:
    """Values folded back into [LOW, HIGH] at its ends."""
    width = HIGH - LOW
    within = np.mod(values - LOW, 2 * width)
    return LOW + np.minimum(within, 2 * width - within)
