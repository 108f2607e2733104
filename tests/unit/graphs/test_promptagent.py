"""`promptagent`: what it finds, what it asks, how its tree grows from what stands in the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import UsageError
from sage_spo.graphs.promptagent_options import PromptAgentOptions
from sage_spo.jobs.api import aoptimize, aresume, optimize
from sage_spo.tasks.prompt import Prompt
from sage_spo.tests.fakes.agent import ScriptedAgent, form_of
from sage_spo.tests.fakes.landscape import answer, make_task, stubborn
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Decision, Record, StoredPrompt
from sage_spo.traces.store import RunStore

BUDGET = {"target_calls": 1200, "agent_calls": 60}


def helpful(request: str) -> dict[str, Any]:
    """A next prompt that says something of its own, and now and then what helps."""
    number = len(request) % 997
    hint = "Think of the spectrum." if number % 3 == 0 else f"Think of shade {number}."
    return {"feedback": "It is vague.", "prompt": f"Name the colour: {{labels}}. {hint} ({number})"}


AGENT = ScriptedAgent({"Gradients": {"reasons": ["The prompt is vague."]}, "Transition": helpful})


def run(agent: Any = AGENT, **more: Any) -> tuple[Any, list[dict[str, Any]]]:
    """A run's result, and the requests that its agent model got."""
    with FakeServer(agent) as server:
        given: dict[str, Any] = {"budget": BUDGET, "certify": False, **more}
        result = optimize(
            make_task(), strategy="promptagent", target=answer, agent="openai:fake", base_url=server.url, **given
        )
        return result, [entry.body for entry in server.log]


def stored(home: Path, run_id: str) -> tuple[list[Decision], dict[str, StoredPrompt], list[Record]]:
    async def read() -> tuple[list[Decision], dict[str, StoredPrompt], list[Record]]:
        async with await RunStore.open(home) as store:
            return await store.decisions(run_id), await store.prompts(run_id), await store.records(run_id)

    return asyncio.run(read())


def test_without_an_agent_model_a_better_prompt_is_found_and_proven():
    result = optimize(make_task(), strategy="promptagent", target=answer, budget="target_calls=1200")
    assert result.verdict == "improved"
    assert result.spend["spent"]["target_calls"] <= 1200


def test_with_an_agent_model_a_better_prompt_is_found_and_proven():
    result, requests = run(certify=True)
    assert result.verdict == "improved"
    assert "the spectrum" in result.best.components["system"]
    assert {form_of(r) for r in requests} == {"Transition"}
    assert len(requests) <= BUDGET["agent_calls"]


def test_where_no_prompt_helps_the_seed_is_returned():
    result = optimize(make_task(), strategy="promptagent", target=stubborn, budget="target_calls=900")
    assert result.prompt == result.seed_prompt


def test_each_iteration_makes_the_children_of_one_node_and_none_is_too_deep(home: Path):
    result, _ = run(options={"depth": 2})
    decisions, prompts, _ = stored(home, result.run_id)
    made: dict[int, set[str]] = {}
    for p in prompts.values():
        if p.parents:
            made.setdefault(p.iteration, set()).update(p.parents)
    assert all(len(parents) == 1 for parents in made.values())
    depth = {result.seed_prompt.id: 0}
    for p in sorted(prompts.values(), key=lambda p: p.iteration):
        if p.parents:
            depth[p.id] = depth[p.parents[0]] + 1
    assert max(depth.values()) == 2
    assert max(Counter(p.iteration for p in prompts.values() if p.parents).values()) <= 3
    assert {d.verdict for d in decisions} & {"kept", "accepted"}


def test_all_nodes_are_rewarded_on_the_same_examples_and_none_of_them_is_shown(home: Path):
    result, requests = run(options={"sample": 20, "iterations": 4})
    _, prompts, records = stored(home, result.run_id)
    shared = set.intersection(
        *({r.example_id for r in records if r.prompt_id == i and r.split == "search"} for i in prompts)
    )
    assert len(shared) >= 20
    shown = {i for p in prompts.values() for i in p.content["shown"]}
    assert shown
    assert not shown & shared
    later = [r["messages"][0]["content"] for r in requests]
    assert any("The way so far" in text for text in later)


@pytest.mark.parametrize("wins", [True, False])
def test_the_tree_grows_from_what_the_search_set_out_from(wins: bool, home: Path):
    start = "Name the colour. Think of the spectrum. {labels}" if wins else "Say {labels}."
    agent = ScriptedAgent({**AGENT.says, "MetaInstruction": {"prompt": start}})
    result, _ = run(agent, options={"init": "meta", "iterations": 4, "sample": 20})
    decisions, prompts, records = stored(home, result.run_id)
    meta = next(p.id for p in prompts.values() if p.origin == "meta instruction")
    assert (decisions[0].verdict == "accepted") is wins
    root = meta if wins else result.seed_prompt.id
    assert {p.parents for p in prompts.values() if p.iteration == 2} == {(root,)}
    rewarded = [i for i, p in prompts.items() if p.iteration == 2] + [root]
    shared = set.intersection(*({r.example_id for r in records if r.prompt_id == i} for i in rewarded))
    assert len(shared) >= 20


def test_a_reply_of_no_use_is_made_up_for_by_the_playbook(home: Path):
    result, _ = run(lambda _: "no JSON", options={"iterations": 2})
    _, prompts, _ = stored(home, result.run_id)
    assert len(prompts) > 3
    assert all(p.origin != "tree step" for p in prompts.values())


def test_faithful_asks_for_feedback_on_five_errors_first_and_takes_the_best_node_of_the_best_path(home: Path):
    result, requests = run(
        preset="faithful", options={"iterations": 3, "batch": 30, "sample": 30}, budget={"target_calls": 3000}
    )
    assert Counter(map(form_of, requests)) == {"Gradients": 9, "Transition": 9}
    shown = [r["messages"][0]["content"].count("expected: ") for r in requests if form_of(r) == "Gradients"]
    assert shown[:3] == [5, 5, 5]
    assert max(shown) == 5
    decisions, _, records = stored(home, result.run_id)
    assert {r.split for r in records} == {"search"}
    accepted = [d for d in decisions if d.verdict == "accepted"]
    assert all("race" not in d.stats for d in accepted)


def test_default_lets_no_prompt_become_champion_without_a_race(home: Path):
    result, _ = run()
    decisions, _, _ = stored(home, result.run_id)
    accepted = [d for d in decisions if d.verdict == "accepted"]
    assert accepted
    assert all(d.stats["race"]["n"] >= 24 for d in accepted)


def test_when_every_end_of_the_tree_was_reached_the_search_stops():
    result, _ = run(options={"depth": 1}, budget={"target_calls": 3000})
    assert result.stop == "every end of the tree was reached"


def test_what_a_small_budget_leaves_open_is_scaled_down():
    small, large = (PromptAgentOptions().fitted(calls, None, 120) for calls in (700, 20_000))
    assert (small.sample or 0) < (large.sample or 0) <= 80
    assert (small.batch or 0) < (large.batch or 0)


def test_a_value_out_of_bounds_is_refused_by_name():
    with pytest.raises(UsageError, match="option 'depth' of strategy promptagent"):
        optimize(make_task(), strategy="promptagent", target=answer, options={"depth": 0})


async def test_cancelled_in_the_middle_it_resumes_to_the_same_result(home: Path):
    given: dict[str, Any] = {"strategy": "promptagent", "budget": "target_calls=900", "seed": 5, "certify": False}
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
    assert resumed.candidates == undisturbed.candidates
    assert resumed.spend["spent"]["target_calls"] == undisturbed.spend["spent"]["target_calls"]
