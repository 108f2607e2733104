"""Landscapes as people call them: on a real search, killed with -9, with a budget that ends, shown, drawn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sage_spo import landscape
from sage_spo.errors import ModelError
from sage_spo.jobs.cli import main
from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import started
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.searches import edited, store_search
from sage_spo.tests.fakes.server import FakeServer

Captured = pytest.CaptureFixture[str]
CALLS = 20 * 48
IN_FLIGHT = 60
"""Calls that a kill may lose at most, of eight at a time: under way, or answered in the last 50 ms."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A model that is right more often the more it is told; prompts of like words have like embeddings."""
    known = [{"input": e.input, "expected": e.expected} for e in load_task("reviews").everything]
    with FakeServer(rule_for(known, base=0.4, gains={"nswer with": 0.3, "Note 3": 0.1})) as running:
        yield running


def stored(server: FakeServer, name: str = "mine", count: int = 19) -> None:
    """A search that has met so many prompts beside its seed."""
    prompts = edited(load_task("reviews").seed_prompt, count)
    asyncio.run(store_search(name, prompts, base_url=server.url, best=prompts[1].id))


def document(arguments: list[str], capsys: Captured, code: int = 0) -> dict[str, Any]:
    """The JSON document of a call that ends with that exit code."""
    capsys.readouterr()
    ended = main([*arguments, "--json"])
    said = capsys.readouterr()
    assert ended == code, said.err
    return json.loads(said.out)


def story(outcome: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on kills and budgets that grow."""
    return {name: value for name, value in outcome.items() if name not in ("run_id", "alias", "spend", "command")}


def call(*more: str) -> list[str]:
    return ["landscape", "mine", "--embeddings", "openai:fake", *more]


def test_the_embedded_model_says_how_far_apart_prompts_are_where_nothing_is_named(
    server: FakeServer, capsys: Captured
) -> None:
    stored(server, count=11)
    found = document(["landscape", "mine"], capsys)
    assert (found["embeddings"], len(found["prompts"]), len(server.log)) == ("local", 12, 12 * 48)
    assert 0 < found["typical"] < 2


def test_of_real_searches_with_charts(server: FakeServer, capsys: Captured, tmp_path: Path) -> None:
    model = ["--target", "openai:fake", "--base-url", server.url]
    for number in ("0", "1"):
        search = ["optimize", "reviews", "--strategy", "random", "--budget", "target_calls=300", "--no-certify"]
        assert main([*search, *model, "--seed", number, "--run", f"search{number}"]) == 0
    asked = len(server.chats)
    runs = ["landscape", "search0", "search1", "--embeddings", "openai:fake"]
    plan = document([*runs, "--dry-run"], capsys)
    assert plan["prompts"] == plan["met"] >= 12
    assert plan["calls"] > plan["answered"] > 0
    assert len(server.chats) == asked, "a dry run asks nothing"
    chart = tmp_path / "charts" / "landscape.html"
    found = document([*runs, "--plot", str(chart)], capsys)
    assert len(server.chats) - asked == plan["calls"] - plan["answered"], "what the searches had asked is free"
    assert found["schema_version"] == 1
    assert found["embeddings"] == "openai:fake"
    assert found["verdict"] in ("rugged", "smooth", "no structure found")
    assert sum(one["pairs"] for one in found["bins"]) == plan["prompts"] * (plan["prompts"] - 1) / 2
    assert found["strategies"] == ["random"]
    scores = {prompt["id"]: prompt["score"] for prompt in found["prompts"]}
    assert max(scores.values()) > scores[load_task("reviews").seed_prompt.id]
    assert found["prompts"][0]["generation"] == 0
    text = chart.read_text()
    assert "Plotly.newPlot" in text
    assert "<script src" not in text, "it needs no network"


def test_killed_it_goes_on_and_pays_nothing_twice(
    server: FakeServer, capsys: Captured, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("SAGE_HOME", str(home / "undisturbed"))
    stored(server)
    undisturbed = document(call(), capsys)
    assert len(server.chats) == CALLS
    assert document(call(), capsys) == undisturbed, "a finished landscape is shown again"
    assert len(server.chats) == CALLS
    assert main(["show", undisturbed["alias"]]) == 0
    assert undisturbed["sentence"][:20] in capsys.readouterr().out
    assert main(["runs"]) == 0
    assert undisturbed["verdict"][:8] in capsys.readouterr().out
    assert main(["resume", undisturbed["alias"]]) == 2
    assert "sage-spo landscape mine" in capsys.readouterr().err

    monkeypatch.setenv("SAGE_HOME", str(home))
    server.log.clear()
    stored(server)
    server.latency = 0.02
    process = started(*call("--json", "--concurrency", "8"))
    server.wait_for_requests(CALLS // 2, 60)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    server.latency = 0.0
    assert story(document(call(), capsys)) == story(undisturbed)
    assert len(server.chats) <= CALLS + IN_FLIGHT, len(server.chats)


def test_a_budget_that_ends_measures_fewer_prompts_and_goes_on_when_it_grows(
    server: FakeServer, capsys: Captured
) -> None:
    stored(server)
    few = document(call("--budget", f"target_calls={14 * 48 + 5}"), capsys)
    assert (len(few["prompts"]), few["left_out"], len(server.chats)) == (14, 6, 14 * 48)
    assert "reached 14 of 20 prompts" in few["notes"][0]
    assert main(call("--budget", "target_calls=600")) == 2, "a budget may only grow"
    whole = document(call("--budget", "target_calls=2000"), capsys)
    assert (len(whole["prompts"]), len(server.chats)) == (20, CALLS)
    capsys.readouterr()
    assert main(call("--run", "other", "--budget", "target_calls=575")) == 3
    assert "take 576 calls" in capsys.readouterr().err
    asyncio.run(store_search("fresh", edited(load_task("reviews").seed_prompt, 19, tag="x"), base_url=server.url))
    assert main(["landscape", "fresh", "--embeddings", "openai:fake", "--budget", "tokens=2000"]) == 3
    assert "it takes at least 12" in capsys.readouterr().err


def test_no_embeddings_no_call(server: FakeServer, capsys: Captured) -> None:
    stored(server)
    server.key = "another"
    assert main(call()) == 2
    said = capsys.readouterr().err
    assert "embeddings from openai:fake cannot be had" in said
    assert "--embeddings" in said
    assert not server.chats
    with pytest.raises(ModelError, match="cannot be had"):
        landscape("mine", embeddings="openai:fake")
