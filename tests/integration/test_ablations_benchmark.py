"""The commands that measure the papers' switches, and what a rule sees in a prompt that is no better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sage_spo.tests.commands import ROOT, benchmark

TOOLS = ROOT / "../shared/tools/landscape"
needs_landscape = pytest.mark.skipif(not TOOLS.is_dir(), reason="the landscape benchmark is not beside the repository")
ONE_PAIR = ("--systems", "spo", "--switch", "random against ape", "--budget", "120")


@needs_landscape
def test_runs_that_are_there_are_not_done_again_and_can_be_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    done = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "1", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert "4 runs to do, 0 are there" in done.stderr
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {(row["optimizer"], row["task_seed"]) for row in rows} == {(n, s) for n in ("random", "ape") for s in (0, 1)}
    [found] = json.loads(done.stdout.splitlines()[-1])
    each = {name: [row["normalised_gain"] for row in rows if row["optimizer"] == name] for name in ("random", "ape")}
    gain = found["normalised_gain"]
    assert gain["a - b"] == pytest.approx((sum(each["random"]) - sum(each["ape"])) / 2)
    assert gain["low"] <= gain["a - b"] <= gain["high"]
    assert found["seeds"] == 2
    assert "| `random` | `ape` | 120 |" in done.stdout

    again = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "1", "--out", str(file))
    assert "0 runs to do, 4 are there" in again.stderr
    assert again.stdout == done.stdout

    shown = benchmark("ablations", *ONE_PAIR, "--seeds", "0", "--out", str(file), "--again", "ape", "--show")
    assert shown.returncode == 1  # one side of the pair is left to do
    assert shown.stdout.splitlines()[-1] == "[]"
    assert {json.loads(line)["optimizer"] for line in file.read_text().splitlines()} == {"random"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--systems", "spoo"), "--systems"),
        (("--switch", "no such switch"), "no such switch"),
        (("--again", "sagge"), "sagge"),
        (("--tools", "../no/such/folder"), "no/such/folder"),
        (("--out", "no/such/folder/runs.jsonl"), "no/such/folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], named: str) -> None:
    done = benchmark("ablations", *arguments)
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
