"""The verdict on the test split: is the winner better than the seed?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .intervals import betting_interval, score_p, sign_flip_p, tango

Verdict = Literal["improved", "not certified", "inconclusive", "harmed"]

BINARY = "Tango paired score interval, score test"
REAL_VALUED = "betting interval, sign-flip permutation test"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the test split says about the winner against the seed; plain values only.

    `n` examples have both scores; `missing` lack one and enter nothing. `gain` is winner_mean - seed_mean on the
    n, with its confidence interval [low, high]; `p` is two-sided and was held against `alpha`. `fixed` and
    `broken` are the ids that the winner scored higher and lower than the seed. The interval has its own level, so
    that it may leave out 0 where the spent `alpha` is too small to certify. With n = 0 the means are 0, the
    interval is [-1, 1] and the verdict `inconclusive`.
    """

    n: int
    missing: int
    seed_mean: float
    winner_mean: float
    gain: float
    low: float
    high: float
    p: float
    alpha: float
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    verdict: Verdict
    method: str


def certify(
    seed_scores: Mapping[str, float | None],
    winner_scores: Mapping[str, float | None],
    *,
    alpha: float,
    level: float = 0.95,
    rng: np.random.Generator,
    max_missing: float = 0.10,
) -> Certificate:
    """Compare winner and seed on the examples that both have a score for.

    Scores in [0, 1] by example id; None, or an id that only one side has, is missing, and never counts as 0.
    More than `max_missing` of all ids missing: `inconclusive`. Else `improved` or `harmed` if p < alpha (and, for
    real-valued scores, a betting interval of level 1 - alpha leaves out 0), by the sign of the gain, and `not
    certified` otherwise. Scores that are all 0 or 1 get Tango's paired score interval and the p of the same test;
    others a betting interval and a sign-flip permutation p. `rng` draws the flips, and the order in which the betting
    interval looks at the examples.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    everything = seed_scores.keys() | winner_scores.keys()
    pairs: list[tuple[str, float, float]] = []
    for example_id in sorted(everything):
        before, after = seed_scores.get(example_id), winner_scores.get(example_id)
        if before is not None and after is not None:
            pairs.append((example_id, before, after))
    seed = np.array([before for _, before, _ in pairs], float)
    winner = np.array([after for _, _, after in pairs], float)
    if not np.all((seed >= 0) & (seed <= 1) & (winner >= 0) & (winner <= 1)):
        raise ValueError("scores must be numbers in [0, 1]; give None for a missing one")

    differences = winner - seed
    fixed = tuple(example_id for example_id, before, after in pairs if after > before)
    broken = tuple(example_id for example_id, before, after in pairs if after < before)
    n = len(pairs)
    if np.all(np.isin(seed, (0, 1))) and np.all(np.isin(winner, (0, 1))):
        interval, p, method = tango(len(fixed), len(broken), n, level), score_p(len(fixed), len(broken), n), BINARY
        agreed = True
    else:
        order = rng.permutation(differences)
        interval, p, method = betting_interval(order, level), sign_flip_p(differences, rng), REAL_VALUED
        # The permutation p is too bold for skewed differences; the betting interval is not, so both must agree.
        strict = betting_interval(order, 1 - alpha)
        agreed = not strict.low <= 0 <= strict.high
    gain = float(differences.mean()) if n else 0.0
    missing = len(everything) - n

    verdict: Verdict = "not certified"
    if n == 0 or missing > max_missing * len(everything):
        verdict = "inconclusive"
    elif p < alpha and gain != 0 and agreed:
        verdict = "improved" if gain > 0 else "harmed"
    return Certificate(
        n=n,
        missing=missing,
        seed_mean=float(seed.mean()) if n else 0.0,
        winner_mean=float(winner.mean()) if n else 0.0,
        gain=gain,
        low=interval.low,
        high=interval.high,
        p=p,
        alpha=alpha,
        fixed=fixed,
        broken=broken,
        verdict=verdict,
        method=method,
    )
