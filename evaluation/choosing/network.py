"""The regressor that learned choosers fit anew each round: input → hidden (ReLU) → 1, in numpy.

EXPO (arXiv 2502.00728): squared error, Adam, weight decay λ/n, the same initial weights at every fit. A fit is a
function of its data, the options and the seed: BLAS gets one thread, since sums over several may come out in another
order, and threads that spin for each other stall on a loaded machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ...seeding import generator
from .options import NetworkOptions

Matrix = NDArray[np.float32]

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's own constants (Kingma and Ba, ICLR 2015)."""

BLOCK = 65536
"""Numbers that an Adam step works on at a time: what it reads and writes of so many stays in the processor's cache."""

_alone = threading.RLock()


@dataclass(frozen=True)
class Network:
    """`weights`, one flat vector, holds W1 (inputs × hidden), b1 (hidden), w2 (hidden) and b2 (1), in that order."""

    inputs: int
    hidden: int
    weights: Matrix

    @property
    def w1(self) -> Matrix:
        return self.weights[: self.inputs * self.hidden].reshape(self.inputs, self.hidden)

    @property
    def b1(self) -> Matrix:
        return self.weights[-2 * self.hidden - 1 : -self.hidden - 1]

    @property
    def w2(self) -> Matrix:
        return self.weights[-self.hidden - 1 : -1]

    @property
    def b2(self) -> np.float32:
        return self.weights[-1]

    def predict(self, rows: Matrix) -> Matrix:
        """The prediction for each row, shape (n,), of rows of shape (n, inputs)."""
        with one_thread():
            return np.maximum(rows @ self.w1 + self.b1, 0) @ self.w2 + self.b2

    def predict_all(self, tables: Sequence[Matrix]) -> Matrix:
        """The prediction for every combination of one row of each table, in the order of `Arms`."""
        found = [hidden @ self.w2 + self.b2 for hidden in self.hidden_layers(tables)]
        return np.concatenate(found)

    def hidden_layers(self, tables: Sequence[Matrix]) -> Iterator[Matrix]:
        """The hidden layer of every combination of rows, in blocks, in the order of `Arms`.

        W1·[a; b] is W1a·a + W1b·b: each table goes through its part of the first layer once, and a block is made for
        each row of all tables but the last, so that memory stays at (rows of the last table) × hidden.
        """
        with one_thread():
            parts, start = [], 0
            for table in tables:
                parts.append(table @ self.w1[start : start + table.shape[1]])
                start += table.shape[1]
        last = parts[-1] + self.b1
        for where in np.ndindex(*(len(part) for part in parts[:-1])):
            ahead = sum(part[row] for part, row in zip(parts, where, strict=False))
            yield np.maximum(last + ahead, 0)


def initial(inputs: int, options: NetworkOptions, seed: int) -> Network:
    """The weights that every fit starts from: uniform in ±1/sqrt(fan-in), layer by layer."""
    rng = generator(seed, "network", inputs, options.hidden)
    first = 1 / np.sqrt(inputs)
    second = 1 / np.sqrt(options.hidden)
    spread = np.full((inputs + 2) * options.hidden + 1, second, dtype=np.float32)
    spread[: (inputs + 1) * options.hidden] = first
    weights = (rng.random(len(spread), dtype=np.float32) * 2 - 1) * spread
    return Network(inputs, options.hidden, weights)


def fit(
    start: Network, rows: Matrix, targets: Matrix, counts: Matrix, options: NetworkOptions, seed: int = 0
) -> Network:
    """The network after `options.iterations` Adam steps from `start`.

    `rows` (u, inputs) are the distinct inputs seen, `targets` (u,) the mean score of each and `counts` (u,) how often
    each was seen: the gradient is the same as over all n = sum(counts) observations. With more distinct rows than
    `options.batch`, an iteration takes the next so many of an order drawn anew for each pass.
    Raises ValueError where the weights do not stay finite.
    """
    size = len(rows)
    batch = min(options.batch or size, size)
    orders = _passes(size, batch, seed)
    step = _Adam(start.weights, options.rate, options.decay / float(counts.sum()))
    now = Network(start.inputs, start.hidden, step.weights)
    gradient = Network(start.inputs, start.hidden, np.empty_like(step.weights))
    with one_thread():
        for _ in range(options.iterations):
            if batch == size:
                _gradient(now, rows, targets, counts, gradient)
            else:
                some = next(orders)
                _gradient(now, rows[some], targets[some], counts[some], gradient)
            step.take(gradient.weights)
    if not np.isfinite(now.weights).all():
        raise ValueError("the network's weights did not stay finite: scale the scores to about 0 to 1")
    return now


def _gradient(now: Network, rows: Matrix, targets: Matrix, counts: Matrix, out: Network) -> None:
    """Of the mean squared error over the observations, written into `out`."""
    hidden = np.maximum(rows @ now.w1 + now.b1, 0)
    error = (hidden @ now.w2 + now.b2 - targets) * counts * np.float32(2 / counts.sum())
    back = np.outer(error, now.w2)
    back *= hidden > 0
    np.matmul(rows.T, back, out=out.w1)
    out.b1[:] = back.sum(axis=0)
    out.w2[:] = error @ hidden
    out.weights[-1] = error.sum()


def _passes(size: int, batch: int, seed: int) -> Iterator[NDArray[np.intp]]:
    rng = generator(seed, "batches", size)
    while True:
        order = rng.permutation(size)
        for start in range(0, size - batch + 1, batch):
            yield order[start : start + batch]


class _Adam:
    """Adam with weight decay added to the gradient, in place and in blocks.

    The moments are kept divided by (1 - β), which saves a pass over the weights; the step size makes up for it.
    """

    def __init__(self, weights: Matrix, rate: float, decay: float) -> None:
        self.weights = weights.copy()
        self._first, self._second = np.zeros_like(weights), np.zeros_like(weights)
        self._spare = np.empty(min(BLOCK, len(weights)), dtype=np.float32)
        self._rate, self._decay, self._steps = rate, np.float32(decay), 0

    def take(self, gradient: Matrix) -> None:
        """One step against `gradient`, which is used up."""
        self._steps += 1
        scale1 = (1 - BETA1) / (1 - BETA1**self._steps)
        scale2 = float(np.sqrt((1 - BETA2) / (1 - BETA2**self._steps)))
        rate, epsilon = np.float32(self._rate * scale1 / scale2), np.float32(EPSILON / scale2)
        for start in range(0, len(self.weights), BLOCK):
            block = slice(start, start + BLOCK)
            w, g, m, v = self.weights[block], gradient[block], self._first[block], self._second[block]
            spare = self._spare[: len(w)]
            g += np.multiply(w, self._decay, out=spare)
            m *= np.float32(BETA1)
            m += g
            v *= np.float32(BETA2)
            v += np.multiply(g, g, out=g)
            np.sqrt(v, out=spare)
            spare += epsilon
            np.divide(m, spare, out=spare)
            spare *= rate
            w -= spare


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS works with one thread inside. One caller at a time: the limit is the whole process's."""
    with _alone, _threads().limit(limits=1, user_api="blas"):
        yield
