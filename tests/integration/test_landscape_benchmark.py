"""The landscape benchmark's command: one small run, and what it says to wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sage_spo.tests.commands import ROOT, benchmark, benchmark_here

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
        (("--strategies", "random[candidates=0]"), "option 'candidates'"),
        (("--strategies", "auto[sage.edit=2]"), "option 'sage.edit' of strategy auto: there is no such option"),
        (("--strategies", "random", "--budgets", "300", "600", "--agent-calls", "10"), "--agent-calls"),
        (("--strategies", "random", "--seeds", "one"), "--seeds"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: tuple[str, ...], named: str, tmp_path: Path) -> None:
    (tmp_path / "server.py").touch()  # so that it is all the same whether the benchmark is here
    done = benchmark_here("landscape", "--tools", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


def test_rows_are_held_against_one_seed_by_seed(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    gains = {"auto": (0.5, 0.3, 0.4), "a": (0.2, 0.4, 0.3), "b": (0.5, 0.1, 0.2)}
    lines = [
        {"optimizer": name, "budget": 1500, "task_seed": seed, "normalised_gain": gain}
        for name, row in gains.items()
        for seed, gain in enumerate(row)
    ]
    # A row that was measured again counts as it was last.
    lines.insert(0, {"optimizer": "a", "budget": 1500, "task_seed": 0, "normalised_gain": 9.0})
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = benchmark("paired", str(rows), "--against", "auto", "--hindsight", "a", "b")
    assert done.returncode == 0, done.stderr
    found = {line.split("  ")[0]: line.split() for line in done.stdout.splitlines()[2:]}
    assert found["best in hindsight"][3:] == ["0.400", "(0.058)", "0.000", "(0.058)", "1", "3"]
    assert found["auto"][1:] == ["0.400", "(0.058)"]
    assert found["a"][1:] == ["0.300", "(0.058)", "0.100", "(0.115)", "2", "3"]
    assert found["b"][3:] == ["0.133", "(0.067)", "2", "3"]
    assert list(found)[-1] == "b"
    wrong = benchmark_here("paired", str(rows), "--against", "c")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "there is no row 'c'" in wrong.stderr


@pytest.mark.full
@pytest.mark.skipif(not TOOLS.is_dir(), reason="the landscape benchmark is not beside the repository")
def test_the_landscapes_of_tasks_are_held_against_what_strategies_gain(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    small = ("--strategies", "random", "genetic", "--seeds", "0", "--budget", "500", "--jobs", "1")
    done = benchmark("ruggedness", *small, "--out", str(rows))
    assert done.returncode == 0, done.stderr
    [task] = json.loads(done.stdout.splitlines()[-1])["tasks"]
    assert task == json.loads(rows.read_text(encoding="utf-8"))
    assert list(task["gains"]) == ["random", "genetic"]
    assert task["verdict"] in ("rugged", "smooth", "no structure found")
    assert task["prompts"] >= 12
