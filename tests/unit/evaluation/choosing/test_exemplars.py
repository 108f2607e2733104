"""Exemplar choosers: candidates, sums over saved networks, spilling, exact states."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sage_spo.errors import UsageError
from sage_spo.evaluation.choosing.exemplars import (
    EXEMPLAR_CHOOSERS,
    ExemplarChooser,
    ExemplarOptions,
    make_exemplar_chooser,
)
from sage_spo.evaluation.choosing.options import NetworkOptions
from sage_spo.evaluation.choosing.saved_networks import SPARE_FILES
from sage_spo.seeding import generator

SMALL = ExemplarOptions(
    length=3, pool=5, draws=6, networks=4, network=NetworkOptions(projection=None, hidden=8, iterations=20)
)


def make(name: str, state: dict | None = None, folder: Path | None = None) -> ExemplarChooser:
    return make_exemplar_chooser(name, options=SMALL, seed=1, state=state, folder=folder)


def play(chooser: ExemplarChooser, rounds: range) -> list[int]:
    """Each round other candidates, whose text is made up: what was chosen."""
    chosen = []
    for number in rounds:
        candidates = chooser.candidates([0.1, 0.5, 0.3, 0.9, 0.7, 0.2], generator(2, number))
        embeddings = np.array([generator(3, *sequence).standard_normal(6) for sequence in candidates])
        found = chooser.choose(embeddings, generator(4, number))
        assert 0 < found.probability <= 1
        assert 0 <= found.entropy <= math.log(len(candidates)) + 1e-9
        chooser.observe(embeddings, found.arm, (found.arm + number) % 5 / 5)
        chosen.append(found.arm)
    return chosen


def test_candidates_are_the_heuristic_and_draws_from_the_best() -> None:
    scores = [0.4, 0.9, math.nan, 0.1, 0.8, 0.3, 0.7, 0.2]
    found = make("learned").candidates(scores, generator(0))
    assert found[0] == (6, 4, 1)  # the best of all last
    assert len(found) == 7
    assert all(len(set(sequence)) == 3 and set(sequence) <= {1, 4, 6, 0, 5} for sequence in found)
    assert len(set(found)) > 3
    assert make("learned").candidates([0.5, 0.2], generator(0)) == [(1, 0)]
    assert make("learned").candidates([], generator(0)) == [()]


def test_rounds_without_a_choice_teach_nothing_and_spoil_nothing() -> None:
    network = NetworkOptions(projection=None, hidden=8, iterations=300, rate=0.01)
    chooser = make_exemplar_chooser("learned", options=replace(SMALL, network=network), seed=1)
    for number in range(3):  # no more actions than are shown: there is one sequence
        assert len(chooser.candidates([0.1, 0.5, 0.3], generator(2, number))) == 1
        chooser.observe(np.ones((1, 6)), 0, 0.9)
    assert not chooser.state()
    good, bad = np.eye(6)[:1], -np.eye(6)[:1]
    for _ in range(12):
        chooser.observe(np.concatenate([good, bad]), 0, 1.0)
        chooser.observe(np.concatenate([good, bad]), 1, 0.0)
    others = np.repeat(bad, 20, axis=0)
    picks = [chooser.choose(np.concatenate([others, good]), generator(5, n)).arm for n in range(20)]
    assert picks.count(20) > 15


def test_the_papers_numbers() -> None:
    options = ExemplarOptions()
    assert (options.length, options.pool, options.draws, options.eta) == (20, 30, 256, 10.0)


@pytest.mark.parametrize("spilled", [False, True])
@pytest.mark.parametrize("name", EXEMPLAR_CHOOSERS)
def test_a_state_saved_and_restored_goes_on_to_the_last_bit(name: str, spilled: bool, tmp_path: Path) -> None:
    folder = tmp_path if spilled else None
    wanted = play(make(name), range(10))
    first = make(name, folder=folder)
    before = play(first, range(6))
    state = first.state()
    play(first, range(6, 8))  # went on, and was killed before it saved its state
    assert before + play(make(name, state, folder), range(6, 10)) == wanted


def test_a_candidates_score_is_the_sum_over_the_networks_that_are_kept() -> None:
    chooser = make("learned")
    play(chooser, range(7))
    state = chooser.state()
    assert (int(state["newest"]), len(state["networks"]), len(state["rows"])) == (7, 4, 7)
    table = np.array([generator(9, i).standard_normal(6) for i in range(5)])
    x = ((table - state["mean"]) / state["spread"]).astype(np.float32)
    sums = np.zeros(5)
    for weights in state["networks"]:
        w1, b1, w2, b2 = weights[:48].reshape(6, 8), weights[48:56], weights[56:64], weights[64]
        sums += np.maximum(x @ w1 + b1, 0) @ w2 + b2
    wanted = np.exp(10 * (sums - sums.max()))
    wanted /= wanted.sum()
    for number in range(20):
        found = chooser.choose(table, generator(5, number))
        assert found.probability == pytest.approx(wanted[found.arm], rel=1e-3)


def test_spilled_networks_are_capped_and_missing_ones_are_told(tmp_path: Path) -> None:
    chooser = make("learned", folder=tmp_path)
    play(chooser, range(30))
    files = sorted(tmp_path.iterdir())
    assert len(files) == SMALL.networks + SPARE_FILES
    state = chooser.state()
    assert "networks" not in state
    files[-1].unlink()
    with pytest.raises(ValueError, match="1 of the 4 saved networks are missing"):
        make("learned", state, tmp_path)


def test_rotations_sum_predictions_for_the_same_arms() -> None:
    chooser = make("rotations")
    assert chooser.candidates([0.2, 0.9, 0.4], generator(0)) == [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    embeddings = generator(0, "e").standard_normal((3, 6))
    assert chooser.choose(embeddings, generator(0)).entropy == pytest.approx(math.log(3))
    sums = []
    for number in range(3):
        chooser.observe(embeddings, number, number / 2)
        sums.append(chooser.state()["sums"])
    shares = np.exp(10 * (sums[-1] - sums[-1].max()))
    found = chooser.choose(embeddings, generator(1))
    assert found.probability == pytest.approx(shares[found.arm] / shares.sum())
    with pytest.raises(ValueError, match="2 rotations, where there were 3"):
        chooser.choose(embeddings[:2], generator(1))


def test_best_is_the_heuristic_and_random_is_not() -> None:
    zeros = np.zeros((7, 1))
    assert make("best").choose(zeros, generator(0)).arm == 0
    drawn = {make("random").choose(zeros, generator(0, i)).arm for i in range(60)}
    assert drawn == set(range(1, 7))
    assert make("random").choose(zeros[:1], generator(0)).arm == 0
    assert not make("best").embeds
    assert make("learned").embeds


@pytest.mark.parametrize("name", EXEMPLAR_CHOOSERS)
def test_what_cannot_be_learned_from_changes_nothing(name: str) -> None:
    chooser = make(name)
    play(chooser, range(2))
    before = chooser.state()
    embeddings = generator(0, "e").standard_normal((6, 6))
    for chosen, score in ((0, math.nan), (0, math.inf), (6, 0.5), (-1, 0.5)):
        with pytest.raises(ValueError, match=r"score|arm"):
            chooser.observe(embeddings, chosen, score)
    if chooser.embeds:
        with pytest.raises(ValueError, match="not finite"):
            chooser.observe(embeddings * math.nan, 0, 0.5)
        with pytest.raises(ValueError, match="columns"):
            chooser.observe(embeddings[:, :4], 0, 0.5)
    after = chooser.state()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("change", [{"length": 0}, {"pool": 2, "length": 3}, {"eta": 0.0}, {"networks": 0}])
def test_options_that_cannot_be(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        ExemplarOptions(**change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Did you mean 'learned'"):
        make("learnt")
