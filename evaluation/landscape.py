"""How rugged the landscape of a task's prompts is: whether, and how far, near prompts have like scores.

All prompts are measured on one panel of examples, since those that lost a race early have too few scores of their own.
The scores' trend along the lineage (later prompts are better, because they were searched for) is taken off first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..seeding import generator
from .mantel import MantelTest, mantel
from .variogram import Bins, Model, distances, fit, make_bins, pair_semivariances, pairs_of

MOST_PROMPTS = 60
LEAST_PROMPTS = 12
"""With fewer there are not 70 pairs, and no structure can be seen."""
PANEL = 48
LEAST_EXAMPLES = 20
LEAST_SHARE = 0.75
"""A prompt that has scores on fewer of the panel's examples is left out."""
ALPHA = 0.05
RUGGED_BELOW = 1.5
"""A range shorter than so many median distances is rugged. In simulated fields, ranges of 1 and of 3 median distances
came out on different sides of it."""
BOOTSTRAPS = 400

Shape = Literal["rugged", "smooth", "no structure found"]


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class DistanceBin:
    """The semivariance of `pairs` pairs of prompts that are about `distance` apart; it may be negative."""

    distance: float
    gamma: float
    interval: Interval
    pairs: int


@dataclass(frozen=True)
class Landscape:
    """What is known of a landscape.

    `shape` is the verdict, `agreement` the share of bootstrap draws that give the same one of rugged and smooth (0
    where no structure was found). `model` is the fitted semivariogram with intervals for its three figures; None where
    the prompts do not differ by more than noise. `typical` is the median distance between two prompts, `edit` that
    between a prompt and one that it was made from (None where there is no such pair). `spread` is the standard
    deviation of the prompts' true scores, `trend` the mean change of the score per generation, which was taken off.
    Distances are Euclidean ones between unit vectors (0 to 2).
    """

    shape: Shape
    agreement: float
    bins: tuple[DistanceBin, ...]
    model: Model | None
    nugget: Interval | None
    sill: Interval | None
    range: Interval | None
    test: MantelTest
    typical: float
    edit: float | None
    spread: float
    trend: float


def analyse(
    scores: np.ndarray,
    vectors: np.ndarray,
    generations: Sequence[int],
    *,
    edits: Sequence[tuple[int, int]] = (),
    seed: int = 0,
    bootstraps: int = BOOTSTRAPS,
) -> Landscape:
    """The landscape that prompts show on one panel of examples.

    `scores` has the shape (prompts, examples), NaN where one is missing; `vectors` (prompts, size) are the prompts'
    embeddings, of unit length; `generations` how many edits each is away from its seed; `edits` pairs of a prompt and
    one that it was made from, by their places. Raises ValueError where there are too few prompts or examples.
    """
    prompts, examples = scores.shape
    if prompts < LEAST_PROMPTS or examples < LEAST_EXAMPLES:
        raise ValueError(f"{prompts} prompts on {examples} examples; at least {LEAST_PROMPTS} on {LEAST_EXAMPLES}")
    apart = distances(vectors)
    design = _design(np.asarray(generations, dtype=np.float64))
    complete = _completed(scores)
    effects = np.linalg.lstsq(design, complete, rcond=None)[0]
    residuals = complete - design @ effects
    gammas = pair_semivariances(np.where(np.isnan(scores), np.nan, residuals))
    bins = make_bins(apart, ~np.isnan(gammas))
    model, estimates, models, draws = _fitted(bins, gammas, generator(seed, "landscape bootstrap"), bootstraps)
    test = mantel(residuals, apart, generator(seed, "landscape mantel"))
    typical = float(np.median(pairs_of(apart)))
    shape, agreement = _verdict(model, models, test, typical)
    return Landscape(
        shape=shape,
        agreement=agreement,
        bins=tuple(
            DistanceBin(float(bins.distance[i]), float(estimates[i]), _interval(draws[:, i]), int(bins.pairs[i]))
            for i in range(len(estimates))
        ),
        model=model,
        nugget=_interval([one.nugget for one in models]) if model else None,
        sill=_interval([one.sill for one in models]) if model else None,
        range=_interval([one.range for one in models]) if model else None,
        test=test,
        typical=typical,
        edit=float(np.median([apart[i, j] for i, j in edits])) if edits else None,
        spread=float(np.sqrt(max(0.0, np.nanmean(pairs_of(gammas))))),
        trend=float(effects[1].mean()) if len(effects) > 1 else 0.0,
    )


def enough_scores(scores: np.ndarray) -> np.ndarray:
    """Which of the prompts have enough scores to be compared, a truth for each row."""
    return np.mean(~np.isnan(scores), axis=1) >= LEAST_SHARE


def _design(generations: np.ndarray) -> np.ndarray:
    """What is taken off the scores: their mean, and a straight line along the generations where there are several."""
    ones = np.ones((len(generations), 1))
    return ones if np.ptp(generations) == 0 else np.column_stack([ones, generations])


def _completed(scores: np.ndarray) -> np.ndarray:
    """The scores with missing ones filled in by prompt mean + example mean - mean, where little is missing."""
    rows, columns = np.nanmean(scores, axis=1, keepdims=True), np.nanmean(scores, axis=0, keepdims=True)
    return np.where(np.isnan(scores), rows + columns - np.nanmean(scores), scores)


def _fitted(
    bins: Bins, gammas: np.ndarray, rng: np.random.Generator, bootstraps: int
) -> tuple[Model | None, np.ndarray, list[Model], np.ndarray]:
    """The model and the bins' estimates; of the bootstrap the models that could be fitted, and the estimates.

    Prompts are drawn, not pairs: a prompt that is an outlier is in as many pairs as there are other prompts.
    """
    values, prompts = np.nan_to_num(gammas), len(gammas)
    estimates = bins.means(values, np.ones((1, prompts)))[0]
    weights = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=bootstraps).astype(np.float64)
    draws = bins.means(values, weights)
    models = [found for row in draws if (found := fit(bins.distance, row, bins.pairs)) is not None]
    model = fit(bins.distance, estimates, bins.pairs)
    return (model if models else None), estimates, models, draws


def _verdict(model: Model | None, models: Sequence[Model], test: MantelTest, typical: float) -> tuple[Shape, float]:
    if model is None or test.p > ALPHA or model.sill <= model.nugget:
        return "no structure found", 0.0
    rugged = _rugged(model, typical)
    return "rugged" if rugged else "smooth", float(np.mean([_rugged(one, typical) == rugged for one in models]))


def _rugged(model: Model, typical: float) -> bool:
    """A short range, or a nugget that is most of the sill: the least edit changes the score as much as a great one."""
    return model.range < RUGGED_BELOW * typical or model.nugget > 0.5 * model.sill


def _interval(draws: np.ndarray | Sequence[float]) -> Interval:
    low, high = np.nanquantile(np.asarray(draws, dtype=np.float64), [0.025, 0.975])
    return Interval(float(low), float(high))
