"""The semivariogram of prompts: how much the scores of two prompts differ, by how far apart the prompts are.

Estimates are of the differences between the prompts' *true* scores: what a panel of few examples adds by chance is
taken off pair by pair, so that an estimate may be negative, and is left so: clamped at 0 it would be too high on
average.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_BINS = 10
LEAST_BINS = 4
PAIRS_PER_BIN = 40
NEARER = 1.6
"""How much finer the bins of near pairs are: the k-th of B edges is the (k/B)^1.6 quantile of the distances. What is
near tells a short range from a long one."""
RANGES = 60
"""Ranges tried by `fit`, from half the first bin's distance to `FARTHEST` times the last one's."""
FARTHEST = 2.0
PRACTICAL = 3.0
"""An exponential model has reached 95 % of its sill at 3 of its scales: the distance that is called its range."""


@dataclass(frozen=True)
class Bins:
    """Pairs of prompts sorted by distance into bins.

    `member` has the shape (prompts, prompts) and says to which bin a pair belongs, -1 on and below the diagonal.
    `distance` is the mean distance in each bin.
    """

    member: np.ndarray
    distance: np.ndarray
    pairs: np.ndarray

    def means(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The means in each bin of `values`, a matrix over pairs, for prompts that count so often.

        `weights` (draws, prompts) are how often a bootstrap drew each prompt; the result is (draws, bins), NaN where a
        bin is empty. A prompt drawn twice makes no pair with itself: that would be a difference of nothing.
        """
        found = []
        for number in range(len(self.distance)):
            here = self.member == number
            counts = np.einsum("bp,bp->b", weights @ here, weights)
            sums = np.einsum("bp,bp->b", weights @ np.where(here, values, 0.0), weights)
            found.append(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))
        return np.stack(found, axis=1)


@dataclass(frozen=True)
class Model:
    """An exponential semivariogram: nugget + (sill - nugget) · (1 - exp(-3·h / range)), for a distance h above 0.

    `nugget` is how much two almost identical prompts differ, `sill` how much two far apart do (both are half a
    squared difference of scores, between 0 and 0.5), `range` the distance at which 95 % of the rise is done.
    """

    nugget: float
    sill: float
    range: float

    def at(self, distance: np.ndarray | float) -> np.ndarray:
        """The model's semivariance at these distances."""
        return self.nugget + (self.sill - self.nugget) * -np.expm1(-PRACTICAL * np.asarray(distance) / self.range)


def pair_semivariances(scores: np.ndarray) -> np.ndarray:
    """½·(mean difference)² - ½·Var(mean difference) of every two prompts, shape (prompts, prompts).

    `scores` is (prompts, examples) on one panel, NaN where a score is missing; a pair is compared on the examples that
    both have. The variance is that of the mean of the paired differences over other panels of that size, so that the
    expectation is half the squared difference of the true scores (0 for equally good prompts, however alike their
    answers are). Pairs with fewer than two common examples are NaN.
    """
    differences = scores[:, None, :] - scores[None, :, :]
    known = ~np.isnan(differences)
    n = known.sum(axis=2)
    filled = np.where(known, differences, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled.sum(axis=2) / n
        squares = np.where(known, (differences - mean[:, :, None]) ** 2, 0.0).sum(axis=2)
        found = 0.5 * (mean**2 - squares / (n - 1) / n)
    return np.where(n >= 2, found, np.nan)


def distances(vectors: np.ndarray) -> np.ndarray:
    """The Euclidean distances between unit vectors, shape (prompts, prompts), between 0 and 2."""
    wide = np.asarray(vectors, dtype=np.float64)
    return np.sqrt(np.clip(2.0 - 2.0 * wide @ wide.T, 0.0, None))


def pairs_of(matrix: np.ndarray) -> np.ndarray:
    """Each pair's value once: what stands above the diagonal."""
    return matrix[np.triu_indices(len(matrix), 1)]


def make_bins(apart: np.ndarray, usable: np.ndarray) -> Bins:
    """The usable pairs (a matrix of truths) in bins by their distance, `PAIRS_PER_BIN` in each on average, fewer in the
    near ones."""
    upper = np.triu(usable, 1)
    rows, columns = np.nonzero(upper)
    found = apart[rows, columns]
    number = int(np.clip(len(found) // PAIRS_PER_BIN, LEAST_BINS, MOST_BINS))
    edges = np.quantile(found, np.linspace(0, 1, number + 1) ** NEARER)
    place = np.clip(np.searchsorted(edges, found, side="left") - 1, 0, number - 1)
    kept = np.unique(place)  # many pairs at one and the same distance may leave a bin empty
    place = np.searchsorted(kept, place)
    member = np.full(apart.shape, -1)
    member[rows, columns] = place
    pairs = np.bincount(place)
    return Bins(member, np.bincount(place, weights=found) / pairs, pairs)


def fit(distance: np.ndarray, gamma: np.ndarray, pairs: np.ndarray) -> Model | None:
    """The exponential model with the least squared error over the bins, each weighted by its number of pairs.

    Nugget and partial sill are at least 0. For a given range they are a linear problem, so that a grid of ranges finds
    the best one for certain, where a local search from one start gets stuck. Where the semivariance does not level off
    among the bins, the range comes out beyond the last one. None where no variance is left to explain: every estimate
    is 0 or below on average.
    """
    known = ~np.isnan(gamma)
    h, y, w = distance[known], gamma[known], pairs[known] / pairs[known].sum()
    if len(h) < LEAST_BINS - 1 or w @ y <= 0:
        return None
    first = h[h > 0].min(initial=h.max()) or 1.0
    ranges = np.geomspace(0.5 * first, FARTHEST * max(h.max(), first), RANGES)
    rise = -np.expm1(-PRACTICAL * h[None, :] / ranges[:, None])
    mean_rise, mean_y = rise @ w, float(w @ y)
    spread = (rise**2) @ w - mean_rise**2
    partial = ((rise * y) @ w - mean_rise * mean_y) / np.maximum(spread, 1e-12)
    nugget = mean_y - partial * mean_rise
    # Outside of the bounds the best point lies on one of them: no nugget, or nothing but a nugget.
    alone = np.maximum((rise * y) @ w, 0.0) / np.maximum((rise**2) @ w, 1e-12)
    partial, nugget = np.where(nugget < 0, alone, partial), np.where(nugget < 0, 0.0, nugget)
    nugget = np.where(partial < 0, mean_y, nugget)
    partial = np.maximum(partial, 0.0)
    errors = ((y - nugget[:, None] - partial[:, None] * rise) ** 2) @ w
    best = int(np.argmin(errors))
    return Model(float(nugget[best]), float(nugget[best] + partial[best]), float(ranges[best]))
