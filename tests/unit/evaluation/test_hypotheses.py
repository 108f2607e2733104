"""A hypothesis' counts, intervals, tests and checks; error rates are kept in simulated rounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sage_spo.evaluation.hypotheses import (
    Support,
    adjusted,
    checked_mask,
    coin,
    difference_in_differences,
    keeps_to_itself,
    overlap,
    p_value,
    p_values,
    predicate_problem,
    support,
)
from sage_spo.evaluation.intervals import Interval
from sage_spo.seeding import generator

tables = st.tuples(st.integers(0, 40), st.integers(0, 40)).flatmap(
    lambda sizes: st.builds(
        Support, st.just(sizes[0]), st.integers(0, sizes[0]), st.just(sizes[1]), st.integers(0, sizes[1])
    )
)


# --- the coin


@given(st.dictionaries(st.text(max_size=4), st.sampled_from([True, False, None]), min_size=2), st.integers(0, 99))
@settings(deadline=None)
def test_the_coin_halves_the_examples_and_each_group_of_them(strata: dict[str, Any], seed: int) -> None:
    half = coin(strata, np.random.default_rng(seed), strata)
    assert half < strata.keys()
    assert abs(len(strata) - 2 * len(half)) <= 1
    for group in set(strata.values()):
        members = {name for name in strata if strata[name] is group}
        assert abs(len(members) - 2 * len(members & half)) <= 1


def test_the_coin_depends_on_the_seed_and_not_on_the_order_of_the_examples() -> None:
    names = [f"e{i}" for i in range(40)]
    failed = {name: i % 3 == 0 for i, name in enumerate(names)}
    half = coin(names, generator(1, "coin"), failed)
    assert half == coin(reversed(names), generator(1, "coin"), dict(reversed(failed.items())))
    assert half != coin(names, generator(2, "coin"), failed)


def test_every_example_is_diagnosed_half_of_the_time() -> None:
    names = [f"e{i}" for i in range(7)]
    draws = [coin(names, generator(seed, "coin"), {"e0": 1, "e1": 1, "e2": 1}) for seed in range(2000)]
    shares = [np.mean([name in half for half in draws]) for name in names]
    assert np.abs(np.array(shares) - 0.5).max() < 0.05


def test_a_single_example_is_diagnosed_and_two_are_divided() -> None:
    rng = np.random.default_rng(0)
    assert coin([], rng) == frozenset()
    assert coin(["a"], rng) == {"a"}
    assert len(coin(["a", "b"], rng, {"a": True, "b": False})) == 1


# --- support


def test_support_counts_by_id_what_both_know_and_says_so_in_words() -> None:
    failed = {f"e{i}": (i < 31 if i < 50 else i < 90) for i in range(200)}
    mask = {f"e{i}": i < 50 for i in range(200)} | {"unscored": True}
    found = support(mask, failed | {"unmasked": True})
    assert found == Support(50, 31, 150, 40)
    assert found.words == "matched n=50 failures=31 (0.62); unmatched n=150 failures=40 (0.27)"
    assert found.base_rate == pytest.approx(71 / 200)
    assert found.explained == pytest.approx(31 - 50 * 0.355)
    assert found.difference == pytest.approx(0.62 - 40 / 150)


def test_support_takes_numpy_booleans() -> None:
    mask: Any = {"a": np.True_, "b": np.False_}
    failed: Any = {"a": np.True_, "b": np.True_}
    assert support(mask, failed) == Support(1, 1, 1, 1)


def test_support_of_nothing_is_harmless_and_impossible_counts_are_refused() -> None:
    nothing = support({}, {})
    assert nothing.words == "matched n=0 failures=0 (0.00); unmatched n=0 failures=0 (0.00)"
    assert (nothing.explained, nothing.interval) == (0, Interval(-1.0, 1.0))
    assert p_value(nothing) == 1
    with pytest.raises(ValueError, match="failures"):
        Support(2, 3, 0, 0)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((70, 56, 80, 48), 0.0524, 0.3339),
        ((10, 9, 10, 3), 0.1705, 0.8090),
        ((10, 10, 20, 0), 0.6791, 1.0),
        ((10, 10, 10, 0), 0.6075, 1.0),
    ],
)
def test_the_interval_is_newcombes_method_ten(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    """Newcombe 1998, table II, cases a, b, g and h."""
    interval = Support(*counts).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)


@given(tables)
@settings(deadline=None)
def test_the_interval_holds_the_difference_and_mirrors(found: Support) -> None:
    interval = found.interval
    mirrored = Support(found.other_n, found.other_failures, found.n, found.failures).interval
    assert -1 <= interval.low <= found.difference + 1e-12
    assert found.difference - 1e-12 <= interval.high <= 1
    assert (interval.low, interval.high) == pytest.approx((-mirrored.high, -mirrored.low))


@pytest.mark.parametrize(
    ("n", "other_n", "rate", "other"), [(10, 40, 0.3, 0.3), (25, 75, 0.6, 0.2), (12, 12, 0.9, 0.5)]
)
def test_the_interval_covers_computed_exactly(n: int, other_n: int, rate: float, other: float) -> None:
    covered = sum(
        stats.binom.pmf(x, n, rate) * stats.binom.pmf(y, other_n, other)
        for x in range(n + 1)
        for y in range(other_n + 1)
        if rate - other in Support(n, x, other_n, y).interval
    )
    assert covered >= 0.93


# --- tests


@given(tables)
@settings(deadline=None)
def test_p_is_fishers_less_half_the_chance_of_the_table_seen(found: Support) -> None:
    p, total, failed = p_value(found), found.n + found.other_n, found.failures + found.other_failures
    if not found.n or not found.other_n or failed in (0, total):
        assert p == 1
        return
    fisher = stats.hypergeom.sf(found.failures - 1, total, failed, found.n)
    seen = stats.hypergeom.pmf(found.failures, total, failed, found.n)
    assert p == pytest.approx(fisher - seen / 2, abs=1e-9)
    mirrored = Support(found.n, found.n - found.failures, found.other_n, found.other_n - found.other_failures)
    assert p + p_value(mirrored) == pytest.approx(1)


def test_p_of_many_tables_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    n, other_n = rng.integers(0, 30, (2, 3, 4))
    x, y = rng.integers(0, n + 1), rng.integers(0, other_n + 1)
    each = [p_value(Support(*map(int, row))) for row in zip(*map(np.ravel, (n, x, other_n, y)), strict=True)]
    assert p_values(n, x, other_n, y).ravel().tolist() == pytest.approx(each)
    assert p_values([], [], [], []).tolist() == []


def test_p_stays_a_number_for_many_records() -> None:
    assert 0 <= p_value(Support(5000, 4000, 20000, 2000)) < 1e-300
    assert p_value(Support(5000, 500, 20000, 15000)) == pytest.approx(1)


def test_adjusted_p_values_are_those_of_the_textbook() -> None:
    """Benjamini and Hochberg 1995, section 4.1: fifteen p-values, four believed at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    p += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert sum(value <= 0.05 for value in adjusted(p)) == 4
    shuffled = np.random.default_rng(0).permutation(p)
    assert adjusted(shuffled.tolist()) == pytest.approx(stats.false_discovery_control(shuffled).tolist())


def test_few_p_values_and_bad_ones() -> None:
    assert adjusted([]) == []
    assert adjusted([0.1]) == [0.1]
    assert adjusted([0.04, 0.04, 0.04]) == pytest.approx([0.04] * 3)
    for bad in (math.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="p-values"):
            adjusted([0.5, bad])


def believed(
    rng: np.random.Generator, rounds: int, n: int, real: int, false: int, *, alike: bool
) -> tuple[float, float]:
    """Mean share of false hypotheses among those believed at q = 0.1, and the share of real ones believed.

    A round has `n` examples to confirm on. A real hypothesis' third fails at 0.7, everything else at 0.25. False
    ones match a random third, `alike` nearly the same one each.
    """
    failed = rng.random((rounds, n)) < 0.25
    masks = rng.random((rounds, real + false, n)) < 1 / 3
    if alike:
        copied = rng.random((rounds, real + false, n)) < 0.8
        masks[:, real:] = np.where(copied, masks[:, -1:], masks)[:, real:]
    if real:
        failed |= masks[:, :real].any(axis=1) & (rng.random((rounds, n)) < 0.6)
    failing = np.broadcast_to(failed[:, None], masks.shape)
    size, hits = masks.sum(axis=2), (masks & failing).sum(axis=2)
    p = p_values(size, hits, n - size, failing.sum(axis=2) - hits)
    picked = np.array([adjusted(row) for row in p.tolist()]) <= 0.1
    wrong, right = picked[:, real:].sum(axis=1), picked[:, :real].sum(axis=1)
    return float(np.mean(wrong / np.maximum(wrong + right, 1))), float(right.mean() / max(real, 1))


@pytest.mark.parametrize(("n", "false"), [(16, 4), (50, 1), (50, 8), (100, 5)])
@pytest.mark.parametrize("alike", [False, True])
def test_false_hypotheses_are_believed_within_the_rate(n: int, false: int, alike: bool) -> None:
    rounds = 1500
    share, _ = believed(generator(5, n, false), rounds, n, 0, false, alike=alike)
    assert share <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / rounds)


def test_among_real_hypotheses_false_ones_stay_few_and_real_ones_are_found() -> None:
    share, power = believed(generator(6), 1500, 100, 2, 4, alike=False)
    assert share <= 0.12
    assert power > 0.7


# --- what comes out of the sandbox


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        ([True, False, None], 3, [True, False, False]),
        ([0, 1, 1.0, math.nan], 4, [False, True, True, False]),
        ((True, False), 2, [True, False]),
        ([True] * 3, 200, "has 3 values for 200 records"),
        ([True], 2, "has 1 value for 2 records"),
        ([True, True], 2, "matches every record"),
        ([False, None], 2, "matches no record"),
        ([], 0, "matches no record"),
        ([True, 2], 2, "gives no true/false per record"),
        ([True, "False"], 2, "gives no true/false per record"),
        ([[True], [False]], 2, "gives no true/false per record"),
        ([10**400, True], 2, "gives no true/false per record"),
        (True, 1, "gives no true/false per record"),
        ("TF", 2, "gives no true/false per record"),
        ({"0": True}, 1, "gives no true/false per record"),
        (None, 2, "gives no true/false per record"),
    ],
)
def test_a_mask_is_read_or_refused_in_plain_words(value: Any, n: int, expected: list[bool] | str) -> None:
    found = checked_mask(value, n)
    assert found == expected
    if isinstance(found, list):
        assert all(type(item) is bool for item in found)


def test_overlap_is_jaccards() -> None:
    assert overlap({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    assert overlap({"a"}, {"a"}) == 1
    assert overlap({"a"}, {"b"}) == overlap(set(), set()) == 0


@pytest.mark.parametrize(
    "expression",
    [
        'records["channel"].eq("phone") & (records["n_words"] >= 36)',
        ' records["expected"].eq("score")\n',
        'records["topic"].isin(["missing", "feedback"])',
        'records["output"].str.contains("score", case=False, regex=False)',
        '(records["input"].str.len() > 80)\\\n & ~records["plan"].isna()',
        'records["output"].eq("yes") | records["topic"].eq("expected")',
    ],
)
def test_a_predicate_over_what_was_known_beforehand_is_fine(expression: str) -> None:
    assert predicate_problem(expression) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("records[", "is not one Python expression"),
        ("x = 1", "is not one Python expression"),
        ("import os\nos.system('ls')", "is not one Python expression"),
        ("records['a'].eq(1); records['b'].eq(2)", "is not one Python expression"),
        ("a\0b", "is not one Python expression"),
        ("(" * 400 + ")" * 90, "is not one Python expression"),
        ("-" * 499 + "1 +", "is 502 characters long; at most 500 are allowed"),
        ('records["score"] < 0.5', "uses the column score"),
        ("records.score.lt(0.5)", "uses the column score"),
        ('records.loc[:, "missing"]', "uses the column missing"),
        ('records[["input", "feedback"]].notna().all(axis=1)', "uses the column feedback"),
        ('records.get("score") < 1', "uses the column score"),
        ('records.get(key="score") < 1', "uses the column score"),
        ('records.eval("score < 0.5")', "uses the column score"),
        ('records["output"] != records["expected"]', "compares output with expected"),
        ("records.output.ne(records.expected)", "compares output with expected"),
        ('records["expected"].eq("a") & records["output"].ne("a")', "compares output with expected"),
        ('records.eval("output != expected")', "compares output with expected"),
    ],
)
def test_a_predicate_that_explains_nothing_is_named_in_plain_words(expression: str, reason: str) -> None:
    found = predicate_problem(expression)
    assert found is not None
    assert found.startswith(reason)


@pytest.mark.parametrize(
    "expression",
    [
        'records["channel"].eq("phone") & (records["n_words"] >= 36)',
        'records["input"].str.contains("a b", case=False, regex=False)',
        "records['input'].map(lambda text: any(word.isupper() for word in text.split()))",
        "np.where(records.n_words > 3, True, False)",
        "pd.Series([len(str(x)) > 3 for x in records['plan']], index=records.index)",
        "records.groupby('plan')['n_words'].transform('mean') > 9",
    ],
)
def test_a_predicate_that_only_computes_keeps_to_itself(expression: str) -> None:
    assert keeps_to_itself(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').getpid() > 0",
        "setattr(pd.Series, 'eq', None) or True",
        "pd.read_csv('/etc/passwd')",
        "pd.set_option('mode.copy_on_write', False)",
        "pd.io.common.os.getpid()",
        "np.ctypeslib",
        "records.query('n_words > @pd')",
        "records.__class__",
        "'{0.__class__}'.format(records)",
        "(q := pd) is None or q.set_option('mode.copy_on_write', False)",
        "(lambda q: q.set_option('mode.copy_on_write', False))(pd)",
        "records['tags'].map(lambda tags: tags.clear())",
        "emit('a', 1)",
        "open('x')",
        "records[",
    ],
)
def test_a_predicate_that_may_reach_further_is_told(expression: str) -> None:
    assert not keeps_to_itself(expression)


# --- the effect of a fix


def test_a_fix_that_helps_where_it_should_shows_in_the_difference() -> None:
    effect = difference_in_differences([1, 1, 1, 0], [0, 0, -1, 1, 0, 0, 0, math.nan])
    assert (effect.matched.n, effect.matched.fixed, effect.matched.broken) == (4, 3, 0)
    assert (effect.unmatched.n, effect.unmatched.fixed, effect.unmatched.broken) == (7, 1, 1)
    assert effect.difference == pytest.approx(0.75)
    assert effect.error == pytest.approx(math.sqrt(np.var([1, 1, 1, 0], ddof=1) / 4 + (2 / 6) / 7))
    assert effect.words == (
        "matched n=4 change +0.75 (fixed 3, broken 0); unmatched n=7 change +0.00 (fixed 1, broken 1); "
        "difference +0.75 ± 0.33"
    )


def test_an_effect_on_one_example_or_none_has_no_error() -> None:
    one = difference_in_differences([1.0], [0.0, 0.0, 1.0])
    assert (one.error, one.matched.mean) == (None, 1.0)
    none = difference_in_differences([], [])
    assert (none.difference, none.error, none.matched.n) == (0, None, 0)
    assert "±" not in none.words


def test_twice_the_error_covers_the_true_difference() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(500):
        matched = rng.choice([-1, 0, 1], 30, p=[0.05, 0.55, 0.4])
        unmatched = rng.choice([-1, 0, 1], 70, p=[0.1, 0.8, 0.1])
        effect = difference_in_differences(matched.tolist(), unmatched.tolist())
        assert effect.error is not None
        inside += abs(effect.difference - 0.35) <= 2 * effect.error
    assert inside / 500 >= 0.93
