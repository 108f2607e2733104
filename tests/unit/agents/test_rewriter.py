"""The rewriter with a language model: what it is shown, and that no reply of its can end or spoil a run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import BaseModel

from sage_spo.agents.ask import fenced, parse_reply
from sage_spo.agents.rewriter import Rewrite
from sage_spo.agents.writing import repaired
from sage_spo.evaluation.panels import Panels
from sage_spo.jobs.api import optimize
from sage_spo.tests.fakes.landscape import answer, make_task
from sage_spo.tests.fakes.server import FakeServer

GOOD = "Name the colour: {labels}. Think of the spectrum."


def reply(prompt: str) -> str:
    return json.dumps({"diagnosis": "The answers are too long.", "prompt": prompt})


def run(says: Any, **options: Any):
    """A run whose agent model says `says` (a text, or a function of the request)."""

    def answers(request: dict[str, Any]) -> str:
        return str(says(request)) if callable(says) else str(says)

    with FakeServer(answers) as server:
        result = optimize(
            make_task(),
            strategy="random",
            target=answer,
            agent="openai:fake",
            base_url=server.url,
            budget={"target_calls": 700, "agent_calls": 20},
            options={"candidates": 4, "iterations": 2},
            **options,
        )
        return result, [entry.body for entry in server.log]


def test_a_useful_rewrite_is_measured_and_taken():
    result, requests = run(reply(GOOD))
    assert result.verdict == "improved"
    assert "spectrum" in result.prompt.components["system"]
    assert result.spend["spent"]["agent_calls"] == len(requests) <= 20


def test_it_is_shown_prompt_errors_and_rules_and_asked_for_a_schema():
    _, requests = run(reply(GOOD))
    text = requests[0]["messages"][-1]["content"]
    assert "Name the colour: {labels}." in text
    assert "{labels}" in text
    assert "expected: " in text
    assert len(re.findall(r"<data-\w+>\n", text)) == len(re.findall(r"</data-\w+>", text))
    assert requests[0]["response_format"]["type"] == "json_schema"


def test_no_example_that_candidates_are_screened_on_is_shown_to_their_writer():
    _, requests = run(reply(GOOD), seed=3)
    task = make_task()
    panels = Panels.draw(task, 3)
    texts = [r["messages"][-1]["content"] for r in requests]
    first = [e.input for e in panels.panel(1)]
    assert all(f"input: {shown}\n" not in texts[0] for shown in first)
    assert sum(f"input: {e.input}\n" in texts[0] for e in task.search) == 8


@pytest.mark.parametrize(
    "says",
    [
        "",
        "I would rather not.",
        "{" * 5000,
        '{"prompt": 3}',
        reply(""),
        reply("   "),
        "x" * 100_000,
    ],
)
def test_a_useless_reply_costs_that_proposal_and_the_playbook_steps_in(says: str):
    result, _ = run(says)
    assert result.candidates > 0
    assert result.verdict in ("improved", "unchanged", "not certified")


def test_a_reply_among_prose_is_read():
    result, _ = run("Sure! Here it is:\n```json\n" + reply(GOOD) + "\n```\nHope that helps.")
    assert "spectrum" in result.best.components["system"]


def test_a_malformed_reply_gets_one_chance_to_be_mended():
    def says(request: dict[str, Any]) -> str:
        asked_again = "cannot be used" in request["messages"][-1]["content"]
        return reply(GOOD) if asked_again else "not JSON"

    result, requests = run(says)
    assert any(len(body["messages"]) == 3 for body in requests)
    assert "spectrum" in result.best.components["system"]


def test_a_rewrite_that_drops_the_labels_gets_them_back():
    result, _ = run(reply("Say what colour it is. Think of the spectrum."))
    assert "{labels}" in result.best.components["system"]


def test_what_a_rewrite_lost_is_put_back():
    task = make_task()
    text = repaired(task, task.seed_prompt, "Say the colour.")
    assert "{labels}" in text
    assert repaired(task, task.seed_prompt, GOOD) == GOOD


class Shape(BaseModel):
    name: str
    size: int


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"name": "a", "size": 1}', True),
        ('Well: {"name": "a", "size": 1} there', True),
        ('```json\n{"name": "a", "size": 1}\n```', True),
        ('{"name": "a"}', False),
        ("[1, 2]", False),
        ("", False),
    ],
)
def test_replies_are_read_with_patience_and_problems_named(text: str, right: bool):
    parsed, problem = parse_reply(text, Shape)
    assert (parsed is not None) == right
    assert bool(problem) != right


def test_untrusted_text_loses_its_control_characters_and_its_length():
    shown = fenced("ok\u202e\x1b[31m " + "x" * 5000, cap=100)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "more]" in shown


def test_the_fences_of_a_request_have_a_name_that_no_data_can_know():
    _, requests = run(reply(GOOD))
    names = [re.findall(r"<(data-[0-9a-f]{8})>\n", body["messages"][0]["content"]) for body in requests]
    assert all(len(set(found)) == 1 and len(found) > 1 for found in names)
    assert len({found[0] for found in names}) > 1


def test_the_schema_names_what_is_asked_for():
    assert set(Rewrite.model_json_schema()["required"]) == {"diagnosis", "prompt"}
