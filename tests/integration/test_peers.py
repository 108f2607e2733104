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
from sage_spo.tasks.halves import halves_of_test
from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import running
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.one_run import committed

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


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("peers")


@pytest.fixture(autouse=True)
def installed_once(home: Path, environments: Path) -> None:
    """The tests share the peers' environments, so that one of them installs gepa, and the others find it."""
    home.mkdir()
    (home / "peers").symlink_to(environments)


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
    server: FakeServer, home: Path, capsys: Captured
) -> None:
    undisturbed = result(command(server, "--run", "one", "--cache-scope", "a"), capsys)
    needed = len(server.chats)
    with running(*command(server, "--run", "two", "--cache-scope", "b")) as process:
        server.wait_for_requests(needed + 150, 60)
        process.kill()
        _, said = process.communicate()
    # A comparison ends what says nothing: every prompt is a line.
    assert "prompt 0: Classify the review" in said
    assert "prompt 1: " in said
    time.sleep(0.5)  # the peer dies with it
    asked, kept = len(server.chats) - needed, committed(home, "two")
    resumed = result(command(server, "--run", "two", "--cache-scope", "b"), capsys)
    assert told(resumed) == told(undisturbed)
    assert len(server.chats) - needed == asked + needed - kept, "what was committed was asked again"


def test_beside_a_strategy_it_is_one_more_row_of_a_comparison(
    server: FakeServer, home: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-this-must-stay-with-us"
    server.key = key
    monkeypatch.setenv("OPENAI_API_KEY", key)
    budget = {"target_calls": 260, "agent_calls": 20}
    models = ["--target", "openai:fake", "--agent", "openai:agent", "--base-url", server.url]
    rows = ["--strategies", "random", "--peers", "gepa", "--seeds", "1", "--run", "both"]
    arguments = ["compare", "reviews", *rows, *models, "--budget", "target_calls=260,agent_calls=20", "--yes", "--json"]
    found = result(arguments, capsys)
    assert [row["row"] for row in found["rows"]] == ["random", "peer:gepa"]
    assert {row["runs"][0]["state"] for row in found["rows"]} == {"done"}
    assert found["winner"]
    assert len(found["pairs"]) == 1
    spent = [row["runs"][0]["spent"] for row in found["rows"]]
    assert all(one[unit] <= most for one in spent for unit, most in budget.items())
    # All that was asked is in a ledger, and the test split was asked when nobody searched any more.
    measured = found["spend"]["spent"]["target_calls"]
    assert len(server.chats) == sum(sum(one[unit] for unit in budget) for one in spent) + measured
    test = {e.input for half in halves_of_test(REVIEWS) for e in half}
    of_test = [str(chat["messages"][-1]["content"]) in test for chat in server.chats]
    assert of_test == sorted(of_test)
    assert sum(of_test) == measured
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in kept if key.encode() in path.read_bytes()]
    # The same command shows it again.
    assert result(arguments, capsys) == found
    assert len(server.chats) == len(of_test)


def test_a_budget_that_pays_for_nothing_and_one_without_calls_are_refused(server: FakeServer, capsys: Captured) -> None:
    assert main(command(server, budget="target_calls=80")) == 3
    assert "target_calls=80 is too small" in capsys.readouterr().err
    assert main(command(server, budget="agent_calls=80")) == 2
    assert "name it, as in target_calls=1200" in capsys.readouterr().err
    assert main(["peer", "gpea", "reviews", "--budget", "target_calls=500"]) == 2
    assert "Did you mean 'gepa'?" in capsys.readouterr().err
    assert not server.log
