"""Comparing strategies by the prompts that they found: mean gains over the seed prompt, and differences between them.

Every strategy was run some times (seeds), and every run's best prompt was scored on the same examples. What another
run, or another sample of examples, would have given varies: both are random effects, crossed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .distributions import student_below, student_quantile
from .evaluator import Scores

Floats = NDArray[np.float64]
Runs = Mapping[int, Scores | None]
"""Scores of each run's best prompt by the run's seed; None: it came back with the seed prompt."""

UNSEEN = 2
"""Examples that are added to every contrast, one that it gains and one that it loses in every run: a few examples that
all agree prove no variance of zero (the adjusted interval of Bonett and Price 2012, section 3, for paired shares)."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The mean of a contrast over its runs and examples, with its confidence interval [low, high].

    `n` examples had all the scores; `missing` is the share of scores that were missing. `seeds`: how many runs. With
    one run nothing is known of what another one would have given: the interval holds for this run alone. `p` is
    two-sided, against a mean of 0. `conclusive`: enough scores were there; else the interval is [-1, 1] and p is 1.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    seeds: int
    missing: float
    conclusive: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """`first` minus `second`, paired by seed and example; `adjusted` is p after Holm's correction over all pairs."""

    first: str
    second: str
    gain: Gain
    adjusted: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every row's gain over the seed prompt, and every pair's difference (in the rows' order)."""

    gains: Mapping[str, Gain]
    differences: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class Parts:
    """The variance of a contrast's mean by where it comes from: examples, seeds, and what is left.

    `examples` and `seeds` each hold the residual too. Units: squared score. `n` and `runs` are the sizes.
    """

    mean: float
    examples: float
    seeds: float
    residual: float
    n: int
    runs: int


def compare(
    seed_scores: Scores, rows: Mapping[str, Runs], *, level: float = 0.95, max_missing: float = 0.10
) -> Comparison:
    """Compare rows (strategies) by the scores, in [0, 1], of their runs' best prompts.

    The variance of a mean is V = V_examples + V_seeds - V_residual (multiway clustering: Cameron, Gelbach and Miller
    2011, equation 2.8; here that of the crossed two-way random-effects model), at least V_examples and V_seeds; the
    interval is Student's, with Satterthwaite's degrees of freedom. Two runs say next to nothing of how runs vary, and
    often too little: V_seeds is therefore at least the average over the rows, with their degrees of freedom together.
    p-values of differences are corrected over all pairs (Holm 1979), so that it does not matter that the best row was
    chosen by these scores.

    A missing score drops its example out of what it is needed for, and never counts as 0; more than `max_missing`
    of a contrast's scores missing, or fewer than two examples left: not conclusive.

    By simulation (tests/unit/evaluation/test_comparison.py; 60 and 150 examples): with equally good rows whose runs
    vary alike, any false difference in at most 6 % and coverage of 94 % or more, from 2 runs on. Where one row's runs
    vary ten times as much as another's and there are only 2 of each, its own interval covers 88 to 91 % and false
    differences come up in 7 %; 3 runs: 92 %, 4 %. With one run each nothing but the prompts is compared.
    """
    cells = {name: _Cells.over_seed(seed_scores, runs) for name, runs in rows.items()}
    parts = {name: one.parts() for name, one in cells.items() if one.usable(max_missing)}
    spread, freedom = _pooled(parts.values())
    gains = {name: cells[name].gain(parts.get(name), spread, freedom, level) for name in rows}
    pairs = list(itertools.combinations(rows, 2))
    found = []
    for first, second in pairs:
        pair = cells[first].minus(cells[second])
        known = pair.parts() if pair.usable(max_missing) and first in parts and second in parts else None
        both = 0.0
        if known is not None and known.runs > 1:
            # Runs of two strategies share nothing but their examples: their variances add.
            own = sum(parts[name].seeds * parts[name].runs for name in (first, second))
            both = max(own, 2 * spread)
        found.append(pair.gain(known, both, freedom, level))
    adjusted = holm([gain.p for gain in found])
    differences = [Difference(*pair, gain, p) for pair, gain, p in zip(pairs, found, adjusted, strict=True)]
    return Comparison(gains, differences)


def holm(p: ArrayLike) -> list[float]:
    """p-values corrected for their number by Holm's step-down method (1979), in their order."""
    values = np.asarray(p, float)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * (values.size - np.arange(values.size)))
    corrected = np.empty(values.size)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected.tolist()


def variance_parts(differences: ArrayLike) -> Parts:
    """The parts of the variance of the mean of a (runs, examples) table without missing cells.

    Two examples are added to it first (see `UNSEEN`), at its largest absolute value (1 where all are 0). With one run
    `seeds` and `residual` are 0.
    """
    table = np.asarray(differences, float)
    mean = float(table.mean())
    edge = float(np.abs(table).max()) or 1.0
    table = np.hstack([table, np.full((table.shape[0], 1), edge), np.full((table.shape[0], 1), -edge)])
    runs, n = table.shape
    by_example, by_run = table.mean(axis=0), table.mean(axis=1)
    examples = float(by_example.var(ddof=1)) / n
    if runs == 1:
        return Parts(mean, examples, 0.0, 0.0, n - UNSEEN, runs)
    left = table - by_example - by_run[:, None] + table.mean()
    residual = float((left**2).sum()) / ((runs - 1) * (n - 1)) / (runs * n)
    return Parts(mean, examples, float(by_run.var(ddof=1)) / runs, residual, n - UNSEEN, runs)


@dataclass(frozen=True)
class _Cells:
    """Differences of scores by seed and example id; None: missing. `exact`: 0 by definition in every run."""

    table: Mapping[int, Mapping[str, float | None]]
    exact: bool

    @classmethod
    def over_seed(cls, seed: Scores, runs: Runs) -> _Cells:
        table = {
            number: {i: 0.0 if found is None else _minus(found.get(i), score) for i, score in seed.items()}
            for number, found in runs.items()
        }
        return cls(table, all(found is None for found in runs.values()))

    def minus(self, other: _Cells) -> _Cells:
        """Against another row, by the seeds that both have."""
        table = {
            number: {i: _minus(value, other.table[number].get(i)) for i, value in row.items()}
            for number, row in self.table.items()
            if number in other.table
        }
        return _Cells(table, self.exact and other.exact)

    @cached_property
    def missing(self) -> float:
        """The share of cells that are not there."""
        cells = [value for row in self.table.values() for value in row.values()]
        return sum(value is None for value in cells) / len(cells) if cells else 1.0

    @cached_property
    def whole(self) -> Floats:
        """The table (runs, examples) over the examples that every run has."""
        rows = list(self.table.values())
        ids = [i for i in (rows[0] if rows else ()) if all(row[i] is not None for row in rows)]
        return np.array([[row[i] for i in ids] for row in rows], float).reshape(len(rows), len(ids))

    def usable(self, max_missing: float) -> bool:
        return self.missing <= max_missing and self.whole.shape[1] > 1

    def parts(self) -> Parts:
        return variance_parts(self.whole)

    def gain(self, parts: Parts | None, spread: float, freedom: int, level: float) -> Gain:
        """The estimate; `spread`: the least variance between runs to assume, with its degrees of freedom."""
        table = self.whole
        n, seeds = table.shape[1], table.shape[0]
        mean = float(table.mean()) if table.size else 0.0
        if parts is None:
            return Gain(mean, -1.0, 1.0, 1.0, n, seeds, self.missing, conclusive=False)
        if self.exact and spread == 0:
            return Gain(0.0, 0.0, 0.0, 1.0, n, seeds, self.missing)
        variance, t_freedom = _total(parts, spread / parts.runs, freedom)
        error = math.sqrt(variance)
        half = error * student_quantile((1 + level) / 2, t_freedom)
        p = 2 * student_below(-abs(mean) / error, t_freedom)
        return Gain(mean, max(-1.0, mean - half), min(1.0, mean + half), p, n, seeds, self.missing)


def _total(parts: Parts, spread: float, spread_freedom: int) -> tuple[float, float]:
    """The variance of the mean, and its degrees of freedom (Satterthwaite 1946), at least 1."""
    n = parts.n + UNSEEN
    if parts.runs == 1:
        return parts.examples, n - 1
    seeds, freedom = parts.seeds, parts.runs - 1
    if spread >= seeds:
        seeds, freedom = spread, max(freedom, spread_freedom)
    variance = max(parts.examples + seeds - parts.residual, parts.examples, seeds)
    squares = parts.examples**2 / (n - 1) + seeds**2 / freedom + parts.residual**2 / ((parts.runs - 1) * (n - 1))
    return variance, max(1.0, variance**2 / squares)


def _pooled(rows: Iterable[Parts]) -> tuple[float, int]:
    """The variance between the runs of a row, averaged over the rows, and its degrees of freedom."""
    known = [parts for parts in rows if parts.runs > 1]
    freedom = sum(parts.runs - 1 for parts in known)
    spread = sum(parts.seeds * parts.runs * (parts.runs - 1) for parts in known)
    return (spread / freedom, freedom) if freedom else (0.0, 0)


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second
