"""A run that cannot go on says what it has found, claims nothing about it, and how to go on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import ProviderDown, QuotaExhausted
from sage_spo.jobs.api import optimize, resume
from sage_spo.jobs.cli import main
from sage_spo.jobs.prompt_file import read_prompt
from sage_spo.tasks.load import load_task
from sage_spo.tests.fakes.faults import Fault
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.integration.test_faults_and_resume import BUDGET, rule, story
from sage_spo.traces.result import Result

Captured = pytest.CaptureFixture[str]
FOUND = 400
"""Requests after which the first candidate has been accepted, and the search goes on."""
CERTIFIES = 600
"""Requests after which the proof is under way."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(rule()) as running:
        running.down_for = 600.0
        yield running


def call(server: FakeServer, *more: str) -> list[str]:
    target = ["--target", "openai:fake", "--base-url", server.url, "--patience", "0.02"]
    return ["optimize", "reviews", "--strategy", "random", *target, "--budget", BUDGET, "--run", "mine", *more]


@pytest.mark.parametrize(
    ("after", "fault", "code"),
    [
        (FOUND, "503", 75),
        (CERTIFIES, "quota", 1),
        pytest.param(FOUND, "quota", 1, marks=pytest.mark.full),
        pytest.param(CERTIFIES, "503", 75, marks=pytest.mark.full),
    ],
)
def test_it_names_the_best_prompt_so_far_and_how_to_go_on(
    server: FakeServer, capsys: Captured, tmp_path: Path, after: int, fault: Fault, code: int
) -> None:
    server.down_at, server.down_as = after, fault
    assert main(call(server)) == code
    said = capsys.readouterr()
    assert said.out == ""
    best, error = said.err.splitlines()[-2:]
    assert re.fullmatch(
        r'best so far: ".+" \(not certified\): the search puts it at 0\.\d\d, the seed at 0\.\d\d\. '
        "See it: sage-spo show mine --prompt",
        best,
    )
    assert "has no credit left: top it up" in error or "has not answered for" in error
    assert error.endswith("sage-spo resume mine")

    assert main(["show", "mine"]) == 0
    page = capsys.readouterr().out
    assert "not certified" in page
    assert "sage-spo resume mine" in page
    assert main(["show", "mine", "--prompt"]) == 0
    prompt = capsys.readouterr()
    (tmp_path / "prompt.md").write_text(prompt.out)
    components = read_prompt(tmp_path / "prompt.md").components
    assert components != load_task("reviews").seed_prompt.components
    assert "best prompt so far, not certified" in prompt.err
    assert main(["show", "mine", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["result"] is None
    assert shown["best_so_far"]["prompt"]["components"] == components


def test_as_json_it_is_one_document_that_claims_nothing(server: FakeServer, capsys: Captured) -> None:
    server.down_at, server.down_as = FOUND, "quota"
    assert main(call(server, "--json")) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 1
    assert document["exit_code"] == 1
    assert document["resume"] == "sage-spo resume mine"
    assert "top it up" in document["error"]
    best = document["best_so_far"]
    assert best["certified"] is False
    assert best["estimate"] > best["seed_estimate"]
    assert best["n"] > 24
    assert not {"verdict", "gain", "p", "result"} & set(document)
    server.down_at, server.down_for, server._down_until = None, 0.0, 0.0
    assert main(["resume", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "improved"
    assert main(["show", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best_so_far"] is None


def test_where_nothing_was_found_it_says_nothing_of_a_prompt(server: FakeServer, capsys: Captured) -> None:
    server.down_at, server.down_as = 30, "quota"
    assert main(call(server, "--json")) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["best_so_far"] is None
    assert "best so far" not in said.err
    assert main(["show", "mine", "--prompt"]) == 2
    assert "no result yet (failed), and no better prompt" in capsys.readouterr().err


@pytest.mark.parametrize(("fault", "kind"), [("quota", QuotaExhausted), ("503", ProviderDown)])
def test_in_python_the_error_holds_it(server: FakeServer, fault: Fault, kind: type[ProviderDown]) -> None:
    given: dict[str, Any] = {"target": "openai:fake", "base_url": server.url, "budget": BUDGET, "strategy": "random"}
    server.down_at, server.down_as = FOUND, fault
    with pytest.raises(kind) as caught:
        optimize("reviews", **given, run="mine", patience=0.02)
    best = caught.value.best_so_far
    assert "nswer with" in best.prompt.components["system"]
    assert best.estimate > best.seed_estimate
    assert not best.certified
    assert any("not certified" in note for note in caught.value.__notes__)
    assert 'Go on with: sage_spo.resume("mine")' in caught.value.__notes__
    server._down_until = 0.0
    result = resume("mine")
    assert isinstance(result, Result)
    assert story(result)["verdict"] == "improved"
