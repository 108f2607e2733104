"""What every registered strategy must bear: a bad agent model, a bad provider, and kill -9. A new one is covered by
being registered."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sage_spo.graphs.registry import STRATEGIES
from sage_spo.jobs.api import optimize, resume
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.any_agent import inventive, schema_of, unruly
from sage_spo.tests.fakes.faults import FAULTS, Fault, Faults
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.result import Result
from sage_spo.traces.store import RunStore

SIZES = (60, 24, 48)
BUDGET = {"target_calls": 420, "agent_calls": 30}
TASK = make_task(SIZES)
SEED = TASK.seed_prompt.system
GAINS = {"Think of the spectrum": 0.35, "Answer with": 0.1, "Look closely": -0.2}
every = pytest.mark.parametrize("strategy", STRATEGIES)


def answering(agent: Any) -> Any:
    """Answers of the target, which is right more often the better its prompt is, and of this agent."""
    rows = [{"input": e.input, "expected": e.label} for e in TASK.everything]
    target = rule_for(rows, base=0.45, gains=GAINS)
    return lambda request: target(request) if schema_of(request) is None else agent(request)


GOOD = answering(inventive(SEED, tuple(GAINS)))


def options(strategy: str, url: str, **more: Any) -> dict[str, Any]:
    models = {"target": "openai:fake", "agent": "openai:fake", "base_url": url}
    return {"strategy": strategy, "budget": BUDGET, "run": "one", **models, **more}


async def left(home: Path) -> dict[str, Any]:
    """What the run left in the store, without times and ids; of its cost the logical calls."""
    async with await RunStore.open(home) as store:
        run = await store.run("one")
        result = Result.model_validate(run.result)
        calls = {role: spend["calls"] for role, spend in result.spend["by_role"].items()}
        return {
            "result": result.model_dump(exclude={"run_id", "spend"}) | {"calls": calls},
            "prompts": [(p.id, p.iteration, p.origin) for p in (await store.prompts(run.id)).values()],
            "decisions": [replace(d, run_id="") for d in await store.decisions(run.id)],
            "hypotheses": [replace(h, run_id="") for h in await store.hypotheses(run.id)],
            "records": [replace(r, run_id="", key="") for r in await store.records(run.id)],
        }


Whole = Mapping[str, tuple[dict[str, Any], Counter[str]]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What each strategy's undisturbed run leaves and asks, made when it is first looked at."""

    class Runs(dict[str, tuple[dict[str, Any], Counter[str]]]):
        def __missing__(self, strategy: str) -> tuple[dict[str, Any], Counter[str]]:
            with pytest.MonkeyPatch.context() as patch, FakeServer(GOOD) as server:
                patch.setenv("SAGE_HOME", str(tmp_path_factory.mktemp("whole")))
                optimize(TASK, **options(strategy, server.url))
                self[strategy] = asyncio.run(left(installation().home)), server.counts
            return self[strategy]

    return Runs()


@every
def test_a_good_agent_is_made_use_of_within_the_budget(whole: Whole, strategy: str):
    found, _ = whole[strategy]
    assert found["result"]["verdict"] in ("improved", "not certified", "unchanged")
    assert found["decisions"]
    spent = found["result"]["calls"]
    assert spent["target"] + spent["certification"] <= BUDGET["target_calls"]
    assert spent["agent"] <= BUDGET["agent_calls"]
    assert not {r.split for r in found["records"]} - {"search", "holdout", "test"}


@every
def test_a_bad_agent_costs_its_calls_at_most(home: Path, strategy: str):
    with FakeServer(answering(unruly)) as server:
        result = optimize(TASK, **options(strategy, server.url))
    assert result.verdict in ("improved", "not certified", "unchanged")
    assert "{labels}" in result.best.components["system"]
    assert not TASK.violations(TASK.seed_prompt.edited(text=result.best.components["system"], origin="found"))
    assert result.spend["spent"]["agent_calls"] <= BUDGET["agent_calls"]
    assert "moderators" not in result.prompt.components["system"]


@every
def test_a_tenth_of_all_attempts_failing_in_every_way_changes_nothing(home: Path, whole: Whole, strategy: str):
    kinds: list[Fault] = [kind for kind in FAULTS if kind not in ("quota", "refusal", "trickle", "large")]
    faults = Faults(dict.fromkeys(kinds, 0.1 / len(kinds)), at_most=2)
    with FakeServer(GOOD, faults) as server:
        optimize(TASK, **options(strategy, server.url, timeout=0.4, concurrency=20))
        met = {entry.fault for entry in server.log}
    assert len(met) > len(kinds) / 2
    expected, _ = whole[strategy]
    found = asyncio.run(left(home))
    for what in expected:
        assert found[what] == expected[what], what


# -- killed --------------------------------------------------------------------------------------------------

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["sage_spo.tests.integration.test_every_strategy"])


def child(home: str, strategy: str, url: str) -> None:
    """The whole of a run in a process of its own."""
    os.environ["SAGE_HOME"] = home
    optimize(TASK, **options(strategy, url))


@every
def test_killed_on_its_way_it_resumes_to_the_same_result_and_pays_nothing_twice(
    home: Path, whole: Whole, strategy: str
):
    expected, needed = whole[strategy]
    moment = int(len(strategy) * 0.618 % 1 * sum(needed.values()))  # another one for each
    with FakeServer(GOOD, latency=0.01) as server:
        process = FORKS.Process(target=child, args=(str(home), strategy, server.url))
        process.start()
        server.wait_for_requests(max(moment, 1), seconds=60)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        committed = asyncio.run(answers(home))
        first = len(server.log)
        resume("one", task=TASK)
        again = server.counts
        later = len(server.log) - first
    assert sum(again.values()) - sum(needed.values()) <= first - committed, "what was committed was asked again"
    assert set(again) == set(needed)
    assert later <= sum(needed.values()) - committed
    found = asyncio.run(left(home))
    for what in expected:
        assert found[what] == expected[what], what


async def answers(home: Path) -> int:
    """How many answers had been committed."""
    async with await RunStore.open(home) as store:
        run = await store.run("one")
        return sum(not call.cached and not call.missing for call in await store.calls(run.id))
