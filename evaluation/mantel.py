"""Whether near prompts have scores more alike than prompts far apart: a Mantel test that allows for shared noise.

The statistic is Mantel's (1967): the sum over pairs of a similarity of the prompts, exp(-2·distance / median distance),
times a similarity of their scores, the product of the two means (each less the mean of all).

Dealing the scores out to the prompts at random, as the textbook has it, is not enough here. Near prompts give the same
answers to the same examples, so that on one panel their mean scores are alike even where all prompts are equally good:
the plain test then finds structure in up to 79 % of landscapes that have none. What is drawn under the null hypothesis
therefore has two parts: true scores, dealt out at random, and the panel's noise, as it is shared among the prompts.
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
    """`r` is the correlation of the two similarities over the pairs, the shared noise taken off; `p` is one-sided."""

    r: float
    p: float


def mantel(residuals: np.ndarray, apart: np.ndarray, rng: np.random.Generator, draws: int = DRAWS) -> MantelTest:
    """The test on scores of shape (prompts, examples) whose columns sum to 0, with no value missing, and a matrix of
    distances between the prompts."""
    prompts, examples = residuals.shape
    near = _nearness(apart)
    means = residuals.mean(axis=1)
    around = (residuals - means[:, None]) * np.sqrt(examples / (examples - 1))
    covariance = around @ around.T / examples**2
    # Noise alone: every example's deviations keep their pattern over the prompts, with a sign drawn at random.
    noise = rng.choice([-1.0, 1.0], size=(draws, examples)) @ around.T / examples
    observed = float(np.mean(means**2))
    true_share = max(0.0, 1.0 - float(np.trace(covariance)) / prompts / observed) if observed > 0 else 0.0
    dealt = means[np.array([rng.permutation(prompts) for _ in range(draws)])] * np.sqrt(true_share)
    drawn = np.vstack([means, dealt + noise])
    statistics = np.einsum("dp,dp->d", drawn @ near, drawn)
    slack = 1e-9 * max(float(np.abs(statistics).max()), 1e-12)
    alike = np.outer(means, means) - covariance
    return MantelTest(
        r=_correlation(pairs_of(near), pairs_of(alike)), p=float(np.mean(statistics >= statistics[0] - slack))
    )


def _nearness(apart: np.ndarray) -> np.ndarray:
    """The similarity of the prompts less its mean over the pairs; 0 of a prompt to itself."""
    middle = float(np.median(pairs_of(apart))) or 1.0
    near = np.exp(-apart / (REACH * middle))
    near -= pairs_of(near).mean()
    np.fill_diagonal(near, 0.0)
    return near


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    spread = float(a.std() * b.std())
    return float(np.mean((a - a.mean()) * (b - b.mean())) / spread) if spread > 1e-12 else 0.0
