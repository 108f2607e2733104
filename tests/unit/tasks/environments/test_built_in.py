"""The built-in environments: exact, seeded, idempotent, and what they take for an action."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from sage_spo.errors import TaskError
from sage_spo.tasks.environments.bandits import LEVELS, SCENARIOS, Bandit
from sage_spo.tasks.environments.drifting import FAMILIES, PERIOD, SWITCH_AT, DriftingBandit
from sage_spo.tasks.environments.guard import checked_description
from sage_spo.tasks.environments.loading import ENVIRONMENTS, make_environment
from sage_spo.tasks.environments.regression import Regression
from sage_spo.tasks.environments.tsp import TravellingSalesman, shortest_tour

SMALL = [name for name in ENVIRONMENTS if name not in ("tsp:15", "tsp:20")]


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_and_ids_give_the_same_outcomes(name: str) -> None:
    def played(seed: int) -> list[Any]:
        environment: Any = make_environment(name)
        starts = environment.reset(seed) or list(environment.describe().actions)
        outcomes = [environment.step(action, f"1.{i}") for i, action in enumerate(starts)]
        again = [environment.step(action, f"1.{i}") for i, action in enumerate(starts)]
        assert again == outcomes
        return outcomes

    assert played(5) == played(5)
    assert played(5) != played(6) or "bandits" in name  # a few pulls may agree


@pytest.mark.parametrize("name", SMALL)
def test_its_description_can_be_used_and_has_the_wordings_of_the_baselines(name: str) -> None:
    environment: Any = make_environment(name)
    environment.reset(0)
    said = environment.describe()
    assert checked_description(said, name) == said
    texts = {said.wording(of).task for of in ("", "opro", "opro-clarified")}
    assert len(texts) == 3


def test_the_error_of_a_line_is_the_sum_of_squares_and_no_line_has_less_than_the_least_squares_one() -> None:
    environment = Regression(2.0, 30.0)
    starts = environment.reset(1)
    assert len(starts) == 5
    outcome = environment.step("[2, 30]", "1.0")
    assert outcome.value is not None
    assert outcome.regret is not None
    # 50 points with noise of standard deviation 1: about 50, of which a fit of two numbers saves about 2.
    assert 25 < outcome.value < 90
    assert 0 <= outcome.regret < 15
    rng = np.random.default_rng(0)
    least = outcome.value - outcome.regret
    for w, b in rng.uniform(-40, 40, (200, 2)):
        value = environment.step(f"[{w:.6g}, {b:.6g}]", "x").value
        assert value is not None
        assert value >= least


@pytest.mark.parametrize("seed", range(3))
def test_the_shortest_tour_is_that_of_trying_all(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-100, 100, (8, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)

    def length(tour: tuple[int, ...]) -> float:
        whole = (0, *tour)
        return float(sum(distances[a, b] for a, b in zip(whole, (*tour, 0), strict=True)))

    assert shortest_tour(distances) == pytest.approx(min(map(length, permutations(range(1, 8)))))


def test_the_gap_of_the_best_tour_is_nought_and_of_others_above() -> None:
    environment = TravellingSalesman(8)
    environment.reset(0)
    outcomes = [environment.step(",".join(map(str, (0, *tour))), "1") for tour in permutations(range(1, 8))]
    gaps = [outcome.regret for outcome in outcomes if outcome.regret is not None]
    assert min(gaps) == pytest.approx(0.0, abs=1e-9)
    assert sum(gap < 1e-9 for gap in gaps) >= 2  # both ways round
    assert max(gaps) > 20


@pytest.mark.parametrize("story", SCENARIOS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_bandit_pays_as_often_as_its_chances_say(story: str, level: str) -> None:
    count, gap = LEVELS[level]
    environment = Bandit(SCENARIOS[story], count, gap)
    environment.reset(3)
    actions = environment.describe().actions
    assert len(actions) == count
    means = environment.means(0)
    assert sorted(means) == pytest.approx([0.5 - gap / 2] * (count - 1) + [0.5 + gap / 2])
    for action, mean in zip(actions, means, strict=True):
        outcomes = [environment.step(action, f"{action}.{i}") for i in range(1500)]
        assert np.mean([outcome.value or 0.0 for outcome in outcomes]) == pytest.approx(mean, abs=0.05)
        assert {round(outcome.regret or 0.0, 9) for outcome in outcomes} == {round(max(means) - mean, 9)}


def test_an_action_id_seen_before_is_no_new_round() -> None:
    environment = DriftingBandit("switch")
    environment.reset(0)
    first = environment.step("blue", "1.0")
    for _ in range(3 * SWITCH_AT):
        assert environment.step("blue", "1.0") == first
    assert environment.step("blue", "2.0").means == first.means


def test_the_drifts_are_what_they_are_called() -> None:
    switch, periodic, walk = (DriftingBandit(family) for family in FAMILIES)
    assert np.argmax(switch.means(0)) == np.argmax(switch.means(SWITCH_AT - 1)) != np.argmax(switch.means(SWITCH_AT))
    bests = [int(np.argmax(periodic.means(t))) for t in range(5 * PERIOD)]
    assert [len(set(bests[i : i + PERIOD])) for i in range(0, 5 * PERIOD, PERIOD)] == [1] * 5
    assert len(set(bests)) == 5
    means = np.array([walk.means(t) for t in range(500)])
    assert means.min() >= 0.1
    assert means.max() <= 0.9
    assert np.abs(np.diff(means, axis=0)).max() < 0.25
    assert walk.means(10**6) == walk.means(10**6 + 1)


@pytest.mark.parametrize(
    ("name", "reply", "action"),
    [
        ("regression:w2-b30", "I think (1, 2), no: [w = 3.50, b=-2e1].", "[3.5, -20]"),
        ("tsp:10", "So <tour>3,4,5,6,7,8,9,0,1,2</tour>", "0,1,2,3,4,5,6,7,8,9"),
        ("tsp:10", "first 1,2 then 0, 2, 1, 3, 4, 5, 6, 7, 8, 9", "0,2,1,3,4,5,6,7,8,9"),
        ("bandits:buttons-hard", "blue? No. <answer> RED </answer>", "red"),
        ("bandits:buttons-hard", "I press the Green button.", "green"),
        ("bandits:clothes-easy", "Show a advertisement: B", "B"),
    ],
)
def test_an_action_is_found_in_a_reply(name: str, reply: str, action: str) -> None:
    environment: Any = make_environment(name)
    assert environment.parse(reply) == action


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("regression:w2-b30", "no pair here: 3"),
        ("regression:w2-b30", "[1e99, 2]"),
        ("regression:w2-b30", "[nan, inf]"),
        ("tsp:10", "<tour>0,1,2</tour>"),
        ("tsp:10", "<tour>0,1,2,3,4,5,6,7,8,8</tour>"),
        ("tsp:10", "<tour>" + "9" * 10_000 + ",1</tour>"),
        ("bandits:buttons-hard", "blue or red"),
        ("bandits:buttons-hard", "<answer>orange</answer> or blue"),
        ("bandits:clothes-easy", "a good one"),
        ("bandits:clothes-easy", ""),
    ],
)
def test_a_reply_without_an_action_is_refused(name: str, reply: str) -> None:
    environment: Any = make_environment(name)
    with pytest.raises(ValueError):
        environment.parse(reply)


@pytest.mark.parametrize("name", ["bandits:buttons-hart", "bandits", "", "tsp:11", "nothing:here", "ftp://x", "a b:c"])
def test_an_unknown_name_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(TaskError, match=r"environment: unknown .*bandits:buttons-hard"):
        make_environment(name)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def make():\n    raise RuntimeError('no key')", "cannot be made: RuntimeError: no key"),
        ("def make():\n    return object()", "has no method reset"),
        ("import nothing_of_that_name", "cannot be imported"),
        ("other = 1", "has no 'make'"),
    ],
)
def test_an_own_environment_that_cannot_be_made_is_told(
    source: str, words: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TaskError, match=words):
        make_environment("mine:make")
