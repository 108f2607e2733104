"""What a run would buy and cost, said before it; what it did cost, by role and by iteration."""

from __future__ import annotations

import json

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
