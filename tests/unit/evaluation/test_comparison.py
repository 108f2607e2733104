"""Comparing strategies: variances against their definition, Holm's correction, missing scores, and what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sage_spo.evaluation.comparison import Comparison, compare, holm, variance_parts

EXAMPLES = [f"e{i}" for i in range(60)]


def scores(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {f"e{i}": None if np.isnan(value) else float(value) for i, value in enumerate(values)}


def simulated(rng: np.random.Generator, *, seeds: int, examples: int, spreads: list[float], base: float) -> Comparison:
    """Rows that are right `base` of the time on average, a run's share varying by their spread; the seed prompt half.

    All prompts share the examples' difficulty but for a tenth of them, as two prompts on one model do.
    """
    difficulty = rng.random(examples)
    rows = {}
    for number, spread in enumerate(spreads):
        runs = {}
        for seed in range(seeds):
            luck = np.where(rng.random(examples) < 0.1, rng.random(examples), difficulty)
            runs[seed] = scores((luck < base + spread * rng.standard_normal()).astype(float))
        rows[f"row{number}"] = runs
    return compare(scores((difficulty < 0.5).astype(float)), rows)


def rates(count: int, gain: float, **how: object) -> tuple[float, float]:
    """How often any difference is found (p below 0.05 after correction), and how often intervals hold the gain."""
    rng = np.random.default_rng(7)
    found = [simulated(rng, base=0.5 + gain, **how) for _ in range(count)]  # type: ignore[arg-type]
    held = [row.low <= gain <= row.high for one in found for row in one.gains.values()]
    return float(np.mean([min(d.adjusted for d in one.differences) < 0.05 for one in found])), float(np.mean(held))


@pytest.mark.parametrize(("seeds", "spread"), [(2, 0.1), (3, 0.0), (3, 0.1)])
def test_equal_strategies_rarely_differ_and_intervals_hold_the_gain(seeds: int, spread: float) -> None:
    false, coverage = rates(250, 0.1, seeds=seeds, examples=60, spreads=[spread] * 3)
    assert false <= 0.06 + 0.02
    assert coverage >= 0.92


@pytest.mark.full
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("examples", [30, 60, 150])
@pytest.mark.parametrize("spread", [0.0, 0.03, 0.1])
@pytest.mark.parametrize("rows", [2, 4])
def test_the_promises_in_full(seeds: int, examples: int, spread: float, rows: int) -> None:
    false, coverage = rates(1000, 0.1, seeds=seeds, examples=examples, spreads=[spread] * rows)
    assert false <= 0.06 + 0.02
    assert coverage >= 0.94


@pytest.mark.full
@pytest.mark.parametrize(("seeds", "most", "least"), [(2, 0.12, 0.87), (3, 0.08, 0.90), (5, 0.06, 0.92)])
def test_one_row_that_varies_more_than_the_others_is_the_hard_case(seeds: int, most: float, least: float) -> None:
    rng = np.random.default_rng(3)
    found = [simulated(rng, seeds=seeds, examples=150, spreads=[0.01, 0.03, 0.1], base=0.6) for _ in range(1500)]
    assert np.mean([min(d.adjusted for d in one.differences) < 0.05 for one in found]) <= most
    assert np.mean([one.gains["row2"].low <= 0.1 <= one.gains["row2"].high for one in found]) >= least


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.random(60)
    good = {seed: scores((difficulty < 0.85).astype(float)) for seed in range(3)}
    poor = {seed: scores((difficulty < 0.5 + 0.02 * seed).astype(float)) for seed in range(3)}
    compared = compare(scores((difficulty < 0.5).astype(float)), {"good": good, "poor": poor})
    assert compared.differences[0].gain.mean > 0.2
    assert compared.differences[0].adjusted < 0.01
    assert compared.gains["good"].low > 0.1
    assert compared.gains["poor"].low < 0 < compared.gains["poor"].high


@given(st.integers(2, 5), st.integers(3, 20), st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_the_parts_are_those_of_a_two_way_analysis_of_variance(runs: int, n: int, seed: int) -> None:
    table = np.random.default_rng(seed).normal(size=(runs, n))
    parts = variance_parts(table)
    edge = np.abs(table).max()
    full = np.hstack([table, np.full((runs, 1), edge), np.full((runs, 1), -edge)])
    total = ((full - full.mean()) ** 2).sum()
    examples = runs * ((full.mean(axis=0) - full.mean()) ** 2).sum()
    seeds = (n + 2) * ((full.mean(axis=1) - full.mean()) ** 2).sum()
    size = runs * (n + 2)
    assert parts.examples * size * (n + 1) == pytest.approx(examples)
    assert parts.seeds * size * (runs - 1) == pytest.approx(seeds)
    assert parts.residual * size * (runs - 1) * (n + 1) == pytest.approx(total - examples - seeds)
    assert (parts.n, parts.runs) == (n, runs)


def test_holm_gives_the_textbook_values_in_the_order_given() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_run_that_came_back_with_the_seed_prompt_gained_nothing() -> None:
    seed = dict.fromkeys(EXAMPLES, 1.0)
    compared = compare(seed, {"idle": {0: None, 1: None}, "too": {0: None, 1: None}})
    assert (compared.gains["idle"].low, compared.gains["idle"].high) == (0.0, 0.0)
    assert compared.differences[0].adjusted == 1.0


def test_two_prompts_that_answer_alike_are_not_proven_equal() -> None:
    seed = dict.fromkeys(EXAMPLES, 1.0)
    gain = compare(seed, {"other": {0: dict(seed)}, "idle": {0: None}}).gains["other"]
    assert gain.mean == 0.0
    assert gain.low < -0.02 < 0.02 < gain.high


def test_missing_scores_drop_out_and_too_many_are_inconclusive() -> None:
    seed = {i: float(k % 2) for k, i in enumerate(EXAMPLES)}
    better = dict.fromkeys(EXAMPLES, 1.0)
    some = {**better, "e0": None, "e2": None}
    many = {**better, **dict.fromkeys(EXAMPLES[:10])}
    compared = compare(seed, {"whole": {0: better}, "some": {0: some}, "many": {0: many}})
    assert compared.gains["some"].n == 58
    assert compared.gains["some"].mean == pytest.approx(28 / 58)
    assert not compared.gains["many"].conclusive
    assert (compared.gains["many"].low, compared.gains["many"].high) == (-1.0, 1.0)
    by_pair = {(d.first, d.second): d for d in compared.differences}
    assert by_pair["whole", "some"].gain.mean == 0.0
    assert by_pair["whole", "some"].gain.conclusive
    assert by_pair["whole", "many"].adjusted == 1.0


def test_rows_are_paired_by_the_seeds_that_both_have() -> None:
    seed = dict.fromkeys(EXAMPLES, 0.0)
    one = {i: float(k < 30) for k, i in enumerate(EXAMPLES)}
    two = {i: float(k < 20) for k, i in enumerate(EXAMPLES)}
    compared = compare(seed, {"a": {0: one, 1: two}, "b": {1: two, 2: one}})
    assert compared.differences[0].gain.seeds == 1
    assert compared.differences[0].gain.mean == 0.0
    assert compare(seed, {"a": {0: one}, "b": {1: two}}).differences[0].adjusted == 1.0


def test_an_unlucky_pair_of_equal_runs_does_not_look_certain() -> None:
    """Two runs that scored alike say little of how runs vary; the other rows' runs say more."""
    rng = np.random.default_rng(5)
    difficulty = rng.random(60)
    at = {share: scores((difficulty < share).astype(float)) for share in (0.5, 0.4, 0.6, 0.8)}
    alone = compare(at[0.5], {"calm": {0: at[0.6], 1: at[0.6]}, "same": {0: at[0.6], 1: at[0.6]}})
    among = compare(at[0.5], {"calm": {0: at[0.6], 1: at[0.6]}, "wild": {0: at[0.4], 1: at[0.8]}})
    calm, unsure = alone.gains["calm"], among.gains["calm"]
    assert unsure.high - unsure.low > 1.5 * (calm.high - calm.low)
