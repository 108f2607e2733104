"""Weights of sentences and the threshold rule, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from sage_spo.evaluation.sentence_weights import carried, draw_probabilities, drawn, reward, updated
from sage_spo.evaluation.threshold import passes_threshold


def test_sentences_are_drawn_in_proportion_to_exp_of_their_weights():
    assert draw_probabilities([1.0, 1.0]) == [0.5, 0.5]
    assert draw_probabilities([0.0, math.log(3)]) == pytest.approx([0.25, 0.75])
    assert draw_probabilities([]) == []


def test_large_weights_do_not_overflow():
    assert draw_probabilities([2000.0, 2000.0 + math.log(4)]) == pytest.approx([0.2, 0.8])


def test_the_reward_mixes_both_accuracies():
    assert reward(0.5, 0.25, a=0.4) == pytest.approx(0.35)  # 0.4 · 0.5 + 0.6 · 0.25


def test_a_weight_grows_by_mu_r_over_p_n_and_no_other_does():
    # p = 1/2, n = 2: the exponent is 0.055 · 0.8 / (0.5 · 2) = 0.044.
    assert updated([1.0, 1.0], 0, r=0.8, mu=0.055) == pytest.approx([math.exp(0.044), 1.0])
    # p = 1/4, n = 2: 0.055 · 0.8 / (0.25 · 2) = 0.088.
    weights = [1.0, 1.0 + math.log(3)]
    assert updated(weights, 0, r=0.8, mu=0.055) == pytest.approx([math.exp(0.088), weights[1]])


def test_growth_and_weight_are_capped():
    assert updated([1.0, 15.0], 0, r=1.0, mu=0.055) == pytest.approx([math.exp(0.5), 15.0])
    assert updated([19.0, 1.0], 0, r=1.0, mu=10.0) == [20.0, 1.0]


def test_nothing_brought_nothing_gained():
    assert updated([1.0, 2.0], 1, r=0.0, mu=0.055) == [1.0, 2.0]


def test_several_are_drawn_each_once_before_one_comes_twice():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = drawn([1.0, 2.0, 3.0], 5, rng)
        assert set(found[:3]) == {0, 1, 2}
        assert len(found) == 5
    first = Counter(drawn([0.0, math.log(3)], 1, rng)[0] for _ in range(4000))
    assert first[1] / 4000 == pytest.approx(0.75, abs=0.03)
    assert drawn([], 3, rng) == []


def test_the_heaviest_may_be_all_that_can_be_drawn():
    assert drawn([0.0, 2000.0], 3, np.random.default_rng(0)) == [1, 1, 1]


def test_sentences_that_stay_keep_their_weights():
    assert carried(["a", "b", "c"], [1.0, 2.0, 3.0], ["a", "new", "c"]) == [1.0, 1.0, 3.0]
    assert carried(["a", "a"], [1.0, 2.0], ["a", "a", "a"]) == [1.0, 2.0, 1.0]
    assert carried([], [], ["a"]) == [1.0]


@pytest.mark.parametrize(
    ("before", "gain", "passes"),
    [
        (0.5, 0.1, True),  # gains h_v
        (0.5, 0.09, False),  # too little of what there is to gain
        (0.9, 0.01, True),  # 0.9 = 1 - h_v: any gain will do
        (0.89, 0.05, False),
        (0.95, 0.0, False),  # no gain
        (0.5, -0.2, False),
    ],
)
def test_a_gain_must_be_large_unless_little_is_left(before: float, gain: float, passes: bool):
    assert passes_threshold(before, gain, 0.1) is passes
