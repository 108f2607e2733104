"""What the choosers learn on scripted problems: a good arm is found, a switch is undone, a large η freezes."""

from __future__ import annotations

import numpy as np
import pytest

from sage_spo.evaluation.choosing.chooser import ChooserOptions, NetworkOptions, make_chooser
from sage_spo.seeding import generator

NETWORK = NetworkOptions(projection=None, hidden=16, iterations=60)
ARMS, SEEDS, ROUNDS = 24, 6, 60


def played(name: str, eta: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Regret of the arm chosen and entropy, each round, where an arm's mean score depends smoothly on its embedding."""
    arms = generator(5, "arms", seed).standard_normal((ARMS, 8))
    direction = generator(6, "direction", seed).standard_normal(8)
    means = 0.5 + 0.4 * np.tanh(arms @ direction / np.linalg.norm(direction))
    chooser = make_chooser(name, arms=arms, options=ChooserOptions(eta=eta, network=NETWORK), seed=seed)
    regrets, entropies = [], []
    for number in range(ROUNDS):
        found = chooser.choose(generator(seed, "choice", number))
        noise = 0.1 * float(generator(seed, "noise", number).standard_normal())
        chooser.observe(found.arm, float(np.clip(means[found.arm] + noise, 0, 1)), found.probability)
        regrets.append(means.max() - means[found.arm])
        entropies.append(found.entropy)
    return np.array(regrets), np.array(entropies)


@pytest.fixture(scope="module")
def uniform() -> float:
    """The mean regret of choosing by chance, measured by EXP3.S that only explores."""
    options = ChooserOptions(mixing=1.0)
    total = []
    for seed in range(SEEDS):
        arms = generator(5, "arms", seed).standard_normal((ARMS, 8))
        direction = generator(6, "direction", seed).standard_normal(8)
        means = 0.5 + 0.4 * np.tanh(arms @ direction / np.linalg.norm(direction))
        chooser = make_chooser("exp3s", arms=arms, options=options)
        chosen = [chooser.choose(generator(seed, number)).arm for number in range(300)]
        total.append(means.max() - means[chosen].mean())
    return float(np.mean(total))


@pytest.mark.parametrize(("name", "eta"), [("expo", 0.6), ("expo-fading", 10.0)])
def test_better_arms_are_found_than_by_chance(name: str, eta: float, uniform: float) -> None:
    # Not the best of all in each run: with these few rounds some keep to an arm that was good early.
    late = np.mean([played(name, eta, seed)[0][-20:].mean() for seed in range(SEEDS)])
    assert late < 0.65 * uniform


def test_a_large_eta_freezes_what_the_first_rounds_happened_to_say() -> None:
    tenth = {eta: np.mean([played("expo", eta, seed)[1][10] for seed in range(3)]) for eta in (1.0, 100.0)}
    assert tenth[100.0] < 0.1
    assert tenth[1.0] > 0.5


def rounds_to_undo(name: str, before: int, most: int) -> int:
    """Both of two arms are observed in turn, one scoring 0.9 and the other 0.1; after `before` rounds they change
    places: how many more rounds until the chooser prefers the new best; `most` where it does not."""
    options = ChooserOptions(network=NetworkOptions(projection=None, hidden=16, iterations=150))
    chooser = make_chooser(name, arms=np.array([[1.0, 0, 1, 0], [0, 1.0, 0, 1]]), options=options)
    for number in range(before + most):
        if number >= before and np.mean([chooser.choose(generator(0, i)).arm for i in range(30)]) > 0.5:
            return number - before
        good = 0 if number < before else 1
        chooser.observe(number % 2, 0.9 if number % 2 == good else 0.1, 0.5)
    return most


def test_how_long_a_switch_takes_to_undo() -> None:
    took = {name: rounds_to_undo(name, 20, 70) for name in ("expo", "expo-discounted", "expo-fixed-share")}
    assert took["expo"] == 70  # more than three times as long as what it has to undo
    assert 20 < took["expo-discounted"] < 45
    assert 20 < took["expo-fixed-share"] < 45
    # What fades in the network's training data too does not depend on how long the other was best.
    assert rounds_to_undo("expo-fading", 20, 40) < 25
    assert rounds_to_undo("expo-fading", 60, 40) < 25
