"""What a test split can certify, worked out before anything is spent.

The power is exact for the paired score test on 0/1 scores: the number of discordant pairs is binomial, and given
it so is the number of fixed ones. Nothing is approximated, so it holds at n = 20 as well.
"""

from __future__ import annotations

import math

import numpy as np

from .distributions import binomial, binomial_above, normal_quantile_above

DISCORDANCE = 0.25
"""Share of examples that two prompts score differently, assumed where nothing is known."""

MOST_EXAMPLES = 10_000_000
"""Where the search for a sample size gives up."""


def power_of(n: int, gain: float, alpha: float, discordance: float = DISCORDANCE) -> float:
    """Probability that the two-sided score test at `alpha` certifies a true `gain` on `n` paired examples.

    `discordance` is the share fixed + broken; a gain beyond it is taken to raise it to the gain.
    """
    _check(alpha, discordance)
    if n < 0 or not 0 <= gain <= 1:
        raise ValueError(f"n must not be negative and gain must lie between 0 and 1: n = {n}, gain = {gain}")
    discordance = max(discordance, gain)
    # Beyond eight standard deviations there is nothing to add up.
    mean, most_off = n * discordance, 8 * math.sqrt(n * discordance * (1 - discordance)) + 8
    discordant = np.arange(max(1, math.floor(mean - most_off)), min(n, math.ceil(mean + most_off)) + 1)
    z = normal_quantile_above(alpha / 2)
    # fixed - broken > z·sqrt(fixed + broken), solved for the number fixed
    too_few = np.floor((discordant + z * np.sqrt(discordant)) / 2)
    certified = binomial_above(too_few, discordant, (discordance + gain) / (2 * discordance))
    return float(np.sum(binomial(discordant, n, discordance) * certified))


def smallest_certifiable_gain(
    n: int, alpha: float = 0.05, discordance: float = DISCORDANCE, power: float = 0.8
) -> float:
    """The smallest true gain that `n` test examples certify with probability `power`; inf where not even 1 would do."""
    _check(alpha, discordance, power)
    if power_of(n, 1.0, alpha, discordance) < power:
        return math.inf
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if power_of(n, middle, alpha, discordance) >= power else (middle, high)
    return high


def examples_needed(gain: float, alpha: float = 0.05, discordance: float = DISCORDANCE, power: float = 0.8) -> int:
    """How many test examples certify a true `gain` with probability `power`.

    The power saws up and down a little as n grows; returned is an n at which it reaches `power` and before which
    it does not. Raises ValueError for a gain that is not positive or needs more than ten million examples.
    """
    _check(alpha, discordance, power)
    if not 0 < gain <= 1:
        raise ValueError(f"gain must lie between 0 and 1, not {gain}")
    enough = 1
    while power_of(enough, gain, alpha, discordance) < power:
        enough *= 2
        if enough > MOST_EXAMPLES:
            raise ValueError(f"a gain of {gain} needs more than {MOST_EXAMPLES:,} examples to certify")
    short = enough // 2
    while enough - short > 1:
        middle = (short + enough) // 2
        short, enough = (short, middle) if power_of(middle, gain, alpha, discordance) >= power else (middle, enough)
    return enough


def _check(alpha: float, discordance: float, power: float = 0.5) -> None:
    for name, value in (("alpha", alpha), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie between 0 and 1, not {value}")
    if not 0 < discordance <= 1:
        raise ValueError(f"discordance must be a share above 0 and at most 1, not {discordance}")
