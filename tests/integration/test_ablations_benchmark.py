"""The commands that measure the papers' switches, and what a rule sees in a prompt that is no better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sage_spo.tests.commands import ROOT, benchmark, benchmark_here

TOOLS = ROOT / "../shared/tools/landscape"
needs_landscape = pytest.mark.skipif(not TOOLS.is_dir(), reason="the landscape benchmark is not beside the repository")
ONE_PAIR = ("--systems", "spo", "--switch", "random against ape", "--budget", "120")


@needs_landscape
def test_runs_that_are_there_are_not_done_again_and_can_be_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    done = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert "2 runs to do, 0 are there" in done.stderr
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(row["optimizer"] for row in rows) == ["ape", "random"]
    [found] = json.loads(done.stdout.splitlines()[-1])
    assert found["normalised_gain"]["low"] is None  # of one seed there is no interval
    assert "| `random` | `ape` | 120 |" in done.stdout

    again = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "--out", str(file))
    assert "0 runs to do, 2 are there" in again.stderr
    assert again.stdout == done.stdout

    shown = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "--out", str(file), "--again", "ape", "--show")
    assert shown.returncode == 1  # one side of the pair is left to do
    assert shown.stdout.splitlines()[-1] == "[]"
    assert {json.loads(line)["optimizer"] for line in file.read_text().splitlines()} == {"random"}


def test_rows_differ_by_what_they_differ_by_on_the_same_seeds(tmp_path: Path) -> None:
    def row(name: str, seed: int, gain: float) -> str:
        figures = {"normalised_gain": gain, "holdout_regression": 0.0, "harmful_wrong_rules": 0, "field_rules": 0}
        counts = {"target_calls": 120, "agent_calls": 7, "iterations": 1, "worse_than_seed": False}
        told_apart = {"optimizer": name, "vocabulary": "A", "task_seed": seed, "budget": 120, "agent_budget": 7}
        return json.dumps({**told_apart, "server": {"timeout_s": 5.0}, **figures, **counts}) + "\n"

    gains = {"random": {0: 0.3, 1: 0.5, 2: 0.9}, "ape": {0: 0.2, 1: 0.1}}  # seed 2 has one side only
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(row(name, seed, gain) for name, each in gains.items() for seed, gain in each.items()))
    shown = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "1", "2", "--out", str(file), "--show")
    assert shown.returncode == 1  # a run is left to do
    [found] = json.loads(shown.stdout.splitlines()[-1])
    gain = found["normalised_gain"]
    assert found["seeds"] == 2
    assert (gain["a"], gain["b"], gain["a - b"]) == pytest.approx((0.4, 0.15, 0.25))
    half = 12.7062 * 0.15  # Student's t with one degree of freedom; differences of 0.1 and 0.4
    assert (gain["low"], gain["high"]) == pytest.approx((0.25 - half, 0.25 + half), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--switch", "no such switch"), "no such switch"),
        (("--again", "sagge"), "sagge"),
        (("--tools", "../no/such/folder"), "no/such/folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], named: str) -> None:
    done = benchmark_here("ablations", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


@needs_landscape
def test_only_the_draws_that_picked_the_examples_favour_the_same_prompt() -> None:
    done = benchmark("selection_bias", "--seeds", "0", "1", "--draws", "100")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    same = found["picked"]["the same prompt, independent draws"]
    assert same["gain"] > 0.1
    assert same["regress"] > 0.3
    assert abs(same["fresh gain"]) < 0.05
    assert same["fresh regress"] < 0.1
    best = found["argmax"]["30 examples, independent draws"]
    assert 0 < best["3"] < best["10"] < best["30"]
    nothing = {name: each for name, each in found["cycles"].items() if name.startswith("each challenger +0%")}
    together, apart = nothing.values()
    assert together["claimed"] > 0.05
    assert abs(apart["claimed"]) < 0.03
    assert together["covered"] < 0.9 < apart["covered"]
