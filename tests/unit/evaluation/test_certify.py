"""The verdict on the test split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import TypeAdapter

from sage_spo.evaluation.certify import Certificate, certify
from sage_spo.evaluation.intervals import score_p, tango


def by_id(values: Sequence[float | None]) -> dict[str, float | None]:
    return {f"x{i:03}": value for i, value in enumerate(values)}


def judge(
    seed: Sequence[float | None], winner: Sequence[float | None], alpha: float = 0.05, max_missing: float = 0.1
) -> Certificate:
    rng = np.random.default_rng(0)
    return certify(by_id(seed), by_id(winner), alpha=alpha, rng=rng, max_missing=max_missing)


def test_a_clear_binary_gain_is_certified_by_the_score_test() -> None:
    found = judge([0.0] * 20 + [1.0] * 40, [1.0] * 15 + [0.0] * 5 + [1.0] * 38 + [0.0] * 2)
    interval = tango(15, 2, 60)
    assert found.verdict == "improved"
    assert found.p == score_p(15, 2, 60)
    assert (found.low, found.high) == (interval.low, interval.high)
    assert (found.n, found.missing) == (60, 0)
    assert (found.seed_mean, found.winner_mean, found.gain) == pytest.approx((40 / 60, 53 / 60, 13 / 60))
    assert found.fixed == tuple(f"x{i:03}" for i in range(15))
    assert found.broken == ("x058", "x059")


def test_the_mirror_image_of_a_gain_is_harm() -> None:
    better, worse = [1.0] * 30, [0.0] * 15 + [1.0] * 15
    assert judge(worse, better).verdict == "improved"
    assert judge(better, worse).verdict == "harmed"


def test_a_gain_that_misses_the_spent_error_rate_is_not_certified() -> None:
    seed, winner = [0.0] * 5 + [1.0] * 40, [1.0] * 45
    assert judge(seed, winner, alpha=0.05).verdict == "improved"
    assert judge(seed, winner, alpha=0.01).verdict == "not certified"


def test_a_prompt_against_itself_is_never_certified() -> None:
    for scores in ([0.0, 1.0] * 20, [0.3, 0.7] * 20):
        found = judge(scores, scores, alpha=0.9)
        assert (found.p, found.gain, found.verdict) == (1.0, 0.0, "not certified")


def test_real_valued_scores_get_sign_flips_and_a_betting_interval() -> None:
    rng = np.random.default_rng(1)
    seed = rng.uniform(0.2, 0.6, 80)
    found = judge(seed.tolist(), (seed + rng.uniform(-0.05, 0.25, 80)).tolist())
    assert found.verdict == "improved"
    assert "sign-flip" in found.method
    assert found.low <= found.gain <= found.high
    assert len(found.fixed) + len(found.broken) == 80


def test_a_real_valued_gain_holds_at_the_spent_error_rate_by_its_interval_too() -> None:
    """Many small gains and, more rarely than this sample shows, a large loss: sign flips alone are too bold."""
    seed, winner = [0.5] * 30, [0.7] * 30
    found = judge(seed, winner, alpha=0.05)
    assert found.verdict == "improved"
    strict = judge(seed, winner, alpha=0.01)
    assert strict.p < 0.01
    assert (strict.low, strict.high) == (found.low, found.high)
    assert strict.verdict == "not certified"


def test_the_same_generator_gives_the_same_certificate() -> None:
    rng = np.random.default_rng(2)
    seed, winner = rng.random(60).tolist(), rng.random(60).tolist()
    assert judge(seed, winner) == judge(seed, winner)


def test_missing_scores_are_left_out_and_never_zero() -> None:
    seed = by_id([0.0] * 10 + [1.0] * 40 + [None])
    winner = by_id([1.0] * 49 + [None])
    found = certify(seed, winner, alpha=0.05, rng=np.random.default_rng(0))
    assert (found.n, found.missing) == (49, 2)
    assert found.winner_mean == 1.0
    assert found.broken == ()
    assert found.verdict == "improved"


def test_too_many_missing_scores_are_inconclusive_however_large_the_gain() -> None:
    seed: list[float | None] = [0.0] * 50
    assert judge(seed, [1.0] * 45 + [None] * 5).verdict == "improved"
    assert judge(seed, [1.0] * 44 + [None] * 6).verdict == "inconclusive"
    assert judge(seed, [1.0] * 44 + [None] * 6, max_missing=0.2).verdict == "improved"


def test_without_common_examples_nothing_is_concluded() -> None:
    for seed, winner in (({}, {}), ({"a": 1.0}, {"b": 1.0}), ({"a": None}, {"a": 1.0})):
        found = certify(seed, winner, alpha=0.05, rng=np.random.default_rng(0))
        assert (found.n, found.verdict, found.p, found.low, found.high) == (0, "inconclusive", 1.0, -1.0, 1.0)


def test_a_certificate_survives_json() -> None:
    found = judge([0.0, 1.0, 0.5], [1.0, 1.0, 0.25])
    adapter = TypeAdapter(Certificate)
    assert adapter.validate_json(adapter.dump_json(found)) == found


def test_scores_out_of_range_and_a_senseless_alpha_are_refused() -> None:
    for bad in (1.2, -0.1, float("nan")):
        with pytest.raises(ValueError, match="scores"):
            judge([0.0], [bad])
    with pytest.raises(ValueError, match="alpha"):
        judge([0.0], [1.0], alpha=5)
