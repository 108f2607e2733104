"""Who gets the next turn: the first member begins, who gains more per call gets more, nobody who cannot go on."""

from __future__ import annotations

import math
from collections import Counter
from typing import get_args

import numpy as np
import pytest

from sage_spo.evaluation.turns import (
    FASTEST,
    PULLS,
    Chooser,
    Course,
    Pull,
    next_member,
    survivors,
)
from sage_spo.seeding import generator

FOUR = ("a", "b", "c", "d")
COURSE = Course(calls=4000, headroom=0.5)
CHOOSERS = get_args(Chooser)
every = pytest.mark.parametrize("chooser", CHOOSERS)


def played(chooser: Chooser, paces: dict[str, float], seed: int = 0, cost: int = 100, noise: float = 0.0) -> list[Pull]:
    """The turns of a whole search whose members gain at constant paces, give or take some noise."""
    pulls: list[Pull] = []
    rng = generator(seed, "noise")
    while sum(p.calls for p in pulls) < COURSE.calls:
        chosen = next_member(chooser, list(paces), paces.keys(), pulls, COURSE, generator(seed, len(pulls)))
        pace = paces[chosen.member] + noise * rng.normal()
        pulls.append(Pull(chosen.member, pace * COURSE.headroom * cost / COURSE.calls, cost, chosen.chance))
    return pulls


def test_a_pace_of_one_kept_up_gains_all_there_is():
    assert COURSE.pace(Pull("a", gain=0.5, calls=4000)) == pytest.approx(1.0)
    assert COURSE.pace(Pull("a", gain=0.05, calls=100)) == pytest.approx(4.0)
    assert COURSE.pace(Pull("a", gain=0.0, calls=0)) == 0.0


@every
def test_the_first_member_begins(chooser: Chooser):
    for seed in range(5):
        assert next_member(chooser, FOUR, FOUR, [], COURSE, generator(seed)).member == "a"


@every
def test_who_cannot_go_on_gets_no_turn(chooser: Chooser):
    pulls = [Pull(m, 0.05, 100, 0.25) for m in FOUR] * 3
    for seed in range(20):
        assert next_member(chooser, FOUR, {"b", "d"}, pulls, COURSE, generator(seed)).member in "bd"
        assert next_member(chooser, FOUR, {"c"}, pulls, COURSE, generator(seed)).member == "c"


def test_by_turns_means_by_turns():
    assert [p.member for p in played("round-robin", dict.fromkeys(FOUR, 1.0), cost=500)] == [*FOUR, *FOUR]
    pulls = [Pull("a", 0.1, 100), Pull("b", 0.1, 100)]
    assert next_member("round-robin", FOUR, {"a", "b", "d"}, pulls, COURSE, generator(0)).member == "d"


@pytest.mark.parametrize("best", FOUR)
def test_halving_gives_each_phase_the_same_calls_and_ends_with_the_best(best: str):
    pulls = played("successive-halving", {m: 1.0 + (m == best) for m in FOUR})
    first, second, third = pulls[:14], pulls[14:28], pulls[28:]  # a third of 4,000 calls is 14 turns of 100
    assert set(Counter(p.member for p in first).values()) == {3, 4}
    assert len({p.member for p in second}) == 2
    assert {p.member for p in third} == {best}
    assert best in {p.member for p in second}


def test_halving_waits_until_everybody_had_a_turn_and_keeps_the_earlier_one_on_a_tie():
    dear = [Pull("a", 0.0, 3000)]
    assert survivors(FOUR, dear, COURSE)[0] == list(FOUR)
    assert survivors(FOUR, [*dear, *(Pull(m, 0.0, 100) for m in "bcd")], COURSE)[0] == ["a", "b"]


def test_halving_goes_on_with_one_that_fell_out_where_nobody_else_can():
    pulls = [Pull(m, gain, 1000) for m, gain in zip(FOUR, (0.4, 0.3, 0.2, 0.1), strict=True)]
    assert survivors(FOUR, pulls, COURSE)[0] == ["a", "b"]
    assert next_member("successive-halving", FOUR, {"c", "d"}, pulls, COURSE, generator(0)).member == "c"


@pytest.mark.parametrize("chooser", [c for c in CHOOSERS if c != "round-robin"])
def test_who_gains_more_per_call_gets_more_turns_wherever_it_stands(chooser: Chooser):
    for best in FOUR:
        shares = [
            Counter(p.member for p in played(chooser, {m: 3.0 if m == best else 0.3 for m in FOUR}, seed, noise=0.5))
            for seed in range(10)
        ]
        mean = {m: sum(s[m] / s.total() for s in shares) / len(shares) for m in FOUR}
        assert mean[best] > 0.3 > max(share for m, share in mean.items() if m != best), (best, mean)


@pytest.mark.parametrize("chooser", ["thompson", "exp3"])
def test_chances_are_those_of_the_draws(chooser: Chooser):
    pulls = [Pull("a", 0.04, 300, 1.0), Pull("b", 0.01, 200, 0.4), Pull("c", 0.0, 250, 0.3)]
    drawn = Counter[str]()
    chances: dict[str, list[float]] = {}
    for seed in range(2000):
        found = next_member(chooser, FOUR, FOUR, pulls, COURSE, generator(seed))
        drawn[found.member] += 1
        chances.setdefault(found.member, []).append(found.chance)
    mean = {m: float(np.mean(values)) for m, values in chances.items()}
    assert sum(mean.values()) == pytest.approx(1.0, abs=0.05)
    for member, chance in mean.items():
        assert drawn[member] / 2000 == pytest.approx(chance, abs=0.04)


def test_exp3_weighs_rewards_by_the_chance_that_they_had():
    pulls = [Pull("a", 0.1, 400, 1.0), Pull("b", 0.1, 400, 0.25)]
    gamma = math.sqrt(2 * math.log(2) / ((math.e - 1) * PULLS))
    reward = COURSE.pace(pulls[0]) / FASTEST
    a, b = math.exp(gamma / 2 * reward), math.exp(gamma / 2 * reward / 0.25)
    wanted = {m: (1 - gamma) * w / (a + b) + gamma / 2 for m, w in (("a", a), ("b", b))}
    for seed in range(10):
        found = next_member("exp3", ("a", "b"), ("a", "b"), pulls, COURSE, generator(seed))
        assert found.chance == pytest.approx(wanted[found.member])


def test_what_lies_back_counts_less_to_thompson():
    early = [Pull("a", 0.3, 400), *(Pull("b", 0.02, 100) for _ in range(12))]
    late = [*early[1:], early[0]]

    def share(pulls: list[Pull]) -> float:
        found = [next_member("thompson", FOUR[:2], FOUR[:2], pulls, COURSE, generator(s)).member for s in range(200)]
        return found.count("a") / 200

    assert share(late) > share(early) + 0.1
