"""What every registered strategy must bear: a bad agent model, a bad provider, and kill -9. A new one is covered by
being registered."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sage_spo.graphs.registry import STRATEGIES
from sage_spo.jobs.api import resume
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.any_agent import unruly
from sage_spo.tests.fakes.faults import FAULTS, Fault, Faults
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.one_run import BUDGET, GOOD, TASK, answering, committed, left, run_in_home, run_one

every = pytest.mark.parametrize("strategy", STRATEGIES)


def some(*chosen: str) -> pytest.MarkDecorator:
    """These strategies; in the full run every one."""
    names = [name if name in chosen else pytest.param(name, marks=pytest.mark.full) for name in STRATEGIES]
    return pytest.mark.parametrize("strategy", names)


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["sage_spo.tests.one_run"])
"""Processes that have imported all that a run needs."""


class Whole(dict[str, tuple[dict[str, Any], Counter[str]]]):
    """What each strategy's undisturbed run leaves and asks, made when it is first looked at."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.factory = factory

    def __missing__(self, strategy: str) -> tuple[dict[str, Any], Counter[str]]:
        with pytest.MonkeyPatch.context() as patch, FakeServer(GOOD) as server:
            patch.setenv("SAGE_HOME", str(self.factory.mktemp("whole")))
            run_one(strategy, server.url)
            self[strategy] = left(installation().home), server.counts
        return self[strategy]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(tmp_path_factory)


@every
def test_a_good_agent_is_made_use_of_within_the_budget(whole: Whole, strategy: str):
    found, _ = whole[strategy]
    assert found["result"]["verdict"] in ("improved", "not certified", "unchanged")
    assert found["decisions"]
    spent = Counter(found["result"]["calls"])
    assert spent["target"] + spent["certification"] <= BUDGET["target_calls"]
    assert spent["agent"] <= BUDGET["agent_calls"]
    assert not {r.split for r in found["records"]} - {"search", "holdout", "test"}


@every
def test_a_bad_agent_costs_its_calls_at_most(home: Path, strategy: str):
    with FakeServer(answering(unruly)) as server:
        result = run_one(strategy, server.url)
    assert result.verdict in ("improved", "not certified", "unchanged")
    assert "{labels}" in result.best.components["system"]
    assert result.spend["spent"]["agent_calls"] <= BUDGET["agent_calls"]
    assert result.spend["spent"]["target_calls"] <= BUDGET["target_calls"]


@some("sage")  # all ask through the same steps, and no other asks as many roles
def test_a_tenth_of_all_attempts_failing_in_every_way_changes_nothing(home: Path, whole: Whole, strategy: str):
    kinds: list[Fault] = [kind for kind in FAULTS if kind not in ("quota", "refusal", "trickle", "large")]
    faults = Faults(dict.fromkeys(kinds, 0.1 / len(kinds)), at_most=2)
    with FakeServer(GOOD, faults) as server:
        run_one(strategy, server.url, timeout=0.4, concurrency=20)
        met = {entry.fault for entry in server.log}
    assert len(met) > len(kinds) / 2
    same(left(home), whole[strategy][0])


@some("sage", "genetic", "dual-phase")  # built in different ways; for auto there is test_portfolio
def test_killed_on_its_way_it_resumes_to_the_same_result_and_pays_nothing_twice(
    home: Path, whole: Whole, strategy: str
):
    expected, needed = whole[strategy]
    calls = sum(needed.values())
    moment = 1 + int(len(strategy) * 0.618 % 1 * calls)  # another one for each
    with FakeServer(GOOD, latency=0.01) as server:
        process = FORKS.Process(target=run_in_home, args=(str(home), strategy, server.url))
        process.start()
        server.wait_for_requests(min(moment, calls), seconds=60)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        asked, kept = server.all_requests(), committed(home)
        resume("one", task=TASK)
        again = server.counts
    assert set(again) == set(needed)
    assert sum(again.values()) == asked + calls - kept, "what was committed was asked again"
    same(left(home), expected)


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for what in expected:
        assert found[what] == expected[what], what
