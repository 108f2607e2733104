"""The whole machine on a target with a known rule: what it finds, what it says, what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from sage_spo.errors import UsageError
from sage_spo.graphs.registry import STRATEGIES, strategy
from sage_spo.jobs.api import aoptimize, aresume, optimize
from sage_spo.tasks.prompt import Prompt
from sage_spo.tests.fakes.landscape import answer, make_task, stubborn
from sage_spo.traces.store import RunStore


@pytest.mark.parametrize("strategy", ["random", "genetic", "opro", "demos"])
def test_a_better_prompt_is_found_and_proven(strategy: str):
    result = optimize(make_task(), strategy=strategy, target=answer, budget="target_calls=1200")
    assert result.verdict == "improved"
    assert result.p is not None
    assert result.alpha is not None
    assert result.p < result.alpha
    assert result.gain is not None
    assert result.gain > 0.1
    assert result.prompt == result.best != result.seed_prompt
    assert "{labels}" in result.prompt.components["system"]
    assert result.spend["spent"]["target_calls"] <= 1200


def test_where_no_prompt_helps_the_seed_is_returned_and_it_says_so():
    result = optimize(make_task(), target=stubborn, budget="target_calls=900", sandbox="none")
    assert result.verdict in ("unchanged", "not certified")
    assert result.prompt == result.seed_prompt
    assert "Keep the seed prompt" in result.sentence


def test_a_budget_that_cannot_pay_certification_and_a_race_ends_before_the_first_call():
    asked: list[str] = []

    def target(messages: object, example: object) -> str:
        asked.append("call")
        return "red"

    result = optimize(make_task(), target=target, budget="target_calls=200")
    assert result.verdict == "budget too small"
    assert "at least" in result.sentence
    assert asked == []


def test_an_unknown_strategy_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'random'"):
        optimize(make_task(), strategy="randum", target=answer)


def test_an_option_that_does_not_exist_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"'candidate'.*Did you mean 'candidates'"):
        optimize(make_task(), target=answer, options={"candidate": 3})


def test_a_target_that_fails_now_and_then_costs_those_answers_and_not_the_run():
    def fragile(messages: list[dict[str, str]], example) -> str:
        if example.id.endswith("7"):
            raise RuntimeError("out of order")
        return answer(messages, example)

    result = optimize(make_task(), target=fragile, budget="target_calls=1200", sandbox="none")
    assert result.verdict in ("improved", "inconclusive", "unchanged", "not certified")
    assert result.spend["by_role"]["target"]["missing"] > 0


def test_a_test_split_too_small_to_certify_anything_returns_the_best_estimate_marked_as_such():
    task = make_task((60, 20, 6))
    result = optimize(task, target=answer, budget="target_calls=800", strategy="demos")
    assert result.verdict == "not certified"
    assert result.prompt == result.best
    assert "not certified" in result.notes[0]


def test_a_second_run_on_the_same_test_split_has_a_stricter_error_rate():
    first = optimize(make_task(), target=answer, strategy="demos", budget="target_calls=1200")
    second = optimize(make_task(), target=answer, strategy="demos", budget="target_calls=1200", seed=1)
    assert (first.test_use, second.test_use) == (1, 2)
    assert first.alpha is not None
    assert second.alpha is not None
    assert second.alpha < first.alpha
    assert any("use 2" in note for note in second.notes)


def test_the_same_seed_gives_the_same_run_whatever_the_cache_holds():
    runs = [optimize(make_task(), target=answer, budget="target_calls=1000", seed=3, sandbox="none") for _ in range(2)]
    assert runs[0].best == runs[1].best
    calls = [r.spend["spent"]["target_calls"] for r in runs]
    assert calls[0] == calls[1]
    assert runs[1].spend["by_role"]["target"]["cached"] == runs[1].spend["by_role"]["target"]["calls"]


async def test_cancelled_in_the_middle_it_resumes_to_the_same_result(home: Path):
    undisturbed = await aoptimize(make_task(), target=answer, budget="target_calls=1200", seed=5, sandbox="none")
    again = make_task()
    renamed = replace(again, seed_prompt=Prompt(components=dict(again.seed_prompt.components)))

    async def slow(messages: list[dict[str, str]], example) -> str:
        await asyncio.sleep(0.002)
        return answer(messages, example)

    slow.__name__ = "answer"
    running = asyncio.create_task(
        aoptimize(renamed, target=slow, budget="target_calls=1200", seed=5, run="cut", sandbox="none")
    )
    await asyncio.sleep(0.6)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    resumed = await aresume("cut", task=renamed, target=slow)
    assert resumed.best == undisturbed.best
    assert resumed.gain == undisturbed.gain
    assert resumed.spend["spent"]["target_calls"] == undisturbed.spend["spent"]["target_calls"]


@pytest.mark.parametrize("iterations", [16, pytest.param(200, marks=pytest.mark.full)])
def test_a_checkpoint_stays_small_over_many_iterations(iterations: int, home: Path):
    options = {"iterations": iterations, "candidates": 2}
    rules = {"finalists": 1, "max_race": 24}
    result = optimize(
        make_task(),
        target=stubborn,
        budget="target_calls=100000",
        options=options,
        rules=rules,
        certify=False,
        sandbox="none",
    )
    assert result.iterations == iterations
    with sqlite3.connect(home / "checkpoints.sqlite") as db:
        sizes = [n for (n,) in db.execute("select length(checkpoint) from checkpoints")]
        writes = [
            n for (n,) in db.execute("select sum(length(value)) from writes group by checkpoint_id, checkpoint_ns")
        ]
    assert len(sizes) > 2 * iterations
    assert max(sizes) <= 20_000
    assert max(writes) <= 20_000
    assert max(sizes[len(sizes) // 2 :]) <= 1.1 * max(sizes[: len(sizes) // 2])  # it has stopped growing


async def test_what_a_run_leaves_behind_tells_its_story(home: Path):
    result = await aoptimize(make_task(), target=answer, budget="target_calls=1200", run="story")
    store = await RunStore.open(home)
    try:
        run = await store.run("story")
        decisions = await store.decisions(run.id)
        prompts = await store.prompts(run.id)
        records = await store.records(run.id, [result.best.id])
    finally:
        await store.close()
    assert run.status == "finished"
    assert run.result is not None
    assert any(d.verdict == "accepted" for d in decisions)
    assert {d.prompt_id for d in decisions} <= set(prompts)
    assert {r.split for r in records} == {"search", "holdout", "test"}
    events = [json.loads(line) for line in (home / "runs" / run.id / "events.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events][:2] == ["plan", "first_look"]
    assert events[-1]["event"] == "finished"
    assert all(e["run"] == run.id and e["schema_version"] == 1 for e in events)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_drawn_with_its_steps(name: str):
    drawn = strategy(name).build().get_graph().draw_mermaid()
    assert drawn.count("again") == 1
    assert "__end__" in drawn
