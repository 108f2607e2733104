"""Estimates of raced prompts: fair to those who met hard examples, unimpressed by luck."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sage_spo.evaluation import shrinkage
from sage_spo.evaluation.shrinkage import choose, shrunken_estimates

Row = dict[tuple[str, int], float]


def row(values: dict[str, float]) -> Row:
    return {(example_id, 0): value for example_id, value in values.items()}


def test_the_fit_equals_generalised_least_squares_over_the_same_grid_done_the_long_way() -> None:
    rng = np.random.default_rng(0)
    names, examples = ["a", "b", "c"], [f"x{i}" for i in range(6)]
    scores = {name: row({x: float(rng.random()) for x in examples if rng.random() < 0.8}) for name in names}
    prompt = np.array([names.index(name) for name in names for _ in scores[name]])
    example = np.array([examples.index(key[0]) for name in names for key in scores[name]])
    y = np.array([value for name in names for value in scores[name].values()])
    m, one = len(y), np.ones(len(y))
    same_prompt = (prompt[:, None] == prompt).astype(float)
    same_example = (example[:, None] == example).astype(float)
    fits, weights = [], []
    for a, b in itertools.product(shrinkage.PROMPT_RATIOS, shrinkage.EXAMPLE_RATIOS):
        v = np.eye(m) + a * same_prompt + b * same_example
        inverse = np.linalg.inv(v)
        precision = one @ inverse @ one
        mean = one @ inverse @ y / precision
        rest = y - mean
        variance = (rest @ inverse @ rest + shrinkage.PRIOR_VARIANCE) / m
        weights.append(-0.5 * (m * np.log(variance) + np.linalg.slogdet(v)[1] + np.log(precision)))
        covariance = a * (prompt[:, None] == np.arange(3)).astype(float)
        sway = 1 - covariance.T @ inverse @ one
        errors = variance * (a - np.diag(covariance.T @ inverse @ covariance) + sway**2 / precision)
        fits.append((mean + covariance.T @ inverse @ rest, errors))
    weight = np.exp(np.array(weights) - max(weights))
    weight /= weight.sum()
    expected = weight @ np.array([estimates for estimates, _ in fits])
    spread = weight @ np.array([errors + (estimates - expected) ** 2 for estimates, errors in fits])
    found = shrunken_estimates(scores)
    assert [found[name].estimate for name in names] == pytest.approx(expected.tolist())
    assert [found[name].error for name in names] == pytest.approx(np.sqrt(spread).tolist())
    assert [found[name].n for name in names] == [len(scores[name]) for name in names]


def test_a_prompt_that_met_only_easy_examples_does_not_win_by_them() -> None:
    easy, hard = [f"easy{i}" for i in range(20)], [f"hard{i}" for i in range(20)]
    champion = row(dict.fromkeys(easy, 1.0) | dict.fromkeys(hard, 0.3))
    lucky = row(dict.fromkeys(easy, 0.95))
    assert np.mean(list(lucky.values())) > np.mean(list(champion.values()))
    assert choose({"champion": champion, "lucky": lucky}, "champion") == "champion"
    assert choose({"champion": champion, "lucky": lucky}, "lucky") == "champion"


def test_shrinkage_is_strong_for_few_examples_and_weak_for_many() -> None:
    def gap(n: int) -> float:
        rng = np.random.default_rng(0)
        ids = [f"x{i}" for i in range(n)]
        wrong = set(rng.permutation(ids)[: n // 2].tolist())
        worse = row({x: float(x not in wrong) for x in ids})
        better = row({x: float(x not in list(wrong)[: n // 3]) for x in ids})
        raw = np.mean(list(better.values())) - np.mean(list(worse.values()))
        found = shrunken_estimates({"worse": worse, "better": better})
        return (found["better"].estimate - found["worse"].estimate) / float(raw)

    few, many = gap(6), gap(200)
    assert 0 < few < 0.8
    assert 0.9 < many <= 1.001


def test_thirty_equal_prompts_look_more_alike_and_are_estimated_better_than_by_their_means() -> None:
    rng = np.random.default_rng(3)
    raw_errors, errors, covered, total = [], [], 0, 0
    for _ in range(20):
        ease = rng.beta(2, 1, 80)
        scores: dict[str, Row] = {}
        for i in range(30):
            met = rng.permutation(80)[: rng.choice([10, 20, 80])]
            scores[f"p{i}"] = row({f"x{j}": float(rng.random() < ease[j]) for j in met})
        for name, found in shrunken_estimates(scores).items():
            raw_errors.append(np.mean(list(scores[name].values())) - 2 / 3)
            errors.append(found.estimate - 2 / 3)
            covered += abs(found.estimate - 2 / 3) <= 1.96 * found.error
            total += 1
    assert np.std(errors) < 0.5 * np.std(raw_errors)
    assert covered / total > 0.93


def test_a_truly_better_prompt_is_chosen_among_raced_losers() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(20):
        ease = rng.beta(2, 1, 120)
        scores = {}
        for i in range(20):
            met = np.arange(120) if i in (0, 7) else rng.permutation(120)[:16]
            lift = 0.2 if i == 7 else 0.0
            scores[f"p{i}"] = row({f"x{j}": float(rng.random() < ease[j] + lift) for j in met})
        hits += choose(scores, "p0") == "p7"
    assert hits >= 18


def test_repeats_of_an_example_count_as_one_example() -> None:
    once = {"a": {("x", 0): 1.0, ("y", 0): 0.0}, "b": {("x", 0): 0.5, ("y", 0): 0.0}}
    often = {"a": {("x", 0): 1.0, ("y", 0): 0.0}, "b": {("x", 0): 1.0, ("x", 1): 0.0, ("y", 0): 0.0}}
    assert shrunken_estimates(once) == shrunken_estimates(often)


def test_one_prompt_keeps_its_mean_with_a_plausible_error() -> None:
    values = np.random.default_rng(0).random(50)
    found = shrunken_estimates({"only": row({f"x{i}": float(v) for i, v in enumerate(values)})})["only"]
    assert found.estimate == pytest.approx(values.mean())
    assert found.error == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=0.1)
    assert found.n == 50


def test_one_example_and_equal_scores_give_finite_estimates_that_are_not_certain() -> None:
    one = shrunken_estimates({"a": row({"x": 1.0}), "b": row({"x": 0.0})})
    assert 1 > one["a"].estimate > 0.5 > one["b"].estimate > 0
    equal = shrunken_estimates({name: row({f"x{i}": 1.0 for i in range(5)}) for name in "abc"})
    assert all(found.estimate == pytest.approx(1.0) and found.error > 0.01 for found in equal.values())
    apart = shrunken_estimates({"a": row({"x": 1.0}), "b": row({"y": 0.0})})
    assert apart["a"].estimate > apart["b"].estimate


def test_ties_stay_with_the_incumbent_and_prompts_without_scores_are_left_out() -> None:
    same = {name: row({"x": 1.0, "y": 0.0}) for name in "abc"}
    assert choose(same, "b") == "b"
    assert choose({"a": row({"x": 1.0}), "b": {}}, "b") == "a"
    assert shrunken_estimates({"a": {}}) == {}
    assert choose({}, "a") == "a"


def test_missing_scores_must_be_left_out() -> None:
    with pytest.raises(ValueError, match="finite"):
        shrunken_estimates({"a": row({"x": float("nan")})})
