"""Scores of meta-prompts, and regrets."""

from __future__ import annotations

import math

import pytest

from sage_spo.evaluation.meta_scores import (
    batch_score,
    fixed_regret,
    maximised,
    mean_se,
    minimised,
    running_least,
    running_sum,
)


def test_a_value_that_is_minimised_scores_by_its_distance_below_the_bound() -> None:
    assert minimised(0.0, 40.0) == 1.0
    assert minimised(10.0, 40.0) == 0.75
    assert minimised(40.0, 40.0) == 0.0
    assert minimised(60.0, 40.0) == -0.5
    assert minimised(1e9, 40.0) == -1.0


@pytest.mark.parametrize("bound", [0.0, -5.0, math.nan, math.inf])
def test_a_bound_that_is_not_positive_and_finite_is_refused(bound: float) -> None:
    with pytest.raises(ValueError, match="positive finite"):
        minimised(1.0, bound)


def test_a_value_that_is_maximised_is_a_part_of_its_range_where_it_has_one() -> None:
    assert maximised(5.0, 0.0, 10.0) == 0.5
    assert maximised(5.0, None, 10.0) == 5.0


def test_a_batch_scores_the_mean_of_its_actions_means() -> None:
    seen = [("a", 1.0), ("a", 0.0), ("b", 1.0)]
    assert batch_score(["a", "a", "b", "c"], seen) == pytest.approx((0.5 + 0.5 + 1.0 + 0.5) / 4)
    assert batch_score(["b"], [("b", 30.0)], 10.0, 50.0) == 0.5
    with pytest.raises(ValueError, match="without an action"):
        batch_score([], seen)


def test_sums_and_least_values_pass_over_what_is_missing() -> None:
    assert running_sum([1.0, None, 2.0]) == [1.0, 1.0, 3.0]
    assert running_least([None, 3.0, None, 4.0, 1.0]) == [None, 3.0, 3.0, 3.0, 1.0]


def test_regret_against_the_best_single_action_is_negative_for_who_follows_the_drift() -> None:
    means = [(0.7, 0.3)] * 5 + [(0.3, 0.7)] * 5
    assert fixed_regret(means, [0.7] * 10) == pytest.approx(-2.0)
    assert fixed_regret(means, [0.7] * 5 + [0.3] * 5) == pytest.approx(0.0)
    assert fixed_regret([], []) == 0.0


def test_a_mean_has_an_error_from_two_values_on() -> None:
    assert mean_se([]) == (None, None)
    assert mean_se([3.0]) == (3.0, None)
    assert mean_se([1.0, 3.0]) == (2.0, pytest.approx(1.0))
