"""The landscape benchmark's command: one small run, and what it says to wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sage_spo.tests.commands import ROOT, benchmark

TOOLS = ROOT / "../shared/tools/landscape"
FIGURES = {
    "gain",
    "se",
    "target_calls",
    "agent_calls",
    "worse_than_seed",
    "traps",
    "harmful",
    "regression",
    "seeds",
}


@pytest.mark.skipif(not TOOLS.is_dir(), reason="the landscape benchmark is not beside the repository")
def test_a_run_is_judged_and_its_last_line_is_json(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    small = ("--strategies", "random", "--seeds", "0", "--budgets", "300", "--agent-calls", "10")
    done = benchmark("landscape", *small, "--out", str(rows))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found) == ["random"]
    assert list(found["random"]) == ["300"]
    figures = found["random"]["300"]
    assert set(figures) == FIGURES
    assert figures["seeds"] == 1
    assert figures["se"] is None  # of one run there is none
    assert 0 < figures["target_calls"] <= 300
    assert 0 < figures["agent_calls"] <= 10
    assert -0.5 < figures["gain"] <= 1
    [row] = [json.loads(line) for line in rows.read_text().splitlines()]
    assert row["prompt"]
    assert row["unknown_examples"] == 0
    assert row["ledger_target_calls"] == row["target_calls"]
    assert sum(n for shape, n in row["shapes"].items() if shape.startswith("target:")) == row["target_calls"]
    assert "warning" not in done.stderr
    assert "random" in done.stdout.splitlines()[1]  # the table


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--strategies", "random", "--tools", "../no/such/folder"), "no/such/folder"),
        (("--strategies", "randon"), "Did you mean 'random'?"),
        (("--strategies", "random:no-code"), "random:no-code"),
        (("--strategies", "random", "--budgets", "300", "600", "--agent-calls", "10"), "--agent-calls"),
        (("--strategies", "random", "--seeds", "one"), "--seeds"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], named: str, tmp_path: Path) -> None:
    (tmp_path / "server.py").touch()  # so that it is all the same whether the benchmark is here
    done = benchmark("landscape", "--tools", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert named in done.stderr
