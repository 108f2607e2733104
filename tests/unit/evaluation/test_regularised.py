"""The accept rule `regularised`: its arithmetic, its trap on noisy targets, and what the gate is worth."""

from __future__ import annotations

import numpy as np
import pytest

from sage_spo.evaluation.regularised import Gate, fresh_gate, penalty, raw_gate, upper_bound

P_RIGHT = np.repeat([0.2, 0.5, 0.8], [20, 20, 20])
"""How often each of sixty examples is answered right, by any of two identical prompts."""


def test_the_penalty_starts_at_the_papers_value_and_grows_by_the_step():
    assert penalty(0) == 1.5
    assert penalty(10) == pytest.approx(2.5)
    assert penalty(3, first=1.0, growth=0.5) == 2.5


def test_a_gain_is_weighed_against_what_breaks():
    kept = [(1.0, 1.0)] * 9
    passes = raw_gate([1.0, 0.0, 0.0, 0.0, 0.0], [*kept, (1.0, 0.0)], 1.5)
    assert (passes.gain, passes.regress, passes.broken) == (0.2, 0.1, 1)
    assert passes.value == pytest.approx(0.05)
    assert passes.passes
    assert not raw_gate([1.0, 0.0, 0.0, 0.0, 0.0], [*kept, (1.0, 0.0)], 2.0).passes  # equal is not enough
    assert not raw_gate([0.0] * 5, kept, 1.5).passes


def test_what_was_wrong_before_cannot_turn_wrong():
    gate = raw_gate([1.0], [(0.0, 0.0), (1.0, 1.0)], 1.5)
    assert (gate.regress, gate.preserved) == (0.0, 2)


def test_nothing_passes_without_a_hard_example():
    assert not raw_gate([], [(1.0, 1.0)], 0.0).passes
    assert not fresh_gate([], [0.0], 0.0).passes


def test_examples_that_get_better_do_not_pay_for_those_that_break():
    gate = fresh_gate([1.0] * 6 + [0.0] * 6, [-1.0, -1.0, 0.0, 1.0], 1.5)
    assert gate.regress == 0.0
    assert gate.broken == 1
    assert gate.passes


def test_a_gain_has_to_be_likely():
    once = fresh_gate([1.0] + [0.0] * 20, [0.0] * 20, 1.5, confidence=0.9)
    assert once.gain > 0
    assert not once.passes
    assert fresh_gate([1.0] * 4 + [0.0] * 17, [0.0] * 20, 1.5, confidence=0.9).passes


def test_on_a_set_that_the_user_named_harmlessness_must_be_shown():
    gains = [1.0] * 5 + [0.0] * 15
    assert not fresh_gate(gains, [0.0] * 2, 1.5, required=True).passes
    assert fresh_gate(gains, [0.0] * 60, 1.5, required=True).passes
    assert fresh_gate(gains, [0.0] * 2, 1.5).passes


def test_the_upper_bound_lies_above_the_mean_loss_and_covers_it():
    rng = np.random.default_rng(0)
    covered = [
        upper_bound(list(rng.choice([0.0, 1.0, -1.0], 40, p=[0.8, 0.15, 0.05]).tolist())) >= 0.10 for _ in range(400)
    ]
    assert np.mean(covered) >= 0.86
    assert upper_bound([]) == 1.0
    assert upper_bound([0.1, 0.2]) > 0.15


def gates(rng: np.random.Generator, lift: float = 0.0) -> tuple[Gate, Gate]:
    """The raw and the fresh gate of a prompt that is right more often by `lift`; 0: an identical one."""
    picked, first, theirs = (rng.random(60) < p for p in (P_RIGHT, P_RIGHT, np.minimum(1, P_RIGHT + lift)))
    raw = raw_gate((theirs[~picked] * 1.0).tolist(), [(1.0, float(after)) for after in theirs[picked]], penalty(0))
    gains, losses = theirs[~picked] * 1.0 - first[~picked], first[picked] * 1.0 - theirs[picked]
    return raw, fresh_gate(gains.tolist(), losses.tolist(), penalty(0))


def test_an_identical_prompt_breaks_and_gains_under_the_raw_rule_and_not_under_ours():
    rng = np.random.default_rng(1)
    raw, fresh = zip(*(gates(rng) for _ in range(2000)), strict=True)
    assert np.mean([g.gain for g in raw]) > 0.3
    assert np.mean([g.regress for g in raw]) > 0.3
    assert abs(np.mean([g.gain for g in fresh])) < 0.01
    assert np.mean([g.broken / g.preserved - g.regress for g in fresh]) > 0.1  # what flips one way flips the other way
    assert np.mean([g.regress for g in fresh]) < 0.06
    assert np.mean([g.passes for g in fresh]) < 0.2


def test_without_a_penalty_the_raw_rule_takes_any_prompt_on_a_noisy_target_and_ours_does_not():
    rng = np.random.default_rng(2)
    taken = {True: 0, False: 0}
    for _ in range(500):
        picked, first, theirs = (rng.random(60) < P_RIGHT for _ in range(3))
        taken[True] += raw_gate((theirs[~picked] * 1.0).tolist(), [], 0.0).passes
        taken[False] += fresh_gate((theirs[~picked] * 1.0 - first[~picked]).tolist(), [], 0.0).passes
    assert taken[True] == 500
    assert taken[False] < 0.3 * 500


def test_a_prompt_that_is_much_better_passes_ours():
    rng = np.random.default_rng(3)
    assert np.mean([gates(rng, lift=0.3)[1].passes for _ in range(500)]) > 0.8
