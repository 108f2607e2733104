"""Every chooser: guards, exact states, memory, and what the reference lines compute."""

from __future__ import annotations

import io
import math
import tracemalloc

import numpy as np
import pytest

from sage_spo.errors import UsageError
from sage_spo.evaluation.choosing.chooser import CHOOSERS, Chooser, ChooserOptions, NetworkOptions, make_chooser
from sage_spo.seeding import generator

SMALL = ChooserOptions(network=NetworkOptions(projection=None, hidden=16, iterations=40))
TABLES = [generator(0, "first").standard_normal((5, 6)), generator(0, "second").standard_normal((4, 6))]
LEARNING = [name for name in CHOOSERS if name != "fixed"]


def make(name: str, state: dict | None = None, options: ChooserOptions = SMALL) -> Chooser:
    return make_chooser(name, arms=TABLES, options=options, seed=1, state=state)


def play(chooser: Chooser, rounds: range) -> list[int]:
    arms = []
    for number in rounds:
        found = chooser.choose(generator(7, number))
        arms.append(found.arm)
        chooser.observe(found.arm, 0.5 + 0.4 * math.sin(found.arm + number), found.probability)
    return arms


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", CHOOSERS)
def test_a_state_saved_and_restored_goes_on_to_the_last_bit(name: str) -> None:
    whole, first = make(name), make(name)
    wanted = play(whole, range(12))
    before = play(first, range(6))
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **first.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as saved:
        second = make(name, dict(saved))
    assert before + play(second, range(6, 12)) == wanted
    assert same(second.state(), whole.state())


@pytest.mark.parametrize("name", CHOOSERS)
@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e300])
def test_a_score_that_is_not_finite_changes_nothing(name: str, score: float) -> None:
    chooser = make(name)
    play(chooser, range(3))
    before = chooser.state()
    with pytest.raises(ValueError, match="score"):
        chooser.observe(0, score)
    assert same(before, chooser.state())
    assert all(np.isfinite(values).all() for values in chooser.state().values())


@pytest.mark.parametrize("name", CHOOSERS)
def test_an_arm_that_there_is_not_is_refused(name: str) -> None:
    chooser = make(name)
    for arm in (-1, 20):
        with pytest.raises(ValueError, match="none of the 20 arms"):
            chooser.observe(arm, 0.5)


@pytest.mark.parametrize("name", CHOOSERS)
def test_choosing_changes_nothing_and_its_probability_is_one(name: str) -> None:
    chooser = make(name)
    play(chooser, range(3))
    before = chooser.state()
    one, again = chooser.choose(generator(1, "x")), chooser.choose(generator(1, "x"))
    assert one == again
    assert same(before, chooser.state())
    assert 0 < one.probability <= 1
    assert 0 <= one.entropy <= math.log(20) + 1e-9
    assert (one.probability == 1) == (one.entropy == 0)


@pytest.mark.parametrize("name", LEARNING)
def test_a_state_of_other_arms_or_another_chooser_is_refused(name: str) -> None:
    state = make(name).state()
    with pytest.raises(ValueError, match="shape"):
        make_chooser(name, arms=TABLES[0], options=SMALL, seed=1, state=state)
    with pytest.raises(ValueError, match="lacks"):
        make(name, {"other": np.zeros(20)})
    with pytest.raises(ValueError, match="not finite"):
        make(name, {key: np.full_like(values, np.nan) for key, values in state.items()})


def test_an_unknown_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"no chooser 'exp'.*Did you mean 'expo'\?"):
        make("exp")


@pytest.mark.parametrize("change", [{"eta": 0}, {"eta": math.nan}, {"discount": 1.1}, {"share": -1}, {"mixing": 0}])
def test_options_that_cannot_be(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        ChooserOptions(**change)  # type: ignore[arg-type]


def test_expo_starts_uniform_and_samples_from_the_softmax_of_its_sums() -> None:
    chooser = make("expo")
    assert chooser.choose(generator(0)).entropy == pytest.approx(math.log(20))
    play(chooser, range(4))
    sums = chooser.state()["cumulative"]
    weights = np.exp(SMALL.eta * (sums - sums.max()))
    wanted = weights / weights.sum()
    draws = [chooser.choose(generator(3, number)) for number in range(4000)]
    shares = np.bincount([found.arm for found in draws], minlength=20) / len(draws)
    assert np.abs(shares - wanted).max() < 4 * 0.5 / math.sqrt(len(draws))
    assert all(found.probability == pytest.approx(wanted[found.arm]) for found in draws[:50])


def test_variants_differ_from_expo_as_their_rules_say() -> None:
    choosers = {name: make(name) for name in ("expo", "expo-discounted", "expo-fixed-share", "stochastic")}
    sums = {name: np.zeros(20) for name in choosers}
    for number in range(4):
        for chooser in choosers.values():
            chooser.observe(number, number / 4)
        # The newest network's predictions are the same for all: they have seen the same.
        newest = choosers["stochastic"].state()["cumulative"]
        sums["stochastic"] = newest
        sums["expo"] = sums["expo"] + newest
        sums["expo-discounted"] = SMALL.discount * sums["expo-discounted"] + newest
        weights = np.exp(SMALL.eta * (sums["expo-fixed-share"] + newest))
        shared = (1 - SMALL.share) * weights / weights.sum() + SMALL.share / 20
        sums["expo-fixed-share"] = np.log(shared) / SMALL.eta
    for name, chooser in choosers.items():
        np.testing.assert_allclose(chooser.state()["cumulative"], sums[name], rtol=1e-9, err_msg=name)
    assert choosers["stochastic"].choose(generator(0)).arm == int(np.argmax(sums["stochastic"]))


def test_the_fading_variant_does_not_mind_what_all_scores_have_in_common() -> None:
    low, high = make("expo-fading"), make("expo-fading")
    for number in range(4):
        low.observe(number, number / 8)
        high.observe(number, number / 8 + 0.5)
    np.testing.assert_allclose(low.state()["cumulative"], high.state()["cumulative"], atol=1e-4)


def test_ucb1_and_its_discounted_form_by_hand() -> None:
    for name, gamma in (("ucb1", 1.0), ("discounted-ucb", 0.9)):
        chooser = make_chooser(name, arms=np.zeros((3, 1)))
        history = [(0, 0.5), (1, 0.6), (2, 0.1), (1, 0.2), (0, 0.9)]
        for number, (arm, score) in enumerate(history):
            if number < 3:
                assert chooser.choose(generator(0)).arm == number  # those never seen first
            chooser.observe(arm, score)
        n, total = np.zeros(3), np.zeros(3)
        for age, (arm, score) in enumerate(reversed(history)):
            n[arm] += gamma**age
            total[arm] += gamma**age * score
        bounds = total / n + np.sqrt(2 * np.log(n.sum()) / n)
        assert chooser.choose(generator(0)).arm == int(np.argmax(bounds))


def test_exp3s_by_hand() -> None:
    chooser = make_chooser("exp3s", arms=np.zeros((4, 1)))
    weights = np.ones(4)
    for arm, score in [(0, 1.0), (2, 0.5), (2, 1.0), (1, 0.0), (3, 7.0)]:  # clipped to 1
        p = 0.9 * weights / weights.sum() + 0.1 / 4
        gained = weights.copy()
        gained[arm] *= math.exp(0.1 * min(score, 1) / (p[arm] * 4))
        weights = gained + math.e * 0.01 / 4 * weights.sum()
        chooser.observe(arm, score, float(p[arm]))
    found = chooser.state()["log_weights"]
    np.testing.assert_allclose(found, np.log(weights / weights.max()), rtol=1e-9)


def test_neural_ucb_bounds_are_the_written_out_ones() -> None:
    from sage_spo.evaluation.choosing.arms import Arms
    from sage_spo.evaluation.choosing.network import Network, fit, initial
    from sage_spo.evaluation.choosing.neural_ucb import NeuralUCB

    arms = Arms(TABLES, projection=None, seed=1)
    chooser = NeuralUCB(arms, SMALL, seed=1)
    start = initial(arms.inputs, SMALL.network, 1)

    def gradient(net: Network, arm: int) -> np.ndarray:
        """By central differences of the prediction, exact where no unit changes sides."""
        row, found, step = arms.rows([arm]).astype(np.float64), [], 1e-3
        for place in range(len(net.weights)):
            sides = []
            for sign in (1, -1):
                w = net.weights.astype(np.float64)
                w[place] += sign * step
                moved = Network(net.inputs, net.hidden, w)  # type: ignore[arg-type]
                sides.append(float((np.maximum(row @ moved.w1 + moved.b1, 0) @ moved.w2 + moved.b2)[0]))
            found.append((sides[0] - sides[1]) / (2 * step))
        return np.array(found)

    spread = 0.1 + gradient(start, 9) ** 2 / 16
    chooser.observe(9, 0.8)
    net = fit(start, arms.rows([9]), np.array([0.8], np.float32), np.ones(1, np.float32), SMALL.network)
    bounds = chooser.upper_bounds()
    for arm in (0, 9, 13):
        wanted = net.predict(arms.rows([arm]))[0] + math.sqrt(0.1 * (gradient(net, arm) ** 2 / (16 * spread)).sum())
        assert bounds[arm] == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize("name", ["expo", "neural-ucb", "exp3s", "discounted-ucb", "thompson"])  # one of each class
def test_memory_stays_as_it_is_over_a_thousand_rounds(name: str) -> None:
    options = ChooserOptions(network=NetworkOptions(projection=None, hidden=4, iterations=1, batch=None))
    chooser = make(name, options=options)
    play(chooser, range(50))
    before = sum(values.nbytes for values in chooser.state().values())
    tracemalloc.start()
    play(chooser, range(50, 1050))
    now, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(values.nbytes for values in chooser.state().values()) == before
    assert now < 300_000
    assert all(np.isfinite(values).all() for values in chooser.state().values())
