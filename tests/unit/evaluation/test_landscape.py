"""The landscape's statistics on fields whose truth is known: noise is taken off, structure found only where it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from sage_spo.evaluation.landscape import LEAST_PROMPTS, Landscape, analyse, enough_scores
from sage_spo.evaluation.mantel import mantel
from sage_spo.evaluation.variogram import Model, distances, fit, make_bins, pair_semivariances, pairs_of
from sage_spo.seeding import generator
from sage_spo.tests.fakes.fields import Field, make_field


def looked_at(field: Field, bootstraps: int = 20, seed: int = 0) -> Landscape:
    return analyse(field.scores, field.vectors, field.generations, bootstraps=bootstraps, seed=seed)


def test_equally_good_prompts_have_a_semivariance_of_nothing_and_noise_alone_would_have_some() -> None:
    fields = [make_field(generator(0, "flat", i), 20, spread=0.0) for i in range(100)]
    corrected = [pair_semivariances(field.scores) for field in fields]
    means = [field.scores.mean(axis=1) for field in fields]
    naive = np.mean([np.mean(pairs_of(0.5 * (one[:, None] - one) ** 2)) for one in means])
    found = np.mean([np.mean(pairs_of(one)) for one in corrected])
    assert naive > 0.0015
    assert abs(found) < 0.1 * naive
    assert np.mean([np.mean(pairs_of(one) < 0) for one in corrected]) > 0.4, "estimates are not clamped"


def test_a_true_difference_is_found_without_the_noise() -> None:
    rng = generator(0, "difference")
    scores = np.stack([rng.random((4000, 48)) < 0.5, rng.random((4000, 48)) < 0.7]).astype(float)
    found = [pair_semivariances(scores[:, i])[0, 1] for i in range(4000)]
    assert np.mean(found) == pytest.approx(0.5 * 0.2**2, rel=0.06)


def test_a_pair_is_compared_on_the_examples_that_both_have() -> None:
    scores = make_field(generator(0, "missing"), 6).scores
    some = scores.copy()
    some[2, :10] = np.nan
    both = pair_semivariances(some)
    assert both[2, 4] == pytest.approx(pair_semivariances(scores[:, 10:])[2, 4])
    assert both[0, 1] == pytest.approx(pair_semivariances(scores)[0, 1])
    some[2, 1:] = np.nan
    assert np.isnan(pair_semivariances(some)[2, 4])
    assert enough_scores(some).tolist() == [True, True, False, True, True, True]


def test_bins_hold_every_pair_once_and_a_prompt_drawn_twice_makes_no_pair() -> None:
    field = make_field(generator(0, "bins"), 30)
    apart, gammas = distances(field.vectors), pair_semivariances(field.scores)
    bins = make_bins(apart, np.ones_like(apart, dtype=bool))
    assert bins.pairs.sum() == 30 * 29 / 2
    assert np.all(np.diff(bins.distance) > 0)
    plain = bins.means(gammas, np.ones((1, 30)))[0]
    assert plain[0] == pytest.approx(gammas[bins.member == 0].mean())
    assert plain @ bins.pairs / bins.pairs.sum() == pytest.approx(pairs_of(gammas).mean())
    alone = np.zeros((1, 30))
    alone[0, 3] = 30
    assert np.isnan(bins.means(gammas, alone)).all()
    twice = np.ones((1, 30))
    twice[0, :2] = 2, 0
    assert np.nanmax(np.abs(bins.means(gammas, twice)[0] - plain)) > 0


def test_prompts_at_one_and_the_same_distance_are_one_bin() -> None:
    apart = 1.0 - np.eye(15)
    bins = make_bins(apart, np.ones_like(apart, dtype=bool))
    assert (len(bins.distance), bins.pairs[0]) == (1, 105)
    assert fit(bins.distance, np.array([0.01]), bins.pairs) is None


@pytest.mark.parametrize("truth", [Model(0.002, 0.01, 0.3), Model(0.0, 0.02, 0.6), Model(0.005, 0.006, 1.2)])
def test_an_exponential_semivariogram_is_fitted_exactly(truth: Model) -> None:
    distance = np.linspace(0.05, 1.5, 10)
    found = fit(distance, truth.at(distance), np.full(10, 50))
    assert found is not None
    assert found.range == pytest.approx(truth.range, rel=0.06)
    assert found.sill == pytest.approx(truth.sill, rel=0.02)
    assert found.nugget == pytest.approx(truth.nugget, abs=0.0005)


def test_a_flat_or_falling_semivariogram_is_a_nugget_and_a_negative_one_nothing() -> None:
    distance, pairs = np.linspace(0.1, 1, 8), np.full(8, 50)
    for level in (np.full(8, 0.01), np.linspace(0.02, 0.0, 8)):
        found = fit(distance, level, pairs)
        assert found is not None
        assert found.nugget == pytest.approx(found.sill) == pytest.approx(0.01)
    assert fit(distance, np.full(8, -0.001), pairs) is None


def _alarms(count: int, prompts: int, **field: Any) -> tuple[int, int]:
    """How often the test finds structure, and how often the textbook's would, at 5 %."""
    found = textbook = 0
    for i in range(count):
        one = make_field(generator(1, "alarms", i, *sorted(field.items())), prompts, **field)
        design = np.column_stack([np.ones(prompts), one.generations])
        residuals = one.scores - design @ np.linalg.lstsq(design, one.scores, rcond=None)[0]
        apart = distances(one.vectors)
        found += mantel(residuals, apart, generator(2, i), draws=99).p <= 0.05
        textbook += _textbook(residuals.mean(axis=1), apart, generator(3, i)) <= 0.05
    return found, textbook


def _textbook(means: np.ndarray, apart: np.ndarray, rng: np.random.Generator) -> float:
    near = np.exp(-2 * apart / np.median(pairs_of(apart)))
    np.fill_diagonal(near, 0)
    dealt = np.array([means, *(means[rng.permutation(len(means))] for _ in range(99))])
    statistics = np.einsum("dp,dp->d", dealt @ near, dealt)
    return float(np.mean(statistics >= statistics[0]))


@pytest.mark.parametrize(
    "field",
    [
        {"spread": 0.0, "shared": 3.0},
        {"spread": 0.05, "shared": 3.0},
        {"spread": 0.1, "shared": 3.0, "trend": 0.02},
        {"spread": 0.1, "shared": 0.0},
    ],
)
def test_no_structure_is_found_where_there_is_none(field: dict[str, float]) -> None:
    count = 150
    found, textbook = _alarms(count, 40, **field)
    assert found <= binom.ppf(0.99, count, 0.05), found
    if field["spread"] == 0.0:
        assert textbook > 0.2 * count, "near prompts share their noise, which the textbook's test takes for structure"


@pytest.mark.full
@pytest.mark.parametrize("prompts", [LEAST_PROMPTS, 30, 60])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("shared", [0.0, 1.0, 9.0])
def test_no_structure_is_found_where_there_is_none_full(prompts: int, spread: float, shared: float) -> None:
    found, _ = _alarms(400, prompts, spread=spread, shared=shared, trend=0.02)
    assert found <= binom.ppf(0.99, 400, 0.05), found


def test_short_and_long_ranges_are_told_apart_and_the_nugget_holds_no_noise() -> None:
    count, found = 24, {}
    for name, true_range in (("short", 0.8), ("long", 9.0)):
        fields = [make_field(generator(4, name, i), range=true_range) for i in range(count)]
        landscapes = [looked_at(field, seed=i) for i, field in enumerate(fields)]
        shapes = [one.shape for one in landscapes]
        models = [(one.model, field.median) for one, field in zip(landscapes, fields, strict=True)]
        ranges = [model.range / median for model, median in models if model is not None]
        nuggets = [model.nugget for model, _ in models if model is not None]
        found[name] = shapes, float(np.median(ranges)), float(np.mean(nuggets))
    shapes, short, _ = found["short"]
    assert 0.4 < short < 1.6
    assert shapes.count("rugged") > 2 * shapes.count("smooth")
    shapes, long, nugget = found["long"]
    assert long > 2.0
    assert shapes.count("smooth") > 1.5 * shapes.count("rugged")
    assert shapes.count("no structure found") < count / 2
    # The panel's noise is half a squared difference of 0.002 to 0.003 (see the first test).
    assert nugget < 0.001


def test_the_trend_along_the_lineage_is_no_structure() -> None:
    fields = [make_field(generator(5, i), 40, spread=0.0, trend=0.03, shared=1.0) for i in range(20)]
    landscapes = [looked_at(field, seed=i) for i, field in enumerate(fields)]
    assert np.mean([one.trend for one in landscapes]) == pytest.approx(0.03, rel=0.2)
    assert sum(one.shape != "no structure found" for one in landscapes) <= binom.ppf(0.99, 20, 0.05)
    kept = [analyse(f.scores, f.vectors, [0] * 40, bootstraps=20) for f in fields]
    assert sum(one.shape != "no structure found" for one in kept) > 7, "without taking it off it would be"


def test_the_same_seed_gives_the_same_landscape_and_prompts_vary_in_its_bootstrap() -> None:
    field = make_field(generator(6), range=9.0)
    first = looked_at(field, bootstraps=100)
    assert looked_at(field, bootstraps=100) == first
    assert first.nugget is not None
    assert first.sill is not None
    assert first.model is not None
    assert first.sill.low < first.model.sill < first.sill.high
    assert all(one.interval.low < one.gamma < one.interval.high for one in first.bins)
    assert first.edit is None
    edited = analyse(field.scores, field.vectors, field.generations, edits=[(1, 0)], bootstraps=20)
    assert edited.edit == pytest.approx(distances(field.vectors)[1, 0])


def test_prompts_that_all_answer_alike_have_no_landscape() -> None:
    field = make_field(generator(7), 20)
    same = analyse(np.tile(field.scores[0], (20, 1)), field.vectors, field.generations, bootstraps=20)
    assert (same.shape, same.model, same.spread, same.test.p) == ("no structure found", None, 0.0, 1.0)


def test_missing_scores_are_borne_and_too_few_prompts_refused() -> None:
    field = make_field(generator(8), 30, range=9.0)
    some = np.where(generator(9).random(field.scores.shape) < 0.1, np.nan, field.scores)
    found = analyse(some, field.vectors, field.generations, bootstraps=20)
    whole = analyse(field.scores, field.vectors, field.generations, bootstraps=20)
    assert found.spread == pytest.approx(whole.spread, abs=0.04)
    with pytest.raises(ValueError, match="at least 12"):
        analyse(field.scores[:11], field.vectors[:11], field.generations[:11])
