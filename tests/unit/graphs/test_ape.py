"""`ape`: instructions from pairs, the best kept, and varied in other words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import UsageError
from sage_spo.jobs.api import optimize
from sage_spo.tests.fakes.agent import form_of
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.store import RunStore


def writing(request: dict[str, Any]) -> str:
    number = len(json.dumps(request)) % 9973
    return json.dumps({"prompt": f"Name the colour: {{labels}}. Think of the spectrum {number}."})


def run(says: Any, preset: str = "default", **options: Any):
    with FakeServer(says) as server:
        result = optimize(
            make_task(),
            strategy="ape",
            preset=preset,
            target=answer,
            agent="openai:fake",
            base_url=server.url,
            budget={"target_calls": 1200, "agent_calls": 30},
            options={"candidates": 4, **options},
        )
        return result, [entry.body for entry in server.log]


def test_without_an_agent_a_better_prompt_is_found_and_proven():
    result = optimize(make_task(), strategy="ape", target=answer, budget="target_calls=1200")
    assert result.verdict == "improved"
    assert "{labels}" in result.prompt.components["system"]


def test_an_agent_infers_instructions_first_and_varies_the_best_later():
    result, requests = run(writing, sampling=1, fresh=0.0, iterations=3)
    assert result.verdict == "improved"
    forms = [form_of(request) for request in requests]
    assert forms[:4] == ["Instruction"] * 4
    assert set(forms[4:]) == {"Variation"}
    shown = [r["messages"][0]["content"] for r in requests[:4]]
    assert len(set(shown)) == 4  # a draw of its own for each
    assert all(text.count("input: thing") == 5 and "<prompt>" not in text for text in shown)
    assert all("input: thing" not in r["messages"][0]["content"] for r in requests[4:])
    assert requests[0]["temperature"] == 0.9


def test_a_start_from_right_answers_takes_none_of_the_sampling():
    _, requests = run(writing, init="meta", sampling=1, fresh=0.0, iterations=3)
    forms = [form_of(request) for request in requests]
    assert forms[0] == "MetaInstruction"
    assert forms[1:5] == ["Instruction"] * 4
    assert set(forms[5:]) == {"Variation"}


def test_a_share_is_inferred_anew():
    _, requests = run(writing, sampling=1, fresh=1.0, iterations=2)
    assert {form_of(request) for request in requests} == {"Instruction"}


def test_a_reply_of_no_use_is_made_up_for():
    result, requests = run(lambda _: "no JSON", iterations=2)
    assert requests
    assert result.candidates > 4


def test_faithful_keeps_the_best_means(home: Path):
    result, _ = run(writing, "faithful", iterations=2)
    decisions = asyncio.run(_decisions(home, result.run_id))
    best = [d for d in decisions if d.verdict == "accepted"]
    assert best
    for d in best:
        rivals = [e.stats["race"]["gain"] for e in decisions if e.iteration == d.iteration and "race" in e.stats]
        assert d.stats["race"]["gain"] == max(rivals)


async def _decisions(home: Path, run_id: str):
    async with await RunStore.open(home) as store:
        return await store.decisions(run_id)


@pytest.mark.parametrize("options", [{"fresh": 2}, {"sampling": 0}, {"temperature": -1}])
def test_wrong_values_are_refused_by_name(options: dict[str, Any]):
    with pytest.raises(UsageError, match=f"option '{next(iter(options))}'"):
        optimize(make_task(), strategy="ape", target=answer, options=options)
