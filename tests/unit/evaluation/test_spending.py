"""An error rate spread over uses."""

from __future__ import annotations

import math

import pytest

from sage_spo.evaluation.spending import candidate_alpha, spent_alpha


def test_all_uses_together_spend_the_error_rate_and_no_more() -> None:
    total = sum(spent_alpha(use, 0.05) for use in range(1, 20_001))
    assert 0.0499 < total < 0.05


def test_the_kth_use_gets_a_kth_squared_of_the_first() -> None:
    assert spent_alpha(1) == pytest.approx(0.05 * 6 / math.pi**2)
    assert spent_alpha(3) == pytest.approx(spent_alpha(1) / 9)


def test_candidates_of_a_run_share_one_error_rate() -> None:
    assert sum(candidate_alpha(index, 0.1) for index in range(1, 31)) < 0.1
    assert candidate_alpha(1, 0.1) > candidate_alpha(2, 0.1)


def test_uses_are_counted_from_one() -> None:
    for function in (spent_alpha, candidate_alpha):
        with pytest.raises(ValueError, match="from 1"):
            function(0)
        with pytest.raises(ValueError, match="alpha"):
            function(1, 5)
