"""Faults of the provider and a kill -9 change nothing about a run's result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import sage_spo
from sage_spo.jobs.api import optimize
from sage_spo.tasks.load import load_task
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.faults import Faults
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.result import Result

ROOT = Path(sage_spo.__file__).resolve().parent
BUDGET = "target_calls=800"


def rule() -> Any:
    """A model that is right 40 % of the time, and 65 % once the prompt says what form the answer has."""
    task = load_task("reviews")
    rows = [{"input": e.input, "expected": e.expected} for e in task.everything]
    return rule_for(rows, base=0.4, gains={"nswer with": 0.25, "eply with": 0.25, "only the label": 0.25})


def story(result: Result) -> dict[str, Any]:
    """What must not depend on luck with the network."""
    kept = result.model_dump(include={"verdict", "best", "prompt", "gain", "p", "fixed", "broken", "iterations"})
    return {**kept, "calls": result.spend["spent"]["target_calls"]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch, FakeServer(rule()) as server:
        patch.setenv("SAGE_HOME", str(tmp_path_factory.mktemp("clean")))
        result = optimize("reviews", target="openai:fake", base_url=server.url, budget=BUDGET)
    assert result.verdict == "improved"
    return story(result)


def test_errors_time_outs_and_a_rate_limit_change_nothing(undisturbed: dict[str, Any]):
    faults = Faults({"429": 0.01, "500": 0.02, "reset": 0.01, "hang": 0.005, "malformed": 0.01}, at_most=2)
    with FakeServer(rule(), faults, rps=150) as server:
        result = optimize("reviews", target="openai:fake", base_url=server.url, budget=BUDGET, timeout=1.0)
        met = Counter(str(entry.fault) for entry in server.log if entry.fault)
    assert story(result) == undisturbed
    assert sum(met.values()) > 20
    assert result.spend["by_role"]["target"]["missing"] == 0


@pytest.mark.parametrize(
    "runs", [3, pytest.param(25, marks=[pytest.mark.full, pytest.mark.timeout(3600)])], ids=["few", "many"]
)
def test_killed_at_any_moment_it_resumes_to_the_same_result_and_asks_for_nothing_that_was_committed(runs: int):
    script = [sys.executable, "benchmarks/kill.py", "--runs", str(runs), "--seed", str(runs)]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["runs"] == runs
    assert summary["left_files"] <= runs


def test_a_stop_on_request_exits_75_and_resumes(undisturbed: dict[str, Any], home: Path):
    with FakeServer(rule(), latency=0.01) as server:
        command = [sys.executable, "-m", "sage_spo.jobs.cli", "optimize", "reviews", "--target", "openai:fake"]
        command += ["--base-url", server.url, "--budget", BUDGET, "--run", "drained"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while len(server.log) < 150:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 75
        assert "resume" in errors
        assert "Traceback" not in errors
        command = [sys.executable, "-m", "sage_spo.jobs.cli", "resume", "drained", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert story(Result.model_validate(json.loads(done.stdout))) == undisturbed


@pytest.mark.parametrize("reply", ["", "no idea", "x" * 200_000, "I cannot help with that."])
def test_a_model_that_answers_garbage_ends_with_an_honest_verdict(reply: str):
    with FakeServer(lambda request: reply) as server:
        result = optimize("reviews", target="openai:fake", base_url=server.url, budget="target_calls=500")
    assert result.verdict == "unchanged"
    assert result.prompt == result.seed_prompt
