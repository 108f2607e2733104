"""What a test split can certify, checked against the test itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sage_spo.evaluation.intervals import score_ps
from sage_spo.evaluation.power import examples_needed, power_of, smallest_certifiable_gain


@pytest.mark.parametrize(("n", "alpha", "discordance"), [(30, 0.05, 0.25), (100, 0.03, 0.25), (300, 0.05, 0.1)])
def test_the_smallest_certifiable_gain_is_certified_in_80_percent_of_simulated_runs(
    n: int, alpha: float, discordance: float
) -> None:
    gain = smallest_certifiable_gain(n, alpha, discordance)
    share = max(discordance, gain)
    shares = [(share + gain) / 2, (share - gain) / 2, 1 - share]
    fixed, broken, _ = np.random.default_rng(0).multinomial(n, shares, size=40_000).T
    certified = np.mean((score_ps(fixed, broken) < alpha) & (fixed > broken))
    assert certified == pytest.approx(0.8, abs=0.01)


def test_large_samples_agree_with_the_normal_formula() -> None:
    """Connor 1987: n = (z_a·sqrt(discordance) + z_b·sqrt(discordance - gain²))² / gain²."""
    expected = (1.959964 * math.sqrt(0.25) + 0.841621 * math.sqrt(0.25 - 0.05**2)) ** 2 / 0.05**2
    assert examples_needed(0.05) == pytest.approx(expected, rel=0.02)


def test_examples_needed_is_where_the_power_is_reached() -> None:
    n = examples_needed(0.1, alpha=0.03, discordance=0.2, power=0.9)
    assert power_of(n, 0.1, 0.03, 0.2) >= 0.9 > power_of(n - 1, 0.1, 0.03, 0.2)
    assert smallest_certifiable_gain(n, 0.03, 0.2, 0.9) <= 0.1


def test_more_examples_and_a_larger_error_rate_certify_smaller_gains() -> None:
    by_n = [smallest_certifiable_gain(n, 0.05) for n in (20, 50, 100, 300, 1000)]
    assert by_n == sorted(by_n, reverse=True)
    assert smallest_certifiable_gain(100, 0.01) > smallest_certifiable_gain(100, 0.05)


def test_a_gain_may_exceed_the_assumed_discordance() -> None:
    gain = smallest_certifiable_gain(10, 0.05, 0.1)
    assert gain > 0.1
    assert power_of(10, gain, 0.05, 0.1) == pytest.approx(0.8, abs=1e-3)


def test_too_few_examples_certify_nothing() -> None:
    assert smallest_certifiable_gain(3, 0.05) == math.inf
    assert smallest_certifiable_gain(0, 0.05) == math.inf


def test_without_a_gain_the_test_certifies_at_most_half_its_error_rate() -> None:
    for n in (20, 48, 100, 300):
        for discordance in (0.02, 0.05, 0.25, 0.5):
            assert power_of(n, 0.0, 0.05, discordance) <= 0.0275


def test_senseless_wishes_are_refused() -> None:
    with pytest.raises(ValueError, match="gain"):
        examples_needed(0.0)
    with pytest.raises(ValueError, match="10,000,000"):
        examples_needed(0.0001)
    with pytest.raises(ValueError, match="discordance"):
        smallest_certifiable_gain(50, 0.05, 0.0)
    with pytest.raises(ValueError, match="power"):
        examples_needed(0.1, power=80)
