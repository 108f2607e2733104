"""EXPO: predictions of a network, summed over rounds, through a softmax; and its variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import choice
from .arms import Arms
from .choice import Choice, State
from .evidence import Evidence, finite, restored
from .network import fit, initial
from .options import ChooserOptions

Rule = Literal["sum", "discounted", "fixed-share", "fading", "newest"]


class Expo:
    """After each score a network is fitted to all scores so far, and its prediction for every arm taken in:

        sum          ŝ ← ŝ + f                                  EXPO, arXiv 2502.00728, algorithm 1
        discounted   ŝ ← γ·ŝ + f
        fixed-share  w ← (1 - α)·softmax(η·(ŝ + f)) + α/K,  ŝ ← ln(w)/η    Herbster and Warmuth 1998
        fading       ŝ ← γ·ŝ + f, f fitted to the scores minus their mean, each older one weighing γ times as much
                     as the next: this project's own
        newest       ŝ ← f, and the best arm is taken: the ablation without the adversarial part

    An arm is drawn from softmax(η·ŝ): without importance weights, without uniform mixing. What the network says of an
    arm that it knows nothing of is noise of its initial weights, the same in every round; summed, it decides as much as
    the scores do, the more the larger η is. Less their mean, an arm has to beat others to gain by being tried.
    Before the first score every arm is as likely (`newest`: the first arm is taken). Memory: three numbers an arm,
    however many rounds there are.
    """

    def __init__(
        self,
        arms: Arms,
        options: ChooserOptions,
        seed: int,
        rule: Rule = "sum",
        state: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self._arms, self._options, self._seed, self._rule = arms, options, seed, rule
        self._start = initial(arms.inputs, options.network, seed)
        self._evidence = Evidence.of(arms.size, state)
        self._scores = restored(state, "cumulative", arms.size)

    @property
    def arms(self) -> int:
        return self._arms.size

    @property
    def scores(self) -> NDArray[np.float64]:
        """ŝ of every arm."""
        return self._scores.copy()

    def choose(self, rng: np.random.Generator) -> Choice:
        if self._rule == "newest":
            return choice.best(self._scores)
        return choice.draw(choice.softmax(self._options.eta * self._scores), rng)

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        evidence = self._evidence.plus(arm, score, self._options.discount if self._rule == "fading" else 1.0)
        seen, targets, counts = evidence.rows()
        if self._rule == "fading":
            targets = (targets - np.average(targets, weights=counts)).astype(np.float32)
        network = fit(self._start, self._arms.rows(seen), targets, counts, self._options.network, self._seed)
        scores = finite(self._taken_in(network.predict_all(self._arms.tables).astype(np.float64)))
        self._evidence, self._scores = evidence, scores

    def _taken_in(self, predictions: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._rule == "newest":
            return predictions
        if self._rule in ("discounted", "fading"):
            return self._options.discount * self._scores + predictions
        if self._rule == "sum":
            return self._scores + predictions
        weights = choice.softmax(self._options.eta * (self._scores + predictions))
        shared = (1 - self._options.share) * weights + self._options.share / len(weights)
        return np.log(np.maximum(shared, np.finfo(np.float64).tiny)) / self._options.eta

    def state(self) -> State:
        return {**self._evidence.state(), "cumulative": self._scores.copy()}
