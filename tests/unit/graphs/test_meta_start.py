"""`init=meta`: every strategy may set out from a prompt that was inferred from right answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from sage_spo.agents.meta_instruction import SECTIONS, composed
from sage_spo.agents.operators import Situation
from sage_spo.agents.validator import Verdict
from sage_spo.errors import UsageError
from sage_spo.graphs.meta_start import refuted
from sage_spo.graphs.registry import STRATEGIES
from sage_spo.jobs.api import optimize
from sage_spo.seeding import generator
from sage_spo.tests.fakes.agent import ScriptedAgent, form_of
from sage_spo.tests.fakes.landscape import HELPFUL, answer, make_task, stubborn
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Decision, StoredPrompt
from sage_spo.traces.store import RunStore

GOOD = "# Task type\nName the colour. Think of the spectrum.\n# Output\nOne of {labels}."


def run(home: Path, says: Any = None, strategy: str = "random", **given: Any):
    """Result, decisions, prompts and requests of a short run, with an agent model where `says` is given."""
    budget: dict[str, Any] = {"target_calls": given.pop("target_calls", 700)}
    options = {"init": "meta", **given.pop("options", {})}
    keywords = {"strategy": strategy, "target": answer, "certify": False, "options": options, **given}
    if says is None:
        result, requests = optimize(make_task(), budget=budget, **keywords), []
    else:
        with FakeServer(says) as server:
            keywords |= {"agent": "openai:fake", "base_url": server.url}
            result = optimize(make_task(), budget={**budget, "agent_calls": 30}, **keywords)
            requests = [entry.body for entry in server.log]
    decisions, prompts = asyncio.run(_stored(home, result.run_id))
    return result, decisions, prompts, requests


async def _stored(home: Path, run_id: str) -> tuple[list[Decision], dict[str, StoredPrompt]]:
    async with await RunStore.open(home) as store:
        return await store.decisions(run_id), await store.prompts(run_id)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_may_set_out_from_it(name: str, home: Path):
    options = {"iterations": 2} if name == "dual-phase" else {"iterations": 2, "candidates": 2}
    _, decisions, prompts, _ = run(home, strategy=name, options=options, target_calls=500)
    first = [d for d in decisions if d.iteration == 1]
    assert [prompts[d.prompt_id].origin for d in first] == ["meta instruction"]
    assert any(d.iteration == 2 for d in decisions)


def test_an_agent_is_shown_right_answers_and_its_instruction_is_judged(home: Path):
    _, decisions, prompts, requests = run(
        home, ScriptedAgent({"MetaInstruction": {"prompt": GOOD}}), options={"pairs": 3, "iterations": 2}
    )
    asked = [r for r in requests if form_of(r) == "MetaInstruction"]
    assert len(asked) == 1
    text = asked[0]["messages"][0]["content"]
    assert text.count("input: thing number") == 3
    assert "expected:" not in text
    first = next(d for d in decisions if d.iteration == 1)
    assert first.verdict == "accepted"
    assert prompts[first.prompt_id].content["components"]["system"] == GOOD
    assert len(prompts[first.prompt_id].content["shown"]) == 3


@pytest.mark.parametrize("says", ["no JSON", json.dumps({"prompt": " "})])
def test_a_reply_of_no_use_is_made_up_for(says: str, home: Path):
    _, _, prompts, _ = run(home, lambda _: says, options={"iterations": 1})
    composed_one = next(p for p in prompts.values() if p.origin == "meta instruction")
    assert "# Task type" in composed_one.content["components"]["system"]


def test_where_it_does_not_win_it_joins_the_pool_unless_it_was_refuted():
    assert refuted(Verdict("p", False, "screened out", ""))
    assert refuted(Verdict("p", False, "breaks too much", ""))
    assert refuted(Verdict("p", False, "not better", "", {"race": {"better": 0.4}}))
    assert not refuted(Verdict("p", False, "not better", "", {"race": {"better": 0.6}}))
    assert not refuted(Verdict("p", False, "not better", "", {"race": {"n": 0, "fixed": 0, "broken": 0}}))
    assert not refuted(Verdict("p", False, "not measured", ""))


def test_without_it_there_is_no_such_iteration(home: Path):
    _, _, prompts, _ = run(home, options={"init": "seed", "iterations": 1}, target=stubborn)
    assert all(p.origin != "meta instruction" for p in prompts.values())


def test_a_section_that_is_left_out_is_not_written():
    task = make_task()
    seed = Situation(task, task.seed_prompt, (), (), generator(0, "test"))
    everything = composed(seed, SECTIONS)
    assert everything.count("# ") == 5
    assert any(phrase in everything for phrase in HELPFUL)
    for section in SECTIONS:
        shorter = composed(seed, [other for other in SECTIONS if other != section])
        assert shorter.count("# ") == 4
        assert "{labels}" in shorter


@pytest.mark.parametrize(
    ("options", "words"),
    [({"init": "metta"}, "option 'init'"), ({"init": "meta", "pairs": 0}, "option 'pairs'")],
)
def test_wrong_values_are_refused_by_name(options: dict[str, Any], words: str, home: Path):
    with pytest.raises(UsageError, match=words):
        optimize(make_task(), strategy="random", target=answer, options=options)
    assert not home.exists()
