"""Intervals and p-values against published figures, brute force, and the coverage they promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from sage_spo.evaluation.intervals import (
    LARGEST_BET,
    Interval,
    betting_bounds,
    betting_interval,
    mean_interval,
    score_p,
    sign_flip_p,
    tango,
    tango_bounds,
    wilson,
)

counts = st.integers(1, 80).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n)).flatmap(
        lambda pair: st.tuples(st.just(pair[0]), st.integers(0, pair[1] - pair[0]), st.just(pair[1]))
    )
)
differences = st.lists(st.floats(-1, 1).map(lambda value: round(value, 3)), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)


def test_wilson_of_nothing_is_the_whole_scale_and_bad_counts_are_refused() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert wilson(7, 7).high == 1.0
    with pytest.raises(ValueError, match="successes"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="level"):
        wilson(1, 2, level=95)


def test_tango_gives_the_published_interval_of_the_airway_study() -> None:
    """Fagerland, Lydersen and Laake 2014: 1 and 7 discordant of 21 pairs."""
    interval = tango(1, 7, 21)
    assert (interval.low, interval.high) == pytest.approx((-0.517, -0.026), abs=6e-4)
    assert score_p(1, 7, 21) == pytest.approx(0.0339, abs=5e-5)


@pytest.mark.parametrize(("fixed", "broken", "n"), [(9, 3, 48), (2, 0, 30), (0, 0, 25), (20, 20, 60), (30, 0, 30)])
def test_tango_agrees_with_a_numerical_restricted_likelihood(fixed: int, broken: int, n: int) -> None:
    def z(delta: float) -> float:
        def loss(p21: float) -> float:
            cells = np.array([p21 + delta, p21, 1 - 2 * p21 - delta])
            seen = np.array([fixed, broken, n - fixed - broken])
            return -float(np.sum(seen[seen > 0] * np.log(np.maximum(cells[seen > 0], 1e-300))))

        range_of_p21 = [(max(0.0, -delta), (1 - delta) / 2)]
        middle = [sum(range_of_p21[0]) / 2]
        found = optimize.minimize(lambda x: loss(x[0]), middle, bounds=range_of_p21, method="Powell", tol=1e-12)
        p21 = float(found.x[0])
        return (fixed - broken - n * delta) / math.sqrt(n * max(2 * p21 + delta * (1 - delta), 1e-15))

    interval = tango(fixed, broken, n, level=0.9)
    limit = stats.norm.isf(0.05)
    if interval.low > -1:
        assert z(interval.low) == pytest.approx(limit, abs=1e-3)
    if interval.high < 1:
        assert z(interval.high) == pytest.approx(-limit, abs=1e-3)


@given(counts)
@settings(deadline=None)
def test_tango_holds_the_difference_mirrors_and_agrees_with_its_p_value(case: tuple[int, int, int]) -> None:
    fixed, broken, n = case
    interval, mirrored = tango(fixed, broken, n), tango(broken, fixed, n)
    assert -1 <= interval.low <= (fixed - broken) / n <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-12)
    p = score_p(fixed, broken, n)
    if abs(p - 0.05) > 1e-9:
        assert (0 not in interval) == (p < 0.05)


@pytest.mark.parametrize("n", [20, 48, 100])
def test_tango_covers_at_least_93_percent_computed_exactly(n: int) -> None:
    fixed, broken = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    possible = fixed + broken <= n
    fixed, broken = fixed[possible], broken[possible]
    low, high = tango_bounds(fixed, broken, n)
    outcomes = np.column_stack([fixed, broken, n - fixed - broken])
    for discordance, share in itertools.product((0.02, 0.05, 0.10, 0.25, 0.5), np.linspace(0, 1, 11)):
        truth = discordance * (2 * share - 1)
        chance = stats.multinomial.pmf(outcomes, n, [discordance * share, discordance * (1 - share), 1 - discordance])
        covered = float(np.sum(chance[(low <= truth + 1e-12) & (truth - 1e-12 <= high)]))
        assert covered >= 0.93, (discordance, share)


def test_no_discordant_pair_gives_p_one_and_impossible_counts_are_refused() -> None:
    assert score_p(0, 0, 10) == 1.0
    assert tango(0, 0, 0) == Interval(-1.0, 1.0)
    for function in (score_p, tango):
        with pytest.raises(ValueError, match="fixed and broken"):
            function(6, 5, 10)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
@settings(deadline=None)
def test_sign_flip_p_equals_a_count_over_all_sign_patterns(values: list[int]) -> None:
    patterns = itertools.product((-1, 1), repeat=len(values))
    sums = [abs(sum(sign * value for sign, value in zip(signs, values, strict=True))) for signs in patterns]
    expected = sum(total >= abs(sum(values)) for total in sums) / len(sums)
    assert sign_flip_p(np.array(values) / 10, np.random.default_rng(0)) == pytest.approx(expected)


def test_sampled_sign_flips_come_close_to_the_normal_limit_and_to_the_same_p_for_the_same_seed() -> None:
    values = np.random.default_rng(1).normal(0.1, 0.4, 120).clip(-1, 1)
    p = sign_flip_p(values, np.random.default_rng(2))
    z = values.sum() / math.sqrt(np.sum(values**2))
    assert p == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.01)
    assert p == sign_flip_p(values, np.random.default_rng(2))


def test_sign_flip_p_ignores_zeros_and_is_never_zero() -> None:
    rng = np.random.default_rng(0)
    assert sign_flip_p([0.0, 0.0], rng) == 1.0
    assert sign_flip_p([], rng) == 1.0
    assert sign_flip_p([0.5, 0.0, 0.25], rng) == sign_flip_p([0.5, 0.25], rng) == 0.5
    assert sign_flip_p(np.ones(50), rng, draws=1000) == 1 / 1001


def wealth(values: list[float], mean: float, level: float) -> float:
    """Theorem 3 of arXiv 2010.09686 spelled out for one assumed mean in (0, 1): the richer gambler's best capital."""
    n, bar = len(values), math.log(2 / (1 - level))
    up = down = 0.5
    best = 0.5
    for t in range(n):
        means = [(0.5 + sum(values[: i + 1])) / (i + 2) for i in range(t)]
        variance = (0.25 + sum((values[i] - means[i]) ** 2 for i in range(t))) / (t + 1)
        bet = math.sqrt(2 * bar / (n * variance))
        up *= 1 + min(bet, LARGEST_BET / mean) * (values[t] - mean)
        down *= 1 - min(bet, LARGEST_BET / (1 - mean)) * (values[t] - mean)
        best = max(best, up, down)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_betting_interval_keeps_the_means_at_which_nobody_grew_rich(seed: int) -> None:
    values = np.random.default_rng(seed).beta(2, 1, 25).tolist()
    interval = betting_interval(values, 0.9, 0, 1)
    for mean in np.linspace(0.005, 0.995, 199):
        assert (wealth(values, mean, 0.9) < 10) == (mean in interval)


@given(differences)
@settings(deadline=None)
def test_betting_interval_holds_the_mean_mirrors_and_scales(values: list[float]) -> None:
    d = np.array(values)
    interval, mirrored, halved = betting_interval(d), betting_interval(-d), betting_interval(d / 2, 0.95, -0.5, 0.5)
    assert -1 <= interval.low <= d.mean() + 1e-12
    assert d.mean() - 1e-12 <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)
    assert (halved.low, halved.high) == pytest.approx((interval.low / 2, interval.high / 2), abs=1e-9)


def test_betting_interval_narrows_with_examples_and_widens_with_the_level() -> None:
    d = np.tile([0.5, -0.25, 0.0, 0.125], 200)
    widths = [betting_interval(d[:n]).width for n in (20, 80, 320)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.15
    assert betting_interval(d[:80], 0.99).width > betting_interval(d[:80], 0.9).width


def test_betting_bounds_of_many_samples_are_those_of_each() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (4, 30))
    low, high = betting_bounds(samples)
    for i, sample in enumerate(samples):
        assert betting_interval(sample) == Interval(low[i], high[i])


def test_betting_interval_refuses_what_is_out_of_range_or_missing() -> None:
    assert betting_interval([]) == Interval(-1.0, 1.0)
    with pytest.raises(ValueError, match="must lie in"):
        betting_interval([1.5])
    with pytest.raises(ValueError, match="finite"):
        betting_interval([math.nan])


def test_mean_interval_is_wilsons_for_right_and_wrong_and_the_betting_one_for_partial_scores() -> None:
    assert mean_interval([1, 0, 1, 1], 0.9) == wilson(3, 4, 0.9)
    assert mean_interval([1, 0, 0.5, 1], 0.9) == betting_interval([1, 0, 0.5, 1], 0.9, 0, 1)
    assert mean_interval([], 0.9) == Interval(0.0, 1.0)


def test_an_interval_reads_short() -> None:
    assert str(Interval(-0.01234, 0.5)) == "[-0.012, 0.500]"
