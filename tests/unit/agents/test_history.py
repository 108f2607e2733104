"""OPRO's request: the best prompts and their scores, worst first, a few examples, no failures."""

from __future__ import annotations

import json
import re
from typing import Any

from sage_spo.agents.history import shortened
from sage_spo.jobs.api import optimize
from sage_spo.tasks.prompt import Prompt
from sage_spo.tests.fakes.agent import form_of
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer


def writing(request: dict[str, Any]) -> str:
    number = len(json.dumps(request)) % 9973
    return json.dumps({"prompt": f"Name the colour: {{labels}}. Think of spectrum {number}."})


def run(says: Any, **options: Any):
    with FakeServer(says) as server:
        result = optimize(
            make_task(),
            strategy="opro",
            target=answer,
            agent="openai:fake",
            base_url=server.url,
            budget={"target_calls": 1500, "agent_calls": 30},
            certify=False,
            options={"candidates": 4, "iterations": 4, **options},
        )
        return result, [entry.body for entry in server.log]


def test_the_history_goes_from_the_worst_to_the_best_and_is_no_longer_than_asked():
    result, requests = run(writing, history=5)
    histories = []
    for request in requests:
        assert form_of(request) == "NewPrompt"
        assert request["temperature"] == 1.0
        text = request["messages"][0]["content"]
        scores = [int(score) for score in re.findall(r"^score: (-?\d+)$", text, re.MULTILINE)]
        assert scores == sorted(scores)
        assert len(scores) == text.count("<prompt>") <= 5
        assert "output:" not in text
        histories.append(len(scores))
    assert histories[0] == 1
    assert histories[-1] == 5
    assert result.spend["spent"]["agent_calls"] == len(requests) == 16


def test_a_reply_of_no_use_is_made_up_for_by_the_playbook():
    result, requests = run(lambda _: "no JSON")
    assert len(requests) > 4
    assert result.verdict in ("not tested", "unchanged")
    assert result.iterations > 1


def test_a_history_that_is_too_long_loses_its_worst_prompts_and_none_is_cut():
    prompts = [Prompt(components={"system": letter * 10_000}) for letter in "abcd"]
    history = [(prompt, number / 10) for number, prompt in enumerate(prompts)]
    assert shortened(history) == history[2:]
    assert shortened([(Prompt(components={"system": "a" * 30_000}), 0.5)]) == []
