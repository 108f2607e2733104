"""When a candidate counts as breaking what the champion handled."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sage_spo.evaluation.intervals import tango
from sage_spo.evaluation.preservation import examples_to_show_harmless, preservation


def test_a_few_breaks_are_tolerated_and_many_are_not() -> None:
    assert preservation(0, 3, 60).verdict == "kept"
    assert preservation(0, 9, 60).verdict == "rejected"


def test_a_set_the_user_named_wants_proof_of_harmlessness() -> None:
    assert preservation(0, 0, 30).verdict == "kept"
    assert preservation(0, 0, 30, required=True).rejected
    assert not preservation(0, 0, 60, required=True).rejected
    assert preservation(0, 1, 60, required=True).rejected


def test_harmlessness_can_be_shown_from_45_examples_on() -> None:
    n = examples_to_show_harmless(0.05)
    assert n == 45
    assert not preservation(0, 0, n, required=True).rejected
    assert preservation(0, 0, n - 1, required=True).rejected


@pytest.mark.parametrize(("broken", "handled"), [(0, 20), (4, 40), (15, 15)])
def test_bounds_of_breaks_alone_are_those_of_the_exact_binomial_test(broken: int, handled: int) -> None:
    found = preservation(0, broken, handled)
    if broken:
        assert stats.binom.sf(broken - 1, handled, found.low) == pytest.approx(0.1)
    if broken < handled:
        assert stats.binom.cdf(broken, handled, found.high) == pytest.approx(0.1)
    assert found.net_broken == pytest.approx(broken / handled)


def test_fixes_are_set_against_breaks_when_fresh_draws_give_both() -> None:
    found = preservation(9, 10, 60, deterministic=False)
    expected = tango(10, 9, 60, 0.8)
    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.verdict == "kept"
    assert preservation(0, 10, 60, deterministic=False).verdict == "rejected"


def test_the_chance_flip_rate_is_subtracted_on_stochastic_targets_only() -> None:
    plain = preservation(0, 12, 60)
    flipping = preservation(0, 12, 60, flip_rate=0.18, deterministic=False)
    assert plain.rejected
    assert not flipping.rejected
    assert flipping.net_broken == pytest.approx(plain.net_broken - 0.18)
    assert preservation(0, 12, 60, flip_rate=0.18, deterministic=True) == plain


def test_nothing_handled_proves_nothing() -> None:
    assert preservation(0, 0, 0).verdict == "kept"
    assert preservation(0, 0, 0, required=True).verdict == "rejected"


@given(st.integers(0, 20), st.integers(0, 20), st.integers(41, 80))
@settings(deadline=None)
def test_breaking_one_more_is_never_judged_better(fixed: int, broken: int, handled: int) -> None:
    one, more = preservation(fixed, broken, handled), preservation(fixed, broken + 1, handled)
    assert one.low <= one.net_broken <= one.high
    assert more.low >= one.low - 1e-12
    assert more.high >= one.high - 1e-12


def test_impossible_counts_and_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="handled"):
        preservation(2, 3, 4)
    with pytest.raises(ValueError, match="flip_rate"):
        preservation(0, 1, 4, flip_rate=18, deterministic=False)
    with pytest.raises(ValueError, match="max_regression"):
        examples_to_show_harmless(0)
