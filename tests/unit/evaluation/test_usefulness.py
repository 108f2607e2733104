"""How likely an edit is of use: what each piece of evidence is worth, and which way it points."""

from __future__ import annotations

import math

import pytest

from sage_spo.evaluation import usefulness
from sage_spo.evaluation.usefulness import (
    FIRST_SHARE,
    HARMFUL,
    HELD_BACK,
    HELD_BACK_NOT,
    REFUTED,
    TRUSTED,
    harmful,
    named,
    probability,
)


def test_named_by_one_of_eight_requests_an_edit_is_of_use_as_often_as_such_edits_are():
    assert probability(named(1)) == pytest.approx(FIRST_SHARE)
    assert named(1) == named(1, 8)


def test_each_further_request_that_names_an_edit_speaks_for_it_and_each_that_does_not_against_it():
    by_names = [named(times, 10) for times in range(1, 11)]
    assert by_names == sorted(set(by_names))
    by_silence = [named(1, requests) for requests in range(1, 40)]
    assert by_silence == sorted(set(by_silence), reverse=True)


def test_a_second_name_makes_an_edit_more_likely_of_use_than_not_and_silence_outweighs_it_in_the_end():
    assert named(1, 8) < 0 < named(2, 8)
    assert named(2, 40) < 0
    assert named(1, 20) < named(2, 20) < named(3, 20)


def test_two_names_are_worth_what_bayes_says():
    # Named by a second of eight: 0.2 instead of 0.04 for the name, and a silence of 0.8 instead of 0.96 the less.
    odds = FIRST_SHARE / (1 - FIRST_SHARE) * (0.2 / 0.04) / (0.8 / 0.96)
    assert named(2, 8) == pytest.approx(math.log(odds))


@pytest.mark.parametrize(
    ("for_it", "against_it"),
    [
        ("FAILS_AGAIN", "STAYS_RIGHT"),
        ("MENDS", "MENDS_NOT"),
        ("HELD_BACK", "HELD_BACK_NOT"),
        ("NAMES", "NAMES_NOT"),
        ("FAILS_AGAIN", "STAYS_WRONG"),
        ("FAILS_AGAIN", "REJECTED"),
        ("TRUSTED", "REFUTED"),
    ],
)
def test_what_speaks_for_an_edit_is_positive_and_what_speaks_against_it_negative(for_it: str, against_it: str):
    assert getattr(usefulness, for_it) > 0 > getattr(usefulness, against_it)


def test_probability_is_that_of_the_odds():
    assert probability(0.0) == 0.5
    assert probability(math.log(4)) == pytest.approx(0.8)
    assert probability(TRUSTED) == pytest.approx(20 / 21)
    assert probability(REFUTED) < 0.06


@pytest.mark.parametrize(
    ("mended", "of", "expected"),
    [(0, 0, False), (1, 1, False), (2, 2, True), (0, 12, False), (2, 12, False), (3, 12, False), (4, 12, True)],
)
def test_a_sentence_does_harm_where_enough_failures_come_right_without_it(mended: int, of: int, expected: bool):
    assert harmful(mended, of) is expected
    assert harmful(mended, of) is (HARMFUL + mended * HELD_BACK + (of - mended) * HELD_BACK_NOT > 0)


def test_the_more_failures_come_right_the_more_harmful_it_is():
    for of in range(1, 20):
        verdicts = [harmful(mended, of) for mended in range(of + 1)]
        assert verdicts == sorted(verdicts)
