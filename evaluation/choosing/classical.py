"""Bandits without a network: the reference lines. Each knows its arms by their numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import choice
from .choice import Choice, State, checked
from .evidence import FADED, Evidence, finite, restored
from .options import ChooserOptions

Saved = Mapping[str, NDArray[Any]] | None


class Fixed:
    """Always the first arm: what not learning is worth."""

    def __init__(self, arms: int) -> None:
        self.arms = arms

    def choose(self, rng: np.random.Generator) -> Choice:
        return Choice(0, 1.0, 0.0)

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        checked(arm, self.arms, score)

    def state(self) -> State:
        return {}


class UpperBound:
    """The arm with the highest mean + c·sqrt(2·ln N / n), those never seen first, the first one on a tie.

    With `discount` 1 it is UCB1 (Auer, Cesa-Bianchi and Fischer 2002). Below 1 every score fades by it each round, and
    n and N are the discounted numbers of scores of the arm and of all arms: discounted UCB (Garivier and Moulines 2011,
    with ξ = 1/2). c is `options.exploration`; scores are taken to lie in [0, 1].
    """

    def __init__(self, arms: int, options: ChooserOptions, discount: float, state: Saved = None) -> None:
        self.arms, self._options, self._discount = arms, options, discount
        self._evidence = Evidence.of(arms, state)

    def choose(self, rng: np.random.Generator) -> Choice:
        counts = self._evidence.counts
        seen = counts > FADED
        rounds = math.log(max(float(counts.sum()), 1.0))
        bounds = np.full(self.arms, np.inf)
        bounds[seen] = self._evidence.totals[seen] / counts[seen]
        bounds[seen] += self._options.exploration * np.sqrt(2 * rounds / counts[seen])
        return choice.best(bounds)

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        self._evidence = self._evidence.plus(arm, score, self._discount)

    def state(self) -> State:
        return self._evidence.state()


class Thompson:
    """Beta Thompson sampling from Beta(1, 1); a score s in [0, 1], clipped to it, counts as s wins and 1 - s losses.

    Exact for scores of 0 and 1 (Chapelle and Li 2011). The probability and entropy of a choice are estimates from
    `DRAWS` draws of the posterior, the choice among them.
    """

    DRAWS = 128

    def __init__(self, arms: int, state: Saved = None) -> None:
        self.arms = arms
        self._wins, self._losses = restored(state, "wins", arms, 1.0), restored(state, "losses", arms, 1.0)

    def choose(self, rng: np.random.Generator) -> Choice:
        winners = rng.beta(self._wins, self._losses, size=(self.DRAWS, self.arms)).argmax(axis=1)
        shares = np.bincount(winners, minlength=self.arms) / self.DRAWS
        return Choice(int(winners[0]), float(shares[winners[0]]), choice.entropy(shares))

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        value = min(max(checked(arm, self.arms, score), 0.0), 1.0)
        one = np.arange(self.arms) == arm
        self._wins, self._losses = self._wins + one * value, self._losses + one * (1 - value)

    def state(self) -> State:
        return {"wins": self._wins.copy(), "losses": self._losses.copy()}


class Exp3S:
    """EXP3.S (Auer, Cesa-Bianchi, Freund and Schapire 2002, section 8): made for a best arm that changes.

    p = (1 - γ)·w/Σw + γ/K; after score x of arm i, drawn with probability p_i, w_i ← w_i·exp(γ·x/(p_i·K)), and
    w_j ← w_j + e·α/K·Σw for every arm. Scores are clipped to [0, 1]. Weights are kept as logarithms, the largest 0.
    """

    def __init__(self, arms: int, options: ChooserOptions, state: Saved = None) -> None:
        self.arms, self._options = arms, options
        self._weights = restored(state, "log_weights", arms)

    def _probabilities(self) -> NDArray[np.float64]:
        mixing = self._options.mixing
        return (1 - mixing) * choice.softmax(self._weights) + mixing / self.arms

    def choose(self, rng: np.random.Generator) -> Choice:
        return choice.draw(self._probabilities(), rng)

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        value = min(max(checked(arm, self.arms, score), 0.0), 1.0)
        drawn_with = self._probabilities()[arm] if probability is None else probability
        if not 0 < drawn_with <= 1:
            raise ValueError(f"a probability must be above 0 and at most 1, not {drawn_with}")
        gained = self._weights.copy()
        gained[arm] += self._options.mixing * value / (max(drawn_with, self._options.mixing / self.arms) * self.arms)
        # In units of the largest weight: the shares' own sum is over the weights before the gain.
        top = float(gained.max())
        total = float(np.exp(self._weights - top).sum())
        weights = np.log(np.exp(gained - top) + math.e * self._options.share / self.arms * total + 1e-300)
        self._weights = finite(weights - weights.max())

    def state(self) -> State:
        return {"log_weights": self._weights.copy()}
