"""The paired test that may be looked at after every block, and the posterior that one prompt is the better one.

A gambler stakes a fixed share of the capital on "the candidate scores higher" at every example. Under the null
hypothesis that the mean difference is not positive the capital is a supermartingale, so that it ever exceeds
1/alpha with probability at most alpha (Ville's inequality), whenever and however often one looks.

Valid when every difference lies in [-1, 1] and, given all that came before it, has a mean of at most zero under
the null: examples in an order drawn at random, independent of the scores. The null is about the population that
the examples were drawn from. Sources: Waudby-Smith and Ramdas, arXiv 2010.09686, sections 2 and 4; mixtures over
bets: Ville 1939, Robbins 1970.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .distributions import student_below

Floats = NDArray[np.float64]

BETS = np.linspace(0.05, 0.95, 10)
"""Shares of the capital staked, mixed with equal weight. The mixture needs no guess of the effect and costs at
most a factor of ten over the best bet in hindsight."""

PRIOR_WEIGHT = 2.0
"""The real-valued posterior starts from this many imagined examples without a difference."""

PRIOR_SPREAD = 0.3
"""Prior guess of the standard deviation of a single real-valued difference, worth one example."""


def e_process(differences: ArrayLike) -> Floats:
    """E-values for "the mean difference is positive" after each example: (…, n) differences give (…, n) values.

    Under "not better" the expectation of each is at most 1, and any of them reaches 1/alpha with probability at most
    alpha.
    """
    return _mixture(np.cumsum(_log_growth(differences), axis=-2))


def anytime_p(differences: ArrayLike) -> float:
    """One-sided anytime-valid p-value for "the candidate is better": 1 / the largest e-value so far, at most 1; it
    never rises as differences (candidate - champion, in the order they were drawn) are added."""
    return float(1 / e_process(differences).max(initial=1.0))


def probability_better(differences: ArrayLike) -> float:
    """Posterior probability that the mean difference (candidate - champion) is positive; 0.5 without evidence.

    Differences that are all -1, 0 or 1: share of wins among the discordant pairs, Jeffreys prior Beta(1/2, 1/2).
    Others: normal model with a normal-inverse-gamma prior of `PRIOR_WEIGHT` imagined examples without a
    difference (Gelman et al., Bayesian Data Analysis, section 3.3), which gives a Student posterior.
    A posterior is not an error rate: looked at often, it exceeds any confidence by chance more often than it says.
    """
    d = _checked(differences)
    if np.all(np.isin(d, (-1.0, 0.0, 1.0))):
        fixed, broken = np.count_nonzero(d > 0), np.count_nonzero(d < 0)
        if fixed == broken:  # to the last digit: a rule may ask for one half
            return 0.5
        return float(special.betainc(broken + 0.5, fixed + 0.5, 0.5))
    n, mean = d.size, float(d.mean())
    weight = PRIOR_WEIGHT + n
    squares = PRIOR_SPREAD**2 + float(np.sum((d - mean) ** 2)) + PRIOR_WEIGHT * n * mean**2 / weight
    freedom = 1 + n
    scale = math.sqrt(squares / freedom / weight)
    return student_below(n * mean / weight / scale, freedom)


def _log_growth(differences: ArrayLike) -> Floats:
    """Log growth of the capital at each example under each bet: (…, n) differences give (…, n, bets)."""
    return np.log1p(_checked(differences)[..., None] * BETS)


def _mixture(log_capital: Floats) -> Floats:
    """The mean capital over the bets on the last axis."""
    return np.exp(np.minimum(special.logsumexp(log_capital, axis=-1) - math.log(len(BETS)), 700.0))


def _checked(differences: ArrayLike) -> Floats:
    d = np.atleast_1d(np.asarray(differences, float))
    if not np.all(np.abs(d) <= 1):  # also catches NaN
        raise ValueError("differences must be numbers in [-1, 1]; leave missing ones out")
    return d
