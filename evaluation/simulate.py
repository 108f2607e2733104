"""Shows by simulation that the statistics keep their promises: `python -m sage_spo.evaluation.simulate --runs 4000`.

Every run draws its own world: examples differ in difficulty, and prompts that are equally good share most of
their answers, as prompts for one model do. An answer is common to all prompts unless a prompt draws its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ..seeding import generator
from .certify import certify
from .intervals import betting_bounds, score_ps, tango_bounds
from .sequential import e_process
from .spending import candidate_alpha, spent_alpha

Floats = NDArray[np.float64]

ALPHA = 0.05
LEAST_COVERAGE = 0.93
CANDIDATES = 30
OWN_DRAWS = 0.3
"""Share of answers that a prompt draws for itself: two prompts then disagree on about 17 % of the examples."""
BLOCK = 25
CHUNK = 40
"""Runs held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured share of `runs`, the bound it was promised to keep, and what a plainer method does instead."""

    name: str
    runs: int
    measured: float
    limit: float
    at_most: bool
    contrast: float | None = None
    contrast_name: str = ""

    @property
    def kept(self) -> bool:
        return self.measured <= self.limit if self.at_most else self.measured >= self.limit

    def __str__(self) -> str:
        bound = f"{'<=' if self.at_most else '>='} {self.limit:.3f}"
        verdict = "ok" if self.kept else "BROKEN"
        beside = "" if self.contrast is None else f"{self.contrast_name} {self.contrast:.4f}"
        return f"{self.name:<66} {self.runs:>6} {self.measured:>8.4f}  {bound}  {verdict:<6}  {beside}"


@dataclass(frozen=True, slots=True)
class Effect:
    """Paired differences: shares of examples that are fixed and broken among `n`."""

    n: int
    fixed: float
    broken: float

    def __str__(self) -> str:
        return f"n={self.n}, fixed {self.fixed:.1%}, broken {self.broken:.1%}"


EFFECTS = (
    Effect(48, 0.025, 0.025),
    Effect(48, 0.04, 0.01),
    Effect(48, 0.05, 0.0),
    Effect(48, 0.20, 0.10),
    Effect(300, 0.025, 0.025),
    Effect(300, 0.18, 0.08),
)


def equal_prompts(rng: np.random.Generator, runs: int, prompts: int, examples: int, binary: bool) -> Floats:
    """Scores of equally good prompts, (runs, prompts, examples), with errors correlated between prompts."""
    ease = np.clip(rng.beta(1.5, 1.0, (runs, 1, examples)), 0.01, 0.99)
    shape = (runs, prompts, examples)
    own = rng.random(shape) < OWN_DRAWS
    if binary:
        answers = np.where(own, rng.random(shape), rng.random((runs, 1, examples)))
        return (answers < ease).astype(float)
    common = rng.beta(3 * ease, 3 * (1 - ease))
    # Only the answers a prompt draws for itself are drawn: a beta draw is dear.
    scores = np.broadcast_to(common, shape).copy()
    drawn = np.broadcast_to(ease, shape)[own]
    scores[own] = rng.beta(3 * drawn, 3 * (1 - drawn))
    return scores


def false_certificates(runs: int, rng: np.random.Generator, *, binary: bool, test: int) -> Figure:
    """How often a winner no better than the seed, the luckiest of 30 on 100 search examples, is called improved."""
    false = naive = 0
    for now in _chunks(runs):
        search = equal_prompts(rng, now, 1 + CANDIDATES, 100, binary).mean(axis=2)
        naive += np.count_nonzero(search[:, 1:].max(axis=1) > search[:, 0])
        # Which of equals won by luck says nothing about its answers on other examples: two prompts are enough.
        for seed_scores, winner_scores in equal_prompts(rng, now, 2, test, binary):
            certificate = certify(_by_id(seed_scores), _by_id(winner_scores), alpha=ALPHA, rng=rng)
            false += certificate.verdict == "improved"
    name = f"falsely certified, {_kind(binary)}, best of {CANDIDATES}, n={test}"
    return Figure(name, runs, false / runs, ALPHA, True, naive / runs, "best on search split")


def false_certificates_over_uses(runs: int, rng: np.random.Generator, uses: int = 5, test: int = 100) -> Figure:
    """How often any of several uses of one test split, by equally good prompts, is called improved."""
    false = naive = 0
    for now in _chunks(runs):
        scores = equal_prompts(rng, now, 1 + uses, test, True)
        differences = scores[:, 1:] - scores[:, :1]
        ahead = differences.sum(axis=2) > 0
        p = score_ps((differences > 0).sum(axis=2), (differences < 0).sum(axis=2))
        spent = np.array([spent_alpha(use, ALPHA) for use in range(1, uses + 1)])
        false += np.count_nonzero(np.any((p < spent) & ahead, axis=1))
        naive += np.count_nonzero(np.any((p < ALPHA) & ahead, axis=1))
    name = f"falsely certified, binary, any of {uses} uses of a split, n={test}"
    return Figure(name, runs, false / runs, ALPHA, True, naive / runs, "error rate not spent")


def false_acceptances(
    runs: int, rng: np.random.Generator, *, binary: bool, candidates: int = CANDIDATES, search: int = 150
) -> Figure:
    """How often rule `significant` accepts any candidate as good as the champion, looking after every block."""
    false = naive = 0
    looks = np.arange(BLOCK, search + 1, BLOCK) - 1
    bars = 1 / np.array([candidate_alpha(index, ALPHA) for index in range(1, candidates + 1)])
    for now in _chunks(runs):
        scores = equal_prompts(rng, now, 1 + candidates, search, binary)
        differences = scores[:, 1:] - scores[:, :1]
        evidence = e_process(differences)[..., looks]
        false += np.count_nonzero(np.any(evidence >= bars[:, None], axis=(1, 2)))
        sums, squares = (np.cumsum(values, axis=-1)[..., looks] for values in (differences, differences**2))
        z = sums / np.sqrt(np.maximum(squares, 1e-12))
        naive += np.count_nonzero(np.any(z > stats.norm.isf(ALPHA), axis=(1, 2)))
    name = f"falsely accepted by `significant`, {_kind(binary)}, any of {candidates}, n={search}"
    return Figure(name, runs, false / runs, float(np.sum(1 / bars)), True, naive / runs, "z test at every look")


def coverage_binary(runs: int, rng: np.random.Generator, effect: Effect) -> Figure:
    """How often Tango's nominal 95 % interval holds the true difference."""
    shares = [effect.fixed, effect.broken, 1 - effect.fixed - effect.broken]
    fixed, broken, _ = rng.multinomial(effect.n, shares, size=runs).T
    truth = effect.fixed - effect.broken
    low, high = tango_bounds(fixed, broken, effect.n)
    gain = (fixed - broken) / effect.n
    wald = stats.norm.isf(0.025) * np.sqrt((fixed + broken) / effect.n - gain**2) / np.sqrt(effect.n)
    return Figure(
        f"coverage, binary (Tango), {effect}",
        runs,
        float(np.mean((low <= truth) & (truth <= high))),
        LEAST_COVERAGE,
        False,
        float(np.mean(np.abs(gain - truth) <= wald)),
        "Wald",
    )


def coverage_real_valued(runs: int, rng: np.random.Generator, effect: Effect) -> Figure:
    """How often the nominal 95 % betting interval holds the true mean of differences of size 0.2 to 1."""
    truth = 0.6 * (effect.fixed - effect.broken)
    covered = by_t = 0
    for now in _chunks(runs):
        where = rng.random((now, effect.n))
        sign = np.where(where < effect.fixed, 1.0, np.where(where < effect.fixed + effect.broken, -1.0, 0.0))
        differences = sign * rng.uniform(0.2, 1.0, sign.shape)
        low, high = betting_bounds(differences)
        covered += np.count_nonzero((low <= truth) & (truth <= high))
        half = stats.t.isf(0.025, effect.n - 1) * differences.std(axis=1, ddof=1) / np.sqrt(effect.n)
        by_t += np.count_nonzero(np.abs(differences.mean(axis=1) - truth) <= half)
    name = f"coverage, real-valued (betting), {effect}"
    return Figure(name, runs, covered / runs, LEAST_COVERAGE, False, by_t / runs, "t")


def figures(runs: int, seed: int = 0) -> Iterator[Figure]:
    """All figures, one after the other; each has its own generator, so that they do not depend on each other."""
    for binary in (True, False):
        for test in (48, 100):
            rng = generator(seed, "certificates", binary, test)
            yield false_certificates(runs, rng, binary=binary, test=test)
    yield false_certificates_over_uses(runs, generator(seed, "uses"))
    for binary in (True, False):
        for candidates, search in ((CANDIDATES, 150), (1, 1000)):
            rng = generator(seed, "acceptances", binary, candidates)
            yield false_acceptances(runs, rng, binary=binary, candidates=candidates, search=search)
    for effect in EFFECTS:
        yield coverage_binary(runs, generator(seed, "binary", effect), effect)
    for effect in EFFECTS:
        yield coverage_real_valued(runs, generator(seed, "real-valued", effect), effect)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m sage_spo.evaluation.simulate", description=__doc__)
    parser.add_argument("--runs", type=int, default=4000, help="runs per row (default 4000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    broken = 0
    for figure in figures(options.runs, options.seed):
        print(figure, flush=True)
        broken += not figure.kept
    return 1 if broken else 0


def _chunks(runs: int) -> Iterator[int]:
    for start in range(0, runs, CHUNK):
        yield min(CHUNK, runs - start)


def _by_id(scores: Floats) -> dict[str, float]:
    return {str(i): score for i, score in enumerate(scores.tolist())}


def _kind(binary: bool) -> str:
    return "binary" if binary else "real-valued"


if __name__ == "__main__":
    raise SystemExit(main())
