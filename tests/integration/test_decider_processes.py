"""Deciders in processes of their own: killed at any moment, and several on one file."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sage_spo.jobs.decider.book import Book
from sage_spo.seeding import generator
from sage_spo.tests.fakes.live_agent import opened, value_of

COMMAND = [sys.executable, "-m", "sage_spo.tests.fakes.live_agent"]


def undisturbed(path: Path, rounds: int) -> None:
    decider = opened(path)
    for _ in range(rounds):
        told = decider.meta_prompt()
        decider.observe(value_of(told.id), told.id)


def outcome(path: Path) -> tuple[list[object], dict[str, np.ndarray]]:
    """Every score in its order, and the learned state."""
    found = Book(path).learned(since=-1)
    assert found is not None
    return list(Book(path).waiting(0)), found[1]


@pytest.mark.parametrize("kills", [2, pytest.param(60, marks=pytest.mark.full)])
def test_killed_at_random_moments_it_loses_nothing_and_comes_to_the_same(tmp_path: Path, kills: int) -> None:
    rng = generator(0, "kills", kills)
    taken: list[int] = []
    rounds = 5 * kills
    path = tmp_path / "killed.db"
    for kill in range(kills + 1):
        process = subprocess.Popen([*COMMAND, str(path), str(rounds)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        # Killed right after a line, or a moment later: between being told and telling, in the fit, in a commit.
        for _ in range(int(rng.integers(1, 12)) if kill < kills else 10**9):
            line = process.stdout.readline()
            if not line:
                break
            if line.startswith("taken"):
                taken.append(int(line.split()[1]))
        if kill < kills and process.poll() is None:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=float(rng.uniform(0.001, 0.02)))
            process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        taken += [
            int(line.split()[1]) for line in rest.splitlines() if line.startswith("taken") and line.count(" ") == 2
        ]
        assert process.returncode in (0, -signal.SIGKILL)
    undisturbed(tmp_path / "whole.db", rounds)
    scores, state = outcome(path)
    assert len(taken) == len(set(taken))
    assert set(taken) <= {scored.id for scored in scores}  # type: ignore[attr-defined]
    wanted, wanted_state = outcome(tmp_path / "whole.db")
    assert scores == wanted
    assert state.keys() == wanted_state.keys()
    assert all(np.array_equal(state[name], wanted_state[name]) for name in state)


def test_processes_share_one_file(tmp_path: Path) -> None:
    path, rounds = tmp_path / "shared.db", 30
    processes = [
        subprocess.Popen([*COMMAND, str(path), str(rounds)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    lines = [line.split() for process in processes for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in processes] == [0, 0, 0]
    told = [int(words[1]) for words in lines if words[0] == "told"]
    assert len(told) == len(set(told)) >= rounds
    assert all(words[2] in ("learned", "duplicate") for words in lines if words[0] == "taken")
    scores, state = outcome(path)
    assert {scored.id: scored.score for scored in scores} == {id: value_of(id) for id in told}  # type: ignore[attr-defined]
    replay = opened(tmp_path / "other.db")._current[1]
    for scored in scores:
        replay.observe(scored.arm, scored.score, scored.probability)  # type: ignore[attr-defined]
    assert all(np.array_equal(state[name], replay.state()[name]) for name in state)
