"""`dual-phase`: a prompt inferred from right answers, sentences edited one at a time or several at once."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import UsageError
from sage_spo.graphs.dual_phase import DualPhaseOptions
from sage_spo.jobs.api import aoptimize, aresume, optimize
from sage_spo.jobs.options import option_values
from sage_spo.seeding import digest
from sage_spo.tests.fakes.agent import ScriptedAgent, form_of
from sage_spo.tests.fakes.landscape import answer, make_task, stubborn
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Decision, StoredPrompt
from sage_spo.traces.store import RunStore

CUT_AT = 400
"""Requests after which a run is cut off, of some thousand."""

START = "Name the colour of {labels}. Look at the words. Be careful."


def editing(helpful: bool = True) -> ScriptedAgent:
    """An agent whose every edit is another one; it names the spectrum where it helps."""

    def says(text: str) -> dict[str, str]:
        number = int(digest(text)[:6], 16)
        word = "the spectrum" if helpful else "nothing"
        return {"operation": ("add", "replace", "rewrite")[number % 3], "text": f"Think of {word} {number}."}

    return ScriptedAgent({"MetaInstruction": {"prompt": START}, "SentenceEdit": says})


def run(home: Path, says: Any, preset: str = "default", target: Any = answer, **given: Any):
    with FakeServer(says) as server:
        result = optimize(
            make_task(),
            strategy="dual-phase",
            preset=preset,
            target=target,
            agent="openai:fake",
            base_url=server.url,
            budget={"target_calls": 2500, "agent_calls": 60},
            **{"certify": False, **given},
        )
        requests = [entry.body for entry in server.log]
    decisions, prompts = asyncio.run(_stored(home, result.run_id))
    return result, decisions, prompts, [r for r in requests if form_of(r) == "SentenceEdit"]


async def _stored(home: Path, run_id: str) -> tuple[list[Decision], dict[str, StoredPrompt]]:
    async with await RunStore.open(home) as store:
        return await store.decisions(run_id), await store.prompts(run_id)


async def _measured(home: Path, run_id: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    async with await RunStore.open(home) as store:
        for r in await store.records(run_id):
            found.setdefault(r.prompt_id, set()).add(r.example_id)
    return found


def text_of(prompt: StoredPrompt) -> str:
    return prompt.content["components"]["system"]


def test_without_an_agent_a_better_prompt_is_found_and_proven():
    result = optimize(make_task(), strategy="dual-phase", target=answer, budget="target_calls=1200")
    assert result.verdict == "improved"
    assert "{labels}" in result.prompt.components["system"]


def test_with_an_agent_a_better_prompt_is_found_and_proven(home: Path):
    result, _, _, requests = run(home, editing(), certify=True, options={"iterations": 3})
    assert result.verdict == "improved"
    assert "the spectrum" in result.prompt.components["system"]
    assert requests


def test_faithful_takes_the_start_as_it_is_and_edits_one_sentence_at_a_time(home: Path):
    _, decisions, prompts, requests = run(home, editing(), "faithful")
    assert decisions[0].reason == "taken as it is"
    assert text_of(prompts[decisions[0].prompt_id]) == START
    for d in decisions[1:]:
        child, parent = prompts[d.prompt_id], prompts[prompts[d.prompt_id].parents[0]]
        old = re.split(r"(?<=[.!?])\s+|\n+", text_of(parent))
        new = re.split(r"(?<=[.!?])\s+|\n+", text_of(child))
        assert len([s for s in old if s not in new]) <= 1
    accepted = [d for d in decisions[1:] if d.verdict == "accepted"]
    assert accepted
    for d in accepted:
        assert d.stats["race"]["gain"] >= 0.1
        assert d.stats["race"]["n"] == 120
    assert "The sentence to change" in requests[0]["messages"][0]["content"]


def test_faithful_tries_six_times_where_too_few_failures_are_mended_and_bans_each_text(home: Path):
    _, decisions, prompts, _ = run(home, editing(helpful=False), "faithful", target=stubborn, options={"iterations": 3})
    for iteration in (2, 3):
        failed = [d for d in decisions if d.iteration == iteration]
        assert len(failed) == 6
        assert all(d.reason == "got too few of the failure cases right" for d in failed)
        assert all(d.stats["on_failures"] < 0.3 for d in failed)
    assert len({text_of(prompts[d.prompt_id]) for d in decisions}) == len(decisions)


def test_by_default_edits_made_at_once_are_put_together(home: Path):
    _, decisions, prompts, requests = run(home, editing(), options={"candidates": 6, "iterations": 2})
    second = [d for d in decisions if d.iteration == 2]
    assert len(requests) == 6
    assert len(second) >= 5
    assert {d.verdict for d in second} & {"screened out", "inconclusive", "second best"}
    assert all(prompts[d.prompt_id].parents for d in second)


def test_where_edits_cannot_be_put_together_none_is_screened_on_what_its_editor_saw(home: Path):
    options = {"candidates": 1, "iterations": 2, "selection": "all"}  # one edit is no bundle
    result, decisions, prompts, _ = run(home, editing(), options=options)
    screened = [d for d in decisions if d.iteration == 2 and d.stats.get("screen", {}).get("n")]
    assert screened
    measured = asyncio.run(_measured(home, result.run_id))
    for d in screened:
        # A race comes after the screen, and to what was shown at its end only.
        assert d.verdict != "screened out" or not measured[d.prompt_id] & set(prompts[d.prompt_id].content["shown"])
        assert d.stats.get("reused", 0) == 0


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"selection": "none"}, 0),
        ({"shown": 2}, 2),
        ({"selection": "newest", "shown": 3}, 3),
        ({"selection": "all"}, 9),
    ],
)
def test_which_failures_are_shown(options: dict[str, Any], shown: int, home: Path):
    _, _, _, requests = run(home, editing(), options={"candidates": 2, "iterations": 2, **options})
    text = requests[0]["messages"][0]["content"]
    assert text.count("\nexpected: ") == shown if shown < 9 else text.count("\nexpected: ") > 8


@pytest.mark.parametrize(("granularity", "unit"), [("word", "word"), ("phrase", "phrase"), ("whole", "text")])
def test_what_is_edited(granularity: str, unit: str, home: Path):
    options = {"candidates": 2, "iterations": 2, "granularity": granularity}
    _, _, _, requests = run(home, editing(), options=options)
    assert all(f"The {unit} to change" in r["messages"][0]["content"] for r in requests)


@pytest.mark.parametrize("says", [lambda _: "no JSON", lambda _: json.dumps({"operation": "add", "text": " "})])
def test_a_reply_of_no_use_is_made_up_for_by_the_playbook(says: Any, home: Path):
    result, decisions, _, _ = run(home, says, options={"iterations": 2, "candidates": 4})
    assert result.candidates > 2
    assert any(d.iteration == 2 for d in decisions)


@pytest.mark.parametrize("preset", ["default", "faithful"])
async def test_cancelled_in_the_middle_it_resumes_to_the_same_result(preset: str, home: Path):
    given = {"strategy": "dual-phase", "preset": preset, "budget": "target_calls=1200", "seed": 5}
    undisturbed = await aoptimize(make_task(), target=answer, **given)
    task = make_task()

    asked, halfway = 0, asyncio.Event()

    async def slow(messages: list[dict[str, str]], example) -> str:
        nonlocal asked
        asked += 1
        if asked == CUT_AT:
            halfway.set()
        await asyncio.sleep(0.002)
        return answer(messages, example)

    slow.__name__ = "answer"
    running = asyncio.create_task(aoptimize(task, target=slow, run="cut", **given))
    await asyncio.wait_for(halfway.wait(), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    resumed = await aresume("cut", task=task, target=slow)
    assert resumed.best == undisturbed.best
    assert resumed.spend["spent"]["target_calls"] == undisturbed.spend["spent"]["target_calls"]


def test_sections_are_named_and_reach_the_meta_instruction(home: Path):
    asked: list[str] = []

    def says(text: str) -> dict[str, str]:
        asked.append(text)
        return {"prompt": START}

    agent = ScriptedAgent({"MetaInstruction": says, "SentenceEdit": {"operation": "add", "text": ""}})
    run(home, agent, options={"sections": "task,output", "iterations": 1, "pairs": 2})
    assert "- Task type:" in asked[0]
    assert "- Output:" in asked[0]
    assert "- Tips:" not in asked[0]
    assert DualPhaseOptions(sections="tips").meta_start().sections == ("tips",)


def test_the_command_line_can_leave_failure_cases_out():
    assert DualPhaseOptions(**option_values(["selection=none"])).selection == "none"


@pytest.mark.parametrize(
    "options", [{"sections": "tisp"}, {"h_f": 2}, {"granularity": "letter"}, {"selection": "oldest"}, {"start": "won"}]
)
def test_wrong_values_are_refused_by_name(options: dict[str, Any], home: Path):
    with pytest.raises(UsageError, match=f"option '{next(iter(options))}'"):
        optimize(make_task(), strategy="dual-phase", target=answer, options=options)
    assert not home.exists()
