"""Whether near prompts have scores more alike than prompts far apart: a Mantel test that allows for shared noise.

The statistic is Mantel's (1967): the sum over pairs of a similarity of prompts times a similarity of their scores. The
first is exp(-2·distance / median distance), the second an estimate of the product of the two true scores (each less the
mean), from which the noise that both have in common is taken off: near prompts give the same answers to the same
examples, so that on one panel their scores are alike even where all prompts are equally good.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .variogram import pairs_of

DRAWS = 999
REACH = 0.5
"""The similarity falls to 1/e at this share of the median distance."""


@dataclass(frozen=True)
class MantelTest:
    """`r` is the correlation of the two similarities over the pairs, `p` the larger one of two one-sided p-values.

    `p_prompts` is held against scores dealt out to the prompts at random (no structure among prompts that do differ),
    `p_examples` against the signs of each example's scores turned at random (no true difference at all, however alike
    the answers of near prompts are). Either null alone is rejected too often under the other one.
    """

    r: float
    p_prompts: float
    p_examples: float

    @property
    def p(self) -> float:
        """What is to be held against the error rate."""
        return max(self.p_prompts, self.p_examples)


def mantel(residuals: np.ndarray, apart: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> MantelTest:
    """The test on scores of shape (prompts, examples) whose columns sum to 0, with no value missing, and a matrix of
    distances between the prompts."""
    prompts, examples = residuals.shape
    middle = float(np.median(pairs_of(apart))) or 1.0
    near = np.exp(-apart / (REACH * middle))
    near -= pairs_of(near).mean()
    np.fill_diagonal(near, 0.0)
    means = residuals.mean(axis=1)
    # The mean of the products over pairs of *different* examples: noise of one example does not meet itself.
    alike = (examples * np.outer(means, means) - residuals @ residuals.T / examples) / (examples - 1)
    dealt = np.array([np.sum(near * alike)] + [_dealt(near, alike, rng.permutation(prompts)) for _ in range(draws)])
    signs = np.vstack([np.ones(examples), rng.choice([-1.0, 1.0], size=(draws, examples))])
    turned = signs @ residuals.T / examples
    flipped = np.einsum("dp,dp->d", turned @ near, turned)
    return MantelTest(_correlation(pairs_of(near), pairs_of(alike)), _share(dealt), _share(flipped))


def _dealt(near: np.ndarray, alike: np.ndarray, order: np.ndarray) -> float:
    return float(np.sum(near * alike[np.ix_(order, order)]))


def _share(statistics: np.ndarray) -> float:
    """The share of draws, the observed one (the first) among them, that reach what was observed."""
    slack = 1e-9 * max(float(np.abs(statistics).max()), 1e-12)
    return float(np.mean(statistics >= statistics[0] - slack))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    spread = float(a.std() * b.std())
    return float(np.mean((a - a.mean()) * (b - b.mean())) / spread) if spread > 1e-12 else 0.0
