"""Faults of the provider and a kill -9 change nothing about a run's result."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from sage_spo.errors import ProviderDown, RunInterrupted
from sage_spo.jobs.api import aoptimize, aresume, optimize, resume
from sage_spo.models.client import QuotaExhausted
from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import benchmark, running, started
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.faults import FAULTS, Fault, Faults
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.result import Result
from sage_spo.traces.store import RunStore

BUDGET = "target_calls=800"
RUN: Any = {"target": "openai:fake", "budget": BUDGET, "sandbox": "none"}
"""No sandbox: the provider is what fails here, and a start of one takes longer than such a run."""


def rule() -> Any:
    """A model that is right 40 % of the time, and 65 % once the prompt says what form the answer has."""
    task = load_task("reviews")
    rows = [{"input": e.input, "expected": e.expected} for e in task.everything]
    return rule_for(rows, base=0.4, gains={"nswer with": 0.25, "eply with": 0.25, "only the label": 0.25})


def optimizing(server: FakeServer) -> list[str]:
    """The arguments of such a run."""
    target = ["--target", "openai:fake", "--base-url", server.url]
    return ["optimize", "reviews", *target, "--budget", BUDGET]


def story(result: Result) -> dict[str, Any]:
    """What must not depend on luck with the network."""
    kept = result.model_dump(include={"verdict", "best", "prompt", "gain", "p", "fixed", "broken", "iterations"})
    return {**kept, "calls": result.spend["spent"]["target_calls"]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch, FakeServer(rule()) as server:
        patch.setenv("SAGE_HOME", str(tmp_path_factory.mktemp("clean")))
        result = optimize("reviews", base_url=server.url, **RUN)
    assert result.verdict == "improved"
    return story(result)


@pytest.mark.full  # test_a_tenth_of_all_attempts… has them all at once
def test_errors_time_outs_and_a_rate_limit_change_nothing(undisturbed: dict[str, Any]):
    faults = Faults({"429": 0.01, "500": 0.02, "reset": 0.01, "hang": 0.005, "malformed": 0.01}, at_most=2)
    with FakeServer(rule(), faults, rps=150) as server:
        result = optimize("reviews", base_url=server.url, timeout=1.0, **RUN)
        met = Counter(str(entry.fault) for entry in server.log if entry.fault)
    assert story(result) == undisturbed
    assert sum(met.values()) > 20
    assert result.spend["by_role"]["target"]["missing"] == 0


@pytest.mark.parametrize(
    ("runs", "seed", "strategies"),
    [(1, 5, "sage"), pytest.param(25, 25, "sage,random", marks=[pytest.mark.full, pytest.mark.timeout(3600)])],
    ids=["few", "many"],
)
def test_killed_at_any_moment_it_resumes_to_the_same_result_and_asks_for_nothing_that_was_committed(
    runs: int, seed: int, strategies: str
):
    # Of seed 5 the first kill is between two calls.
    done = benchmark("kill", "--runs", str(runs), "--seed", str(seed), "--strategies", strategies, seconds=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["runs"] == runs
    assert summary["ended_before_the_kill"] < runs
    assert summary["left_files"] <= 4 * runs  # one for each sandbox process that was starting, probes too


@pytest.mark.full  # test_one_signal… of the command line has it in a process, test_a_stop_from_python… in an outage
def test_a_stop_on_request_exits_75_and_resumes(undisturbed: dict[str, Any], home: Path):
    with FakeServer(rule(), latency=0.01) as server:
        process = started(*optimizing(server), "--sandbox", "none", "--run", "drained")
        while len(server.log) < 150:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 75
        assert "resume" in errors
        assert "Traceback" not in errors
        resumed = started("resume", "drained", "--json")
        out, errors = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, errors
    assert story(Result.model_validate(json.loads(out))) == undisturbed


def test_a_tenth_of_all_attempts_failing_in_every_way_changes_nothing(undisturbed: dict[str, Any]):
    kinds: list[Fault] = [kind for kind in FAULTS if kind not in ("quota", "refusal")]
    rates: dict[Fault, float] = {kind: 0.1 / len(kinds) for kind in kinds}
    faults = Faults(rates, at_most=3)
    with FakeServer(rule(), faults) as server:
        # A fixed number at once: what may adapt goes down at each 429, and this would take longer.
        result = optimize("reviews", base_url=server.url, timeout=0.3, concurrency=20, **RUN)
        met = {entry.fault for entry in server.log if entry.fault}
    assert story(result) == undisturbed
    assert met >= {"hang", "reset", "truncated", "malformed", "html", "trickle", "large", "empty"}
    assert result.spend["by_role"]["target"]["missing"] == 0


def test_stragglers_are_cut_and_asked_again_and_change_nothing(undisturbed: dict[str, Any]):
    began = time.monotonic()
    with FakeServer(rule(), Faults({"hang": 0.05}, at_most=2)) as server:
        result = optimize("reviews", base_url=server.url, timeout=0.3, **RUN)
        hung = sum(entry.fault == "hang" for entry in server.log)
    assert hung > 20
    assert time.monotonic() - began < 60, "nobody cut them"
    assert story(result) == undisturbed
    assert result.spend["by_role"]["target"]["missing"] == 0


def test_a_server_that_dies_and_comes_back_pauses_the_run_and_changes_nothing(undisturbed: dict[str, Any]):
    heard: list[str] = []
    with FakeServer(rule(), latency=0.01) as server:
        server.down_at, server.down_for = 300, 2.5
        result = optimize("reviews", base_url=server.url, listener=lambda event, fields: heard.append(event), **RUN)
    assert story(result) == undisturbed
    assert result.spend["by_role"]["target"]["missing"] == 0
    assert [event for event in heard if event.startswith("outage")] == ["outage", "outage_over"]
    assert "call_failed" not in heard


def test_an_outage_beyond_patience_exits_75_and_resumes(undisturbed: dict[str, Any], home: Path):
    with FakeServer(rule(), latency=0.01) as server:
        server.down_at, server.down_for = 300, 60.0
        with pytest.raises(ProviderDown, match="has not answered for") as caught:
            optimize("reviews", base_url=server.url, run="dark", patience=0.02, **RUN)
        assert caught.value.exit_code == 75
        before = len(server.log)
        answered = {entry.digest for entry in server.log[:200]}
        server.open()
        result = resume("dark")
        again = {entry.digest for entry in server.log[before:]}
    assert story(result) == undisturbed
    assert not answered & again


def test_a_signal_in_an_outage_ends_the_run_at_once(home: Path):
    with FakeServer(rule(), latency=0.01) as server:
        server.down_at, server.down_for = 100, 60.0
        with running(*optimizing(server)) as process:
            assert process.stderr is not None
            while "does not answer since" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            said = time.monotonic()
            assert process.wait(timeout=30) == 75
            assert time.monotonic() - said < 5


async def test_a_stop_from_python_in_an_outage_ends_the_run_at_once(undisturbed: dict[str, Any], home: Path):
    control, asked = RunControl(), [0.0]

    def stop() -> None:
        asked[0] = time.monotonic()
        control.request_drain("enough")

    def listener(event: str, fields: dict[str, Any]) -> None:
        if event == "outage":
            asyncio.get_running_loop().call_later(0.3, stop)

    with FakeServer(rule(), latency=0.01) as server:
        server.down_at, server.down_for = 200, 600.0
        with pytest.raises(RunInterrupted, match="go on with: sage-spo resume") as caught:
            await aoptimize("reviews", base_url=server.url, run="drained", listener=listener, control=control, **RUN)
        assert time.monotonic() - asked[0] < 3
        assert caught.value.exit_code == 75
        async with await RunStore.open(home) as store:
            assert (await store.run("drained")).status == "interrupted"
        server.open()
        assert story(await aresume("drained")) == undisturbed


def test_without_credit_it_ends_at_once_and_resumes_with_what_was_found(undisturbed: dict[str, Any], home: Path):
    with FakeServer(rule(), latency=0.01) as server:
        server.down_at, server.down_for, server.down_as = 300, 600.0, "quota"
        with pytest.raises(QuotaExhausted, match="no credit left: top it up"):
            optimize("reviews", base_url=server.url, run="poor", **RUN)
        assert len(server.log) < 300 + 60
    with FakeServer(rule(), port=int(server.url.split(":")[2].split("/")[0])):
        assert story(resume("poor")) == undisturbed


@pytest.mark.parametrize(
    "reply", ["", "no idea", "x" * 200_000, pytest.param("I cannot help with that.", marks=pytest.mark.full)]
)
def test_a_model_that_answers_garbage_ends_with_an_honest_verdict(reply: str):
    with FakeServer(lambda request: reply) as server:
        result = optimize("reviews", base_url=server.url, **RUN | {"budget": "target_calls=500"})
    assert result.verdict == "unchanged"
    assert result.prompt == result.seed_prompt
