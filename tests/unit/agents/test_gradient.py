"""Textual gradients: what the agent model is shown, and what becomes of its replies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sage_spo.agents.attempt import Attempt
from sage_spo.agents.gradient import can_be_written, descend, gradients
from sage_spo.agents.operators import Situation
from sage_spo.tests.fakes.agent import ScriptedAgent, text_of
from sage_spo.tests.fakes.landscape import make_task
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Record

TASK = make_task()


def situation(*scores: float) -> Situation:
    prompt = TASK.seed_prompt
    records = [
        Record("run", prompt.id, e.id, 0, "search", f"key {e.id}", score=score, output="red")
        for e, score in zip(TASK.search, scores, strict=False)
    ]
    return Situation(TASK, prompt, records, TASK.search, np.random.default_rng(0))


async def test_reasons_come_from_the_errors_and_no_more_than_are_asked_for(desk_at: Any):
    with FakeServer(ScriptedAgent({"Gradients": {"reasons": ["one", " ", "two", "three"]}})) as server:
        s = situation(0.0, 0.0)
        found = await gradients(s, s.records, Attempt(desk_at(server), 1, 0), most=2)
        request = text_of(server.log[0].body)
    assert found == ["one", "two"]
    assert all(TASK.example(r.example_id).input in request for r in s.records)
    assert "Failures:" in request
    assert "right ones among them" not in request


async def test_right_answers_among_them_are_announced(desk_at: Any):
    with FakeServer(ScriptedAgent({"Gradients": {"reasons": ["one"]}})) as server:
        s = situation(0.0, 1.0)
        await gradients(s, s.records, Attempt(desk_at(server), 1, 0))
        await descend(s, "one", s.records, Attempt(desk_at(server), 1, 0))
        requests = [text_of(entry.body) for entry in server.log]
    assert all("right ones among them" in request and "Answers:" in request for request in requests)


async def test_a_revision_keeps_the_labels_and_says_what_its_writer_saw(desk_at: Any):
    with FakeServer(ScriptedAgent({"Revision": {"prompt": "Name it."}})) as server:
        s = situation(0.0, 0.0)
        child = await descend(s, "It says too little.", s.records, Attempt(desk_at(server), 1, 0))
        request = text_of(server.log[0].body)
    assert child is not None
    assert child.system.startswith("Name it.")
    assert "{labels}" in child.system
    assert child.shown == tuple(r.example_id for r in s.records)
    assert child.origin == "gradient"
    assert "It says too little." in request


@pytest.mark.parametrize("reply", ["no JSON", '{"prompt": " "}'])
async def test_replies_of_no_use_are_none(reply: str, desk_at: Any):
    with FakeServer(lambda _: reply) as server:
        s, attempt = situation(0.0), Attempt(desk_at(server), 1, 0)
        assert await gradients(s, s.records, attempt) == []
        assert await descend(s, "one", s.records, attempt) is None


async def test_a_known_prompt_is_none_and_no_agent_writes_nothing(desk_at: Any):
    text = TASK.seed_prompt.system
    with FakeServer(ScriptedAgent({"Revision": {"prompt": text}})) as server:
        s = situation(0.0)
        attempt = Attempt(desk_at(server), 1, 0, frozenset({s.prompt.id}))
        assert await descend(s, "one", s.records, attempt) is None
    assert can_be_written(s.prompt, attempt)
    assert not can_be_written(s.prompt, replace(attempt, desk=None))
