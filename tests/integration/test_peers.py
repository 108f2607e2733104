"""A peer for real: installed from the package index, run from its own package, through our target and ledger."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sage_spo.jobs.cli import main
from sage_spo.seeding import digest
from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import running
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.server import FakeServer

Captured = pytest.CaptureFixture[str]
UNREACHABLE = re.compile(r"cannot be installed: .*(dns|connect|fetch|network|timed? ?out|resol)", re.IGNORECASE)
REVIEWS = load_task("reviews")
RULE = rule_for(
    [{"input": e.input, "expected": e.expected} for e in REVIEWS.everything], base=0.4, gains={"one word": 0.35}
)


def answer(request: dict[str, Any]) -> str:
    """A target that one phrase makes better, and an agent model that sometimes finds it; by the request alone."""
    asked = str(request["messages"][-1]["content"])
    if asked in RULE.truth:
        return RULE(request)
    draw = digest(asked)
    phrase = "Answer with one word." if int(draw[:4], 16) % 2 else "Think well."
    return f"```\nSay whether the review is positive or negative. {phrase} ({draw[:4]})\n```"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(answer) as running_server:
        yield running_server


def command(server: FakeServer, *more: str, budget: str = "target_calls=260,agent_calls=40") -> list[str]:
    models = ["--target", "openai:fake", "--agent", "openai:agent", "--base-url", server.url]
    return ["peer", "gepa", "reviews", *models, "--budget", budget, "--json", *more]


def result(arguments: list[str], capsys: Captured) -> dict[str, Any]:
    """The JSON document that the command prints; skipped where the package index cannot be reached."""
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    if code == 1 and UNREACHABLE.search(said.err):
        pytest.skip(f"the package index cannot be reached: {said.err.splitlines()[-1]}")
    assert code == 0, said.err
    return json.loads(said.out)


def told(found: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on interruptions."""
    calls = {name: found["spend"]["spent"][name] for name in ("target_calls", "agent_calls")}
    kept = ("best", "seed_score", "best_score", "candidates", "stop")
    return {name: found[name] for name in kept} | calls


def test_gepa_finds_a_better_prompt_within_the_budget_and_is_stored(
    server: FakeServer, home: Path, capsys: Captured
) -> None:
    found = result(command(server, "--run", "mine"), capsys)
    assert found["strategy"] == "peer:gepa"
    assert found["versions"] == {"gepa": "0.1.4"}
    assert "one word" in found["best"]["components"]["system"]
    assert found["best_score"] > found["seed_score"]
    assert found["stop"].startswith("the budget is spent")
    # All that was asked went through the ledger, and nothing else was asked.
    spent = found["spend"]["spent"]
    assert spent["target_calls"] <= 260
    assert len(server.chats) == spent["target_calls"] + spent["agent_calls"]
    # The test split was never sent.
    asked = {str(chat["messages"][-1]["content"]) for chat in server.chats}
    assert not asked & {e.input for e in REVIEWS.test}
    # The same command shows the stored result; `show` and `runs` know it.
    before = len(server.log)
    assert result(command(server, "--run", "mine"), capsys) == found
    assert len(server.log) == before
    assert main(["show", "mine", "--prompt"]) == 0
    assert "one word" in capsys.readouterr().out
    assert main(["show", "mine"]) == 0
    assert "GEPA of gepa 0.1.4" in capsys.readouterr().out
    assert main(["optimize", "reviews", "--run", "mine"]) == 2
    assert "peer:gepa" in capsys.readouterr().err


def test_a_run_that_was_killed_begins_again_pays_nothing_twice_and_ends_the_same(
    server: FakeServer, capsys: Captured
) -> None:
    undisturbed = result(command(server, "--run", "one", "--cache-scope", "a"), capsys)
    asked = len(server.chats)
    with running(*command(server, "--run", "two", "--cache-scope", "b")) as process:
        server.wait_for_requests(asked + 150, 60)
        process.kill()
        process.wait()
    time.sleep(0.5)  # the peer dies with it
    resumed = result(command(server, "--run", "two", "--cache-scope", "b"), capsys)
    assert told(resumed) == told(undisturbed)
    # What was in flight when it was killed may be asked twice, and nothing else.
    assert len(server.chats) - asked <= asked + 40


def test_a_budget_that_pays_for_nothing_and_one_without_calls_are_refused(server: FakeServer, capsys: Captured) -> None:
    assert main(command(server, budget="target_calls=80")) == 3
    assert "target_calls=80 is too small" in capsys.readouterr().err
    assert main(command(server, budget="agent_calls=80")) == 2
    assert "name it, as in target_calls=1200" in capsys.readouterr().err
    assert main(["peer", "gpea", "reviews", "--budget", "target_calls=500"]) == 2
    assert "Did you mean 'gepa'?" in capsys.readouterr().err
    assert not server.log
