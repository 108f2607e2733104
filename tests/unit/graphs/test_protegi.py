"""`protegi`: what it finds, what it asks, how its beam is selected, and what it leaves to the project's acceptance."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import UsageError
from sage_spo.graphs.protegi_options import ProtegiOptions
from sage_spo.jobs.api import aoptimize, aresume, optimize
from sage_spo.tasks.prompt import Prompt
from sage_spo.tests.fakes.agent import ScriptedAgent, form_of
from sage_spo.tests.fakes.landscape import answer, make_task, stubborn
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Decision, Record, StoredPrompt
from sage_spo.traces.store import RunStore

BUDGET = {"target_calls": 1200, "agent_calls": 60}


def helpful(request: str) -> dict[str, Any]:
    """A revision that says something of its own, and now and then what helps."""
    number = len(request) % 997
    hint = "Think of the spectrum." if number % 3 == 0 else f"Think of shade {number}."
    return {"prompt": f"Name the colour: {{labels}}. {hint} ({number})"}


AGENT = ScriptedAgent({"Gradients": {"reasons": ["The prompt is vague.", "It names no shelf."]}, "Revision": helpful})


def run(agent: Any = AGENT, **more: Any) -> tuple[Any, list[dict[str, Any]]]:
    """A run's result, and the requests that its agent model got."""
    with FakeServer(agent) as server:
        given: dict[str, Any] = {"budget": BUDGET, "certify": False, **more}
        result = optimize(
            make_task(), strategy="protegi", target=answer, agent="openai:fake", base_url=server.url, **given
        )
        return result, [entry.body for entry in server.log]


def stored(home: Path, run_id: str) -> tuple[list[Decision], dict[str, StoredPrompt]]:
    async def read() -> tuple[list[Decision], dict[str, StoredPrompt]]:
        async with await RunStore.open(home) as store:
            return await store.decisions(run_id), await store.prompts(run_id)

    return asyncio.run(read())


def records(home: Path, run_id: str) -> list[Record]:
    async def read() -> list[Record]:
        async with await RunStore.open(home) as store:
            return await store.records(run_id)

    return asyncio.run(read())


def test_without_an_agent_model_a_better_prompt_is_found_and_proven():
    result = optimize(make_task(), strategy="protegi", target=answer, budget="target_calls=1200")
    assert result.verdict == "improved"
    assert result.spend["spent"]["target_calls"] <= 1200


def test_with_an_agent_model_a_better_prompt_is_found_and_proven():
    result, requests = run(certify=True)
    assert result.verdict == "improved"
    assert "the spectrum" in result.best.components["system"]
    assert len(requests) <= BUDGET["agent_calls"]
    assert {form_of(r) for r in requests} == {"Gradients", "Revision"}


def test_where_no_prompt_helps_the_seed_is_returned():
    result = optimize(make_task(), strategy="protegi", target=stubborn, budget="target_calls=900")
    assert result.prompt == result.seed_prompt


def test_a_reply_of_no_use_is_made_up_for_by_the_playbook(home: Path):
    result, _ = run(lambda _: "no JSON", options={"iterations": 2})
    _, prompts = stored(home, result.run_id)
    assert len(prompts) > 4
    assert all("gradient" not in p.origin for p in prompts.values())


def test_faithful_asks_for_four_gradients_of_four_errors_and_says_each_edit_in_other_words(home: Path):
    result, requests = run(preset="faithful", options={"iterations": 1}, budget={"target_calls": 9000})
    assert Counter(map(form_of, requests))["Gradients"] == 1
    [gradient] = [r["messages"][0]["content"] for r in requests if form_of(r) == "Gradients"]
    assert gradient.count("expected: ") == 4
    assert "up to 4 different" in gradient
    assert Counter(map(form_of, requests))["Revision"] == 4
    decisions, prompts = stored(home, result.run_id)
    assert {tuple(p.parents) for p in prompts.values()} <= {(), (result.seed_prompt.id,)}
    bandit = [d.stats["bandit"] for d in decisions if "bandit" in d.stats]
    assert sum(b["pulls"] for b in bandit) <= 64
    assert all(b["n"] == 32 * b["pulls"] for b in bandit)
    accepted = [d for d in decisions if d.verdict == "accepted"]
    assert all(d.stats["bandit"]["mean"] == max(b["mean"] for b in bandit) for d in accepted)
    assert accepted


@pytest.mark.parametrize("seed", range(4))
def test_faithful_keeps_a_champion_that_the_budget_did_not_let_it_compare(seed: int, home: Path):
    options = {"sample": 100, "width": 1, "minibatch": 1, "paraphrases": 0, "iterations": 1}
    result, _ = run(preset="faithful", options=options, budget={"target_calls": 300, "agent_calls": 60}, seed=seed)
    decisions, _ = stored(home, result.run_id)
    for d in (d for d in decisions if d.verdict == "accepted"):
        assert any(r.prompt_id == d.champion_id and r.step == d.stats["step"] for r in records(home, result.run_id))


def test_default_lets_no_prompt_become_champion_without_a_race(home: Path):
    result, _ = run()
    decisions, _ = stored(home, result.run_id)
    accepted = [d for d in decisions if d.verdict == "accepted"]
    assert accepted
    assert all(d.stats["race"]["n"] >= 24 for d in accepted)
    assert any(d.verdict == "kept" for d in decisions)


@pytest.mark.parametrize("select", ["ucb", "ucb-e", "rejects"])
def test_each_rule_of_selection_finds_a_better_prompt(select: str):
    result = optimize(
        make_task(),
        strategy="protegi",
        target=answer,
        budget="target_calls=900",
        options={"select": select},
        certify=False,
    )
    assert result.best != result.seed_prompt


def test_paraphrases_are_asked_for_and_hang_on_the_beams_prompt(home: Path):
    words = {"Paraphrase": lambda text: {"prompt": f"Say which of {{labels}} it is ({len(text) % 997})."}}
    agent = ScriptedAgent({**AGENT.says, **words})
    result, requests = run(agent, options={"paraphrases": 1, "chain": 1, "iterations": 1})
    assert "Paraphrase" in {form_of(r) for r in requests}
    _, prompts = stored(home, result.run_id)
    assert any(p.origin == "gradient, paraphrase" and p.parents == (result.seed_prompt.id,) for p in prompts.values())


def test_a_chain_makes_one_successor_of_several_edits(home: Path):
    result, requests = run(options={"groups": 1, "gradients": 1, "chain": 3, "iterations": 1})
    assert Counter(map(form_of, requests)) == {"Gradients": 1, "Revision": 3}
    _, prompts = stored(home, result.run_id)
    assert [p.parents for p in prompts.values() if p.origin == "gradient"] == [(result.seed_prompt.id,)]


def test_what_a_small_budget_leaves_open_is_scaled_down():
    small, large = (ProtegiOptions().fitted(calls, 100, True) for calls in (700, 20_000))
    assert (small.rounds or 0) < (large.rounds or 0)
    assert (small.minibatch or 0) < (large.minibatch or 0)
    assert ProtegiOptions(parents=2).fitted(700, 100, True).parents == 2
    assert ProtegiOptions().fitted(700, None, False).parents == ProtegiOptions().pool


def test_a_value_out_of_bounds_is_refused_by_name():
    with pytest.raises(UsageError, match="option 'exploration' of strategy protegi"):
        optimize(make_task(), strategy="protegi", target=answer, options={"exploration": -1})
    with pytest.raises(UsageError, match="option 'select'"):
        optimize(make_task(), strategy="protegi", target=answer, options={"select": "best"})


async def test_cancelled_in_the_middle_it_resumes_to_the_same_result(home: Path):
    given: dict[str, Any] = {"strategy": "protegi", "budget": "target_calls=900", "seed": 5, "certify": False}
    undisturbed = await aoptimize(make_task(), target=answer, **given)
    again = make_task()
    renamed = replace(again, seed_prompt=Prompt(components=dict(again.seed_prompt.components)))

    async def slow(messages: list[dict[str, str]], example: Any) -> str:
        await asyncio.sleep(0.002)
        return answer(messages, example)

    slow.__name__ = "answer"
    running = asyncio.create_task(aoptimize(renamed, target=slow, run="cut", **given))
    await asyncio.sleep(0.8)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    resumed = await aresume("cut", task=renamed, target=slow)
    assert resumed.best == undisturbed.best
    assert resumed.spend["spent"]["target_calls"] == undisturbed.spend["spent"]["target_calls"]
    assert json.loads(resumed.model_dump_json())["candidates"] == undisturbed.candidates
