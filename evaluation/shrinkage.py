"""Estimates of prompts that were measured on differing examples, shrunken towards each other.

Raced prompts have met different examples, and the luckiest of thirty always looks better than it is. The model

    score(prompt, example) = mean + prompt effect + example effect + error

settles both: an example effect says how easy an example is for every prompt, and the prompt effects are drawn
towards zero as far as the data say they differ by chance only. Effects and error are normal; how large the
effects are against the error is averaged over a grid of ratios, weighted by the restricted likelihood, instead of
fixed at its maximum, which for few prompts often sits at zero.

Sources: Robinson, "That BLUP is a good thing", Statistical Science 6 (1991) 15-32, sections 2 and 5; restricted
likelihood: Patterson and Thompson, Biometrika 58 (1971) 545-554.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Scores = Mapping[str, Mapping[tuple[str, int], float]]
"""Scores by prompt id, then by (example id, repeat); missing ones are left out."""

PROMPT_RATIOS = np.geomspace(1e-4, 10.0, 16)
"""Variance of the prompt effects over that of the error."""

EXAMPLE_RATIOS = np.geomspace(0.05, 100.0, 9)
"""Variance of the example effects over that of the error."""

PRIOR_VARIANCE = 0.05
"""Prior guess of the error's variance, worth one measurement: keeps five equal scores from looking certain."""

TIE = 1e-9
"""Estimates closer than this are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A prompt's score on an average example: `estimate` ± `error` (one standard error), met on `n` examples."""

    estimate: float
    error: float
    n: int


@dataclass(frozen=True, slots=True)
class _Cells:
    """The table of scores, repeats averaged: `measured` and `values` have the shape (prompts, examples)."""

    measured: Floats
    values: Floats


def shrunken_estimates(scores: Scores) -> dict[str, Estimate]:
    """The shrunken estimate of every prompt that has at least one score.

    Repeats of an example are averaged first: they say nothing about other examples. The standard error includes
    which examples were met. Estimates are not cut off at 0 and 1, so that they keep their order.
    """
    names = [name for name, row in scores.items() if row]
    if not names:
        return {}
    cells = _cells([scores[name] for name in names])
    estimates, errors = _fit(cells)
    counts = cells.measured.sum(axis=1)
    return {
        name: Estimate(float(estimate), float(error), int(n))
        for name, estimate, error, n in zip(names, estimates, errors, counts, strict=True)
    }


def choose(scores: Scores, incumbent: str) -> str:
    """The id with the best shrunken estimate; on a tie the incumbent, else the one that comes first.

    An incumbent without scores loses to anyone who has some, and is returned when nobody has.
    """
    estimates = shrunken_estimates(scores)
    if not estimates:
        return incumbent
    best = max(estimates.values(), key=lambda found: found.estimate).estimate
    tied = [name for name, found in estimates.items() if found.estimate >= best - TIE]
    return incumbent if incumbent in tied else tied[0]


def _cells(rows: list[Mapping[tuple[str, int], float]]) -> _Cells:
    columns: dict[str, int] = {}
    for row in rows:
        for example_id, _ in row:
            columns.setdefault(example_id, len(columns))
    sums, counts = np.zeros((2, len(rows), len(columns)))
    for i, row in enumerate(rows):
        for (example_id, _), score in row.items():
            sums[i, columns[example_id]] += score
            counts[i, columns[example_id]] += 1
    if not np.all(np.isfinite(sums)):
        raise ValueError("scores must be finite numbers; leave missing ones out")
    return _Cells(np.minimum(counts, 1), sums / np.maximum(counts, 1))


def _fit(cells: _Cells) -> tuple[Floats, Floats]:
    """Estimates and standard errors of mean + prompt effect, one per row, averaged over both variance ratios."""
    fits = [_fit_given(cells, ratio) for ratio in EXAMPLE_RATIOS]
    estimates, variances, weights = (np.concatenate(parts) for parts in zip(*fits, strict=True))
    weights = special.softmax(weights)[:, None]
    mean = np.sum(weights * estimates, axis=0)
    variance = np.sum(weights * (variances + (estimates - mean) ** 2), axis=0)
    return mean, np.sqrt(variance)


def _fit_given(cells: _Cells, example_ratio: float) -> tuple[Floats, Floats, Floats]:
    """The fit for one ratio of example to error variance and all of `PROMPT_RATIOS`.

    Returns estimates and their variances, both (ratios, prompts), and log restricted likelihoods (ratios).
    Example effects are integrated out in closed form; in the eigenbasis of what remains, a square matrix
    over prompts, every prompt ratio costs a few vector operations.
    """
    n = cells.measured.sum(axis=0)
    pull = example_ratio / (1 + example_ratio * n)
    centre = cells.values.sum() / cells.measured.sum()  # taken off for the sake of rounding only
    values = (cells.values - centre) * cells.measured
    totals = values.sum(axis=0)
    information = np.diag(cells.measured.sum(axis=1)) - (cells.measured * pull) @ cells.measured.T
    score = values.sum(axis=1) - cells.measured @ (pull * totals)
    squares = np.sum(values**2) - np.sum(pull * totals**2)

    eigenvalues, basis = np.linalg.eigh(information)
    eigenvalues = np.maximum(eigenvalues, 0)
    projected, one = basis.T @ score, basis.sum(axis=0)
    ratio = PROMPT_RATIOS[:, None]
    damping = 1 / (1 + ratio * eigenvalues)
    precision = np.sum(one**2 * eigenvalues * damping, axis=1)  # of the overall mean, in units of the error's
    mean = np.sum(one * projected * damping, axis=1) / precision
    residual = squares - np.sum(projected**2 * ratio * damping, axis=1) - mean**2 * precision
    freedom = cells.measured.sum()  # one lost to the mean, one gained from the prior
    variance = (np.maximum(residual, 0) + PRIOR_VARIANCE) / freedom

    effects = (ratio * damping * (projected - eigenvalues * one * mean[:, None])) @ basis.T
    spread = (ratio * damping) @ (basis**2).T
    sway = 1 - (ratio * damping * eigenvalues * one) @ basis.T  # how far an estimate follows the overall mean
    variances = variance[:, None] * (spread + sway**2 / precision[:, None])
    likelihood = -0.5 * (
        freedom * np.log(variance)
        + np.sum(np.log1p(example_ratio * n))
        - np.sum(np.log(damping), axis=1)
        + np.log(precision)
    )
    return centre + mean[:, None] + effects, variances, likelihood
