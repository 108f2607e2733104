"""Batches as cron calls them: again and again, killed, at the same time, with too little money."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sage_spo.jobs.cli import main
from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import ROOT, benchmark, started
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.server import FakeServer

EXAMPLES = ROOT / "examples" / "batch"
Captured = pytest.CaptureFixture[str]
HEAD = "version: 1\ndefaults: {{target: openai:fake, base_url: {url}, strategy: demos}}\n"
CHAIN = """
jobs:
  - {name: first, task: reviews, certify: false, budget: target_calls=240}
  - {name: other, task: reviews, certify: false, seed: 1, budget: target_calls=240}
  - {name: measured, kind: evaluate, task: reviews, prompt: {from: first}, split: holdout}
"""
"""Small: a search without its proof; the proof is what the tests of single runs are about."""
SHORT = """
jobs:
  - {name: first, task: reviews, certify: false, budget: target_calls=240}
  - {name: measured, kind: evaluate, task: reviews, prompt: {from: first}, split: holdout}
"""
LOOK = """
jobs:
  - {name: look, kind: evaluate, task: reviews, split: holdout}
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A model that is right 40 % of the time on the built-in reviews, more often once told the form."""
    known = [{"input": e.input, "expected": e.expected} for e in load_task("reviews").everything]
    with FakeServer(rule_for(known, base=0.4, gains={"nswer with": 0.35, "nly the label": 0.35})) as running:
        yield running


@pytest.fixture
def write(tmp_path: Path, server: FakeServer) -> Any:
    """Writes a jobs file for the server; returns its path."""

    def written(text: str, name: str = "jobs.yaml") -> Path:
        path = tmp_path / name
        path.write_text(HEAD.format(url=server.url) + text)
        return path

    return written


def document(path: Path, capsys: Captured, code: int = 0) -> dict[str, Any]:
    """The JSON document of `batch` with that exit code."""
    capsys.readouterr()
    ended = main(["batch", str(path), "--json"])
    said = capsys.readouterr()
    assert ended == code, said.err
    return json.loads(said.out)


def story(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    """What must not depend on kills: all but ids of runs and working time."""
    return [
        {name: value for name, value in job.items() if name not in ("run_id", "spent")}
        | {"calls": job["spent"].get("target_calls")}
        for job in outcome["jobs"]
    ]


def test_jobs_are_done_in_order_once_and_the_second_call_asks_nothing(
    server: FakeServer, write: Any, capsys: Captured
) -> None:
    path = write(CHAIN)
    first = document(path, capsys)
    assert [job["state"] for job in first["jobs"]] == ["done", "done", "done"]
    assert first["jobs"][2]["prompt_id"] == first["jobs"][0]["prompt_id"]
    assert first["jobs"][2]["verdict"] == "measured"
    asked = len(server.log)
    assert document(path, capsys) == first
    assert len(server.log) == asked
    assert main(["batch", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "jobs: 3 done" in shown
    assert "SEED → BEST" in shown
    assert main(["show", "jobs/first"]) == 0


def test_a_job_that_fails_skips_those_that_need_it_and_no_others(
    server: FakeServer, write: Any, capsys: Captured
) -> None:
    server.key = "sk-none-else-will-do"
    jobs = """
jobs:
  - {name: broken, kind: evaluate, task: reviews}
  - {name: needs, kind: evaluate, task: reviews, after: broken}
  - {name: too, kind: evaluate, task: reviews, after: [needs]}
  - {name: alone, kind: evaluate, task: reviews, base_url: OTHER}
"""
    with FakeServer(lambda request: "negative") as other:
        path = write(jobs.replace("OTHER", other.url))
        _fails_and_goes_on(path, server, capsys)


def _fails_and_goes_on(path: Path, server: FakeServer, capsys: Captured) -> None:
    outcome = document(path, capsys, 1)
    assert [job["state"] for job in outcome["jobs"]] == ["failed", "skipped", "skipped", "done"]
    assert "401" in outcome["jobs"][0]["error"]
    assert outcome["jobs"][1]["error"] == "job broken did not succeed"
    server.key = None
    assert document(path, capsys)["exit_code"] == 0


def test_a_shared_budget_is_never_overrun_by_jobs_at_the_same_time(
    server: FakeServer, write: Any, capsys: Captured
) -> None:
    jobs = "\n".join(f"  - {{name: j{i}, task: reviews, certify: false, seed: {i}}}" for i in range(4))
    path = write(f"parallel: 3\nbudget: target_calls=940\njobs:\n{jobs}\n")
    outcome = document(path, capsys)
    assert outcome["spent"]["target_calls"] <= 940
    assert len(server.log) <= 940
    assert all(job["limits"]["target_calls"] >= 235 for job in outcome["jobs"])
    assert server.peak > 16, "the jobs did not run at the same time"


@pytest.mark.full
def test_a_budget_that_is_spent_fails_the_jobs_behind_it(server: FakeServer, write: Any, capsys: Captured) -> None:
    path = write("""
budget: target_calls=300
jobs:
  - {name: small, kind: evaluate, task: reviews, split: search}
  - {name: big, task: reviews, certify: false, budget: target_calls=480}
""")
    outcome = document(path, capsys, 3)
    assert [job["state"] for job in outcome["jobs"]] == ["done", "failed"]
    assert "too small" in outcome["jobs"][1]["error"]
    assert len(server.log) == 200


@pytest.mark.full
def test_killed_twice_it_ends_as_undisturbed_and_pays_nothing_twice(
    server: FakeServer, write: Any, capsys: Captured, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    path = write("parallel: 2\n" + CHAIN)
    monkeypatch.setenv("SAGE_HOME", str(home / "undisturbed"))
    undisturbed = document(path, capsys)
    needed = len(server.log)
    server.log.clear()
    monkeypatch.setenv("SAGE_HOME", str(home))
    server.latency = 0.02
    for calls in (60, 260):
        process = started("batch", str(path), "--json")
        server.wait_for_requests(calls, 90)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.5)
        asked = len(server.log)
        time.sleep(0.5)
        assert len(server.log) == asked, "a job went on without its batch"
    server.latency = 0.0
    again = document(path, capsys)
    assert story(again) == story(undisturbed)
    assert len(server.log) <= needed + 2 * 2 * 60


def test_sigterm_ends_it_after_the_steps_in_hand_with_75_and_a_call_goes_on(
    server: FakeServer, write: Any, capsys: Captured
) -> None:
    path = write(SHORT)
    server.latency = 0.1
    process = started("batch", str(path), "--json")
    server.wait_for_requests(30, 90)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert [job["state"] for job in json.loads(out)["jobs"]] == ["interrupted", "waiting"]
    assert "the jobs in hand end after their step" in err
    assert "Traceback" not in err
    server.latency = 0.0
    assert document(path, capsys)["exit_code"] == 0


def test_a_provider_that_is_down_longer_than_a_jobs_patience_interrupts_it_and_the_next_call_goes_on(
    server: FakeServer, write: Any, capsys: Captured
) -> None:
    path = write("""
jobs:
  - {name: look, kind: evaluate, task: reviews, split: holdout, patience: 0.02}
""")
    server.latency, server.down_at, server.down_for = 0.05, 40, 600.0
    assert main(["batch", str(path)]) == 75
    said = capsys.readouterr()
    assert "jobs: 1 interrupted" in said.out
    assert "look: openai:fake" in said.out
    assert "has not answered for" in " ".join(said.out.split())
    assert "look: interrupted, openai:fake" in said.err
    assert "Traceback" not in said.err
    asked = len(server.log)
    server.open()
    outcome = document(path, capsys)
    assert (outcome["jobs"][0]["state"], outcome["jobs"][0]["error"]) == ("done", "")
    assert len(server.log) - asked <= 80 - 20


def test_a_second_call_at_the_same_time_is_refused_or_waits(server: FakeServer, write: Any, capsys: Captured) -> None:
    path = write(LOOK)
    server.latency = 0.3
    process = started("batch", str(path), "--json")
    server.wait_for_requests(30, 90)
    assert main(["batch", str(path)]) == 75
    said = capsys.readouterr()
    assert "batch jobs is under way in another process" in said.err
    assert said.err.count("\n") == 1
    waiting = started("batch", str(path), "--json", "--wait")
    server.latency = 0.0
    first, second = (json.loads(one.communicate(timeout=120)[0]) for one in (process, waiting))
    assert first == second


def test_a_job_that_was_changed_is_named_with_what_changed(server: FakeServer, write: Any, capsys: Captured) -> None:
    document(write(LOOK), capsys)
    asked = len(server.log)
    assert main(["batch", str(write(LOOK.replace("holdout", "search")))]) == 2
    said = capsys.readouterr().err
    assert "jobs.yaml line 5: job 'look': it was changed since it began" in said
    assert "split = holdout, and is called with search" in said
    assert said.count("\n") == 1
    assert len(server.log) == asked


@pytest.mark.full
def test_the_example_runs_as_it_is_but_for_the_model(
    server: FakeServer, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = (EXAMPLES / "jobs.yaml").read_text()
    path = tmp_path / "jobs.yaml"
    path.write_text(example.replace("target: local", f"target: openai:fake\n  base_url: {server.url}"))
    outcome = document(path, capsys)
    assert outcome["batch"] == "example"
    assert [job["state"] for job in outcome["jobs"]] == ["done", "done", "done"]
    assert outcome["spent"]["target_calls"] <= 1500
    assert main(["schedule", str(EXAMPLES / "schedules.yaml"), "--list"]) == 0


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_six_jobs_on_the_embedded_model_killed_twice_end_as_undisturbed() -> None:
    pytest.importorskip("xllamacpp")
    done = benchmark("batch_kills", seconds=3600)
    assert done.returncode == 0, done.stdout + done.stderr
