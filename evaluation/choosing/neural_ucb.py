"""NeuralUCB: the arm with the highest upper confidence bound of the same network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import choice
from .arms import Arms
from .choice import Choice, State
from .evidence import Evidence, finite, restored
from .network import Matrix, Network, fit, initial
from .options import ChooserOptions


class NeuralUCB:
    """Takes the arm with the highest f(x) + ν·sqrt(λ·Σ g²/(m·Z)), the first one on a tie.

    g is the gradient of the prediction by the weights, m the width, and Z the diagonal of λ + Σ g²/m over the arms
    observed (Zhou, Li and Gu, ICML 2020, algorithm 1, with the usual diagonal in place of the matrix). The rewards are
    taken to be stationary: what EXPO is held against. Z is as large as the network.
    """

    def __init__(
        self, arms: Arms, options: ChooserOptions, seed: int, state: Mapping[str, NDArray[Any]] | None = None
    ) -> None:
        self._arms, self._options, self._seed = arms, options, seed
        self._start = initial(arms.inputs, options.network, seed)
        self._ridge = max(options.network.decay, 1e-6)
        self._evidence = Evidence.of(arms.size, state)
        self._spread = restored(state, "spread", len(self._start.weights), self._ridge).astype(np.float32)
        self._network = self._fitted(self._evidence)

    @property
    def arms(self) -> int:
        return self._arms.size

    def choose(self, rng: np.random.Generator) -> Choice:
        return choice.best(self.upper_bounds())

    def upper_bounds(self) -> NDArray[np.float64]:
        """Of every arm, shape (K,)."""
        net = self._network
        inverse = Network(net.inputs, net.hidden, np.reciprocal(self._spread))
        # The squared gradient by W1 is x² ⊗ (w2·[h > 0])²: its weighted sum over the inputs falls into the tables.
        squares, start = [], 0
        for table in self._arms.tables:
            squares.append(table**2 @ inverse.w1[start : start + table.shape[1]])
            start += table.shape[1]
        bounds = []
        blocks = net.hidden_layers(self._arms.tables)
        for where, hidden in zip(np.ndindex(*self._arms.shape[:-1]), blocks, strict=True):
            by_inputs = squares[-1] + sum(part[row] for part, row in zip(squares, where, strict=False)) + inverse.b1
            width = ((hidden > 0) * by_inputs) @ net.w2**2 + hidden**2 @ inverse.w2 + inverse.b2
            deviation = np.sqrt(self._ridge * width / net.hidden)
            bounds.append(hidden @ net.w2 + net.b2 + self._options.exploration * deviation)
        return np.concatenate(bounds).astype(np.float64)

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        evidence = self._evidence.plus(arm, score)
        spread = self._spread + self._squared_gradient(self._arms.rows([arm])[0]) / self._start.hidden
        network = self._fitted(evidence)
        finite(spread.astype(np.float64))
        self._evidence, self._spread, self._network = evidence, spread, network

    def _squared_gradient(self, row: Matrix) -> Matrix:
        net = self._network
        hidden = np.maximum(row @ net.w1 + net.b1, 0)
        by_bias = np.where(hidden > 0, net.w2, np.float32(0))
        flat = np.concatenate([np.outer(row, by_bias).ravel(), by_bias, hidden, np.ones(1, dtype=np.float32)])
        return flat**2

    def _fitted(self, evidence: Evidence) -> Network:
        seen, targets, counts = evidence.rows()
        if not len(seen):
            return self._start
        return fit(self._start, self._arms.rows(seen), targets, counts, self._options.network, self._seed)

    def state(self) -> State:
        return {**self._evidence.state(), "spread": self._spread.copy()}
