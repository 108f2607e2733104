"""Whether a candidate breaks what the champion handled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .distributions import beta_quantile
from .intervals import Interval, betting_interval, tango

CONFIDENCE = 0.90
"""Confidence of each one-sided bound."""


@dataclass(frozen=True, slots=True)
class Preservation:
    """What a candidate did to examples that the champion handled.

    `net_broken` is the share it breaks beyond what it fixes and beyond chance flips; `low` and `high` are
    one-sided 90 % bounds of that share. `limit` is the share that is tolerated. Rejected on a set the user named
    (`required`) unless the share is shown to be within the limit, elsewhere only if it is shown to exceed it.
    """

    fixed: int
    broken: int
    handled: int
    net_broken: float
    low: float
    high: float
    limit: float
    required: bool
    verdict: Literal["kept", "rejected"]

    @property
    def rejected(self) -> bool:
        return self.verdict == "rejected"


def preservation(
    fixed: int,
    broken: int,
    handled: int,
    flip_rate: float = 0.0,
    deterministic: bool = True,
    max_regression: float = 0.05,
    required: bool = False,
) -> Preservation:
    """Judge a candidate by what it broke and fixed among the `handled` examples that champion and candidate share.

    `handled` are the examples picked because the champion had them right; `broken` of them are right for the
    champion and wrong for the candidate, `fixed` the other way round (on a stochastic target a fresh draw of the
    champion may miss what it was picked for). `flip_rate` is the net share that an *identical* prompt would seem
    to break: the A/A flip rate when the champion's side is the very draw the set was picked by, and 0 when both
    sides were drawn afresh. It is subtracted on stochastic targets and ignored on deterministic ones.

    Bounds: exact binomial (Clopper and Pearson 1934) when nothing was fixed, since a score bound is too bold at
    counts near zero; Tango's paired score bound otherwise. `low` = 0 and `high` = 1 when nothing was measured.
    """
    if fixed < 0 or broken < 0 or fixed + broken > handled:
        raise ValueError(f"fixed and broken must not be negative, nor together exceed handled = {handled}")
    if not 0 <= flip_rate <= 1:
        raise ValueError(f"flip_rate is a share between 0 and 1, not {flip_rate}")
    expected = 0.0 if deterministic else flip_rate
    bounds = _binomial(broken, handled) if fixed == 0 else tango(broken, fixed, handled, 2 * CONFIDENCE - 1)
    net, low, high = (broken - fixed) / max(handled, 1) - expected, bounds.low - expected, bounds.high - expected
    rejected = (high if required else low) > max_regression
    return Preservation(
        fixed, broken, handled, net, low, high, max_regression, required, "rejected" if rejected else "kept"
    )


def mean_loss(differences: Sequence[float], max_regression: float = 0.05, required: bool = False) -> Preservation:
    """The same judgement for real-valued scores: the mean loss, with one-sided 90 % betting bounds.

    `differences` are candidate - champion, each in [-1, 1]; `fixed` and `broken` count gains and losses.
    """
    interval = betting_interval(differences, 2 * CONFIDENCE - 1) if len(differences) else Interval(-1.0, 1.0)
    low, high = -interval.high, -interval.low
    rejected = (high if required else low) > max_regression
    return Preservation(
        fixed=sum(d > 0 for d in differences),
        broken=sum(d < 0 for d in differences),
        handled=len(differences),
        net_broken=-sum(differences) / max(len(differences), 1),
        low=low,
        high=high,
        limit=max_regression,
        required=required,
        verdict="rejected" if rejected else "kept",
    )


def examples_to_show_harmless(max_regression: float = 0.05) -> int:
    """How many handled examples a user-named set needs so that a candidate that breaks none of them can pass."""
    if not 0 < max_regression < 1:
        raise ValueError(f"max_regression must lie between 0 and 1, not {max_regression}")
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-max_regression))


def _binomial(count: int, n: int) -> Interval:
    """Exact one-sided bounds of a proportion, each at `CONFIDENCE`."""
    low = 0.0 if count == 0 else beta_quantile(1 - CONFIDENCE, count, n - count + 1)
    high = 1.0 if count == n else beta_quantile(CONFIDENCE, count + 1, n - count)
    return Interval(low, high)
