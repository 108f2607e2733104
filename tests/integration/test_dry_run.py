"""What a run would buy and cost, said before it; what it did cost, by role and by iteration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sage_spo.jobs.cli import main
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.integration.test_faults_and_resume import rule

Captured = pytest.CaptureFixture[str]


def test_a_dry_run_asks_and_stores_nothing(capsys: Captured) -> None:
    with FakeServer(rule()) as server:
        call = f"optimize reviews --target openai:fake --base-url {server.url} --budget target_calls=900 --dry-run"
        assert main([*call.split(), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["most_calls"] == {"target": 660, "certification": 240, "agent": 0}
        assert said["most_tokens"] > 900 * 16
        assert (said["most_usd"], said["cost_unlimited"], said["state"]) == (None, False, "new")
        assert main(call.split()) == 0
        assert "a price is unknown" in capsys.readouterr().out
        assert main(call.replace("=900", "=90").split()) == 3
        assert main(call.replace("reviews", "reveiws").split()) == 2
        capsys.readouterr()
        assert server.log == []
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []


def test_a_dry_measurement_asks_and_stores_nothing(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeServer(rule()) as server:
        call = f"evaluate reviews --split all --target openai:fake --base-url {server.url} --dry-run"
        assert main([*call.split(), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["sizes"] == {"search": 200, "holdout": 80, "test": 120}
        assert said["most_calls"] == {"target": 400}
        assert (said["most_usd"], said["state"], said["test_uses"]) == (None, "new", 0)
        prices = tmp_path / "prices.yaml"
        prices.write_text('prices: {"openai:fake": [1000, 1000]}')
        monkeypatch.setenv("SAGE_PRICES", str(prices))
        assert main([*call.split(), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["most_usd"] == pytest.approx(said["most_tokens"] / 1000)
        assert main([*call.split(), "--json", "--budget", "usd=2,tokens=999"]) == 0
        limited = json.loads(capsys.readouterr().out)
        assert (limited["most_usd"], limited["most_tokens"]) == (2, 999)
        assert main(call.split()) == 0
        shown = capsys.readouterr().out
        assert "at most 400 target" in shown
        assert "use 1 of the test split" in shown
        assert main([*call.split(), "--budget", "target_calls=90"]) == 3
        assert main(call.replace("all", "tset").split()) == 2
        assert server.log == []
        assert json_runs(capsys) == []

        # What it says at most is no less than what it takes.
        assert main([*call.replace("--dry-run", "--yes").split(), "--run", "one"]) == 0
        assert len(server.log) == 400
        capsys.readouterr()
        assert main([*call.split(), "--json", "--run", "one"]) == 0
        done = json.loads(capsys.readouterr().out)
        assert (done["state"], done["test_uses"]) == ("finished", 1)
    [run] = json_runs(capsys)
    assert 0 < run["result"]["spend"]["spent"]["tokens"] <= said["most_tokens"]


def json_runs(capsys: Captured) -> list[dict[str, Any]]:
    """The stored runs."""
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["runs"]


def test_show_gives_the_cost_by_role_and_by_iteration(capsys: Captured) -> None:
    with FakeServer(rule()) as server:
        call = f"optimize reviews --strategy random --target openai:fake --base-url {server.url} --run one --json"
        assert main([*call.split(), "--budget", "target_calls=800"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert main(["show", "one", "--json"]) == 0
    spend = json.loads(capsys.readouterr().out)["spend"]
    assert spend["by_role"] == result["spend"]["by_role"]
    iterations = [row["iteration"] for row in spend["by_iteration"]]
    assert iterations[0] == 0
    assert iterations[-1] is None
    assert iterations[1:-1] == list(range(1, result["iterations"] + 1))
    assert spend["by_iteration"][0]["calls"] == 56
    assert sum(row["calls"] for row in spend["by_iteration"]) == result["spend"]["spent"]["target_calls"]
    assert main(["show", "one"]) == 0
    shown = capsys.readouterr().out
    assert "first look" in shown
    assert "certification" in shown
