"""Crossover: what the agent model is shown, and what a child is where there is none or its reply is of no use."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sage_spo.agents.crossover import spliced
from sage_spo.agents.operators import Situation, sentences
from sage_spo.graphs.genetic import roulette
from sage_spo.jobs.api import optimize
from sage_spo.tasks.prompt import Demo, Prompt
from sage_spo.tests.fakes.agent import form_of
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import StoredPrompt
from sage_spo.traces.store import RunStore

FIRST = "Name the colour: {labels}. Think of the spectrum. Be brief."
SECOND = "Say which of {labels} it is. Look at the wavelength."


def run(says: Any, home: Path, **options: Any) -> tuple[list[dict[str, Any]], dict[str, StoredPrompt]]:
    """Requests to an agent model that says `says` of a request, and the prompts of the run."""
    with FakeServer(says) as server:
        result = optimize(
            make_task(),
            strategy="genetic",
            target=answer,
            agent="openai:fake",
            base_url=server.url,
            budget={"target_calls": 1500, "agent_calls": 30},
            certify=False,
            options={"candidates": 6, "iterations": 3, "mechanical": 0.0, **options},
        )
        return [entry.body for entry in server.log], asyncio.run(_prompts(home, result.run_id))


async def _prompts(home: Path, run_id: str) -> dict[str, StoredPrompt]:
    async with await RunStore.open(home) as store:
        return await store.prompts(run_id)


def breeding(request: dict[str, Any]) -> str:
    """An agent whose every reply is another prompt."""
    number = len(json.dumps(request)) % 9973
    text = f"Name the colour: {{labels}}. Think of spectrum {number}."
    return json.dumps({"diagnosis": "unknown", "crossed": text, "prompt": text})


def test_two_parents_and_the_errors_of_both_stand_in_one_request(home: Path):
    requests, prompts = run(breeding, home)
    crossings = [r for r in requests if form_of(r) == "Crossover"]
    assert crossings
    assert all(r["messages"][0]["content"].count("<prompt>") == 2 for r in crossings)
    bred = [p for p in prompts.values() if p.origin == "crossover"]
    assert bred
    for child in bred:
        assert len(set(child.parents)) == 2
        assert set(child.parents) <= set(prompts)
        assert child.content["shown"]


@pytest.mark.parametrize("says", [lambda _: "no JSON", lambda _: json.dumps({"crossed": "", "prompt": " "})])
def test_a_reply_of_no_use_is_made_up_for_by_splicing(says: Any, home: Path):
    _, prompts = run(says, home)
    origins = [p.origin for p in prompts.values()]
    assert "crossover" not in origins
    assert any(origin.startswith("spliced") for origin in origins)


def test_the_share_that_is_mechanical_asks_no_agent(home: Path):
    requests, prompts = run(breeding, home, mechanical=1.0)
    assert requests == []
    assert len(prompts) > 6


def parent(text: str, demos: int, seed: int) -> Situation:
    task = make_task()
    shown = [Demo(example_id=e.id, input=e.input, output=e.label) for e in task.search[:demos]]
    prompt = Prompt(components={"system": text}, demos=tuple(shown), shown=(task.search[10 + demos].id,))
    return Situation(task, prompt, (), task.search, np.random.default_rng(seed))


def test_a_spliced_child_says_what_a_parent_said_keeps_the_labels_and_is_new():
    both = {*sentences(FIRST), *sentences(SECOND)}
    mixed = 0
    for seed in range(40):
        mother, father = parent(FIRST, 2, seed), parent(SECOND, 3, seed)
        known = {mother.prompt.id, father.prompt.id}
        child = spliced(mother, father, known)
        assert child is not None
        assert child.id not in known
        assert not mother.task.violations(child)
        assert "{labels}" in child.system or all(label in child.system for label in mother.task.labels)
        if child.origin.startswith("spliced"):
            assert set(child.shown) >= {*mother.prompt.shown, *father.prompt.shown}
        own = set(sentences(child.system))
        mixed += bool(own & set(sentences(FIRST))) and bool(own & set(sentences(SECOND)))
        assert own & both or "spliced" not in child.origin
    assert mixed > 5


def test_the_wheel_stops_in_proportion_to_fitness():
    rng = np.random.default_rng(0)
    drawn = Counter(roulette({"a": 0.6, "b": 0.3, "c": -0.2}, rng) for _ in range(5000))
    assert drawn["a"] / 5000 == pytest.approx(0.6 / 0.91, abs=0.03)
    assert drawn["b"] / 5000 == pytest.approx(0.3 / 0.91, abs=0.03)
    assert 0 < drawn["c"] < 150
