"""Probabilities of named distributions, from scipy.special: scipy.stats has them too, and takes a second to import."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]


def normal_above(z: ArrayLike) -> Floats:
    """P(Z > z) of the standard normal distribution."""
    return np.asarray(special.ndtr(-np.asarray(z, float)))


def normal_quantile_above(p: float) -> float:
    """The z that is exceeded with probability p."""
    return -float(special.ndtri(p))


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x below which a share p of the Beta(a, b) distribution lies."""
    return float(special.betaincinv(a, b, p))


def student_below(t: float, freedom: float) -> float:
    """P(T ≤ t) of Student's distribution."""
    return float(special.stdtr(freedom, t))


def student_quantile(p: float, freedom: float) -> float:
    """The t below which a share p of Student's distribution lies."""
    return float(special.stdtrit(freedom, p))


def binomial(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Floats:
    """P(X = k) of n draws with success rate p strictly between 0 and 1, for arrays of one shape."""
    k, n, p = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float), np.asarray(p, float))
    return np.exp(_log_choose(n, k) + special.xlogy(k, p) + special.xlog1py(n - k, -p))


def binomial_above(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Floats:
    """P(X > k), for arrays of one shape."""
    k, n, p = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float), np.asarray(p, float))
    inner = (k >= 0) & (k < n)
    at_most = special.betainc(np.where(inner, k + 1, 1), np.where(inner, n - k, 1), p)
    return np.where(inner, at_most, np.where(k < 0, 1.0, 0.0))


def hypergeometric_mid_above(x: NDArray[Any], total: NDArray[Any], good: NDArray[Any], drawn: NDArray[Any]) -> Floats:
    """P(X > x) + P(X = x) / 2 of `drawn` without replacement from `total` that hold `good`, for arrays of a shape."""
    x, total, good, drawn = (np.asarray(each)[..., None] for each in (x, total, good, drawn))
    k = np.arange(int(np.max(np.minimum(good, drawn), initial=0)) + 1)
    share = np.exp(_log_choose(good, k) + _log_choose(total - good, drawn - k) - _log_choose(total, drawn))
    return np.sum(share * ((k > x) + 0.5 * (k == x)), axis=-1)


def _log_choose(n: NDArray[Any], k: NDArray[Any]) -> Floats:
    """log of n over k; minus infinity where there is no such choice."""
    there = (k >= 0) & (k <= n)
    n, k = np.where(there, n, 0), np.where(there, k, 0)
    return np.where(there, special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1), -np.inf)
