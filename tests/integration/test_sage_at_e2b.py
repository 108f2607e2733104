"""`sage` as a whole with its code at e2b: what it finds, and what that cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sage_spo.errors import SandboxError
from sage_spo.graphs import diagnosis
from sage_spo.graphs.held_run import hand_in
from sage_spo.graphs.run_settings import RunSettings
from sage_spo.graphs.session import open_session, sandbox_of
from sage_spo.jobs.api import optimize
from sage_spo.jobs.cli import main
from sage_spo.jobs.result_screen import cost_words
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.agent import ScriptedAgent, edit, hypothesis
from sage_spo.tests.fakes.causes import FIX, PHONE, failing_for, tickets
from sage_spo.tests.fakes.e2b_server import KEY, E2BServer, Trouble
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.result import Result
from sage_spo.traces.rows import CodeRun
from sage_spo.traces.store import RunStore

PREDICATE = 'records["channel"].eq("phone")'
GOOD = hypothesis(PREDICATE, FIX, "Phone tickets fail.")
LOOK = "print(len(records))\nemit('phone', {'phone': {'n': 1, 'failures': 1}})"


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[E2BServer]:
    """e2b, with its key set."""
    with E2BServer() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def played(sandbox: str, **more: Any) -> Result:
    """One iteration of `sage` with an agent that writes code and supposes the true cause."""

    def diagnosis(text: str) -> dict[str, Any]:
        return {"hypotheses": [GOOD]} if "what it printed" in text else {"code": LOOK}

    def proposal(text: str) -> dict[str, Any]:
        return edit(FIX) if PREDICATE in text.partition("Direction:")[2] else {"edits": []}

    with FakeServer(ScriptedAgent({"Diagnosis": diagnosis, "Proposal": proposal})) as agent:
        return optimize(
            tickets((72, 24, 48)),
            strategy="sage",
            target=failing_for(PHONE),
            base_url=agent.url,
            options={"iterations": 1, "opinions": 1, "share": 1.0},
            certify=False,
            sandbox=sandbox,
            run="there",
            **{"agent": "openai:fake", "budget": {"target_calls": 700, "agent_calls": 60}, **more},
        )


def code_runs(result: Result) -> list[CodeRun]:
    async def read() -> list[CodeRun]:
        async with await RunStore.open(installation().home) as store:
            return await store.code_runs(result.run_id)

    return asyncio.run(read())


def test_it_finds_the_cause_at_e2b_and_the_report_says_what_that_cost(
    server: E2BServer, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = played("auto")  # the key is set, and an agent writes code
    assert FIX in result.best.components["system"]
    runs = code_runs(result)
    assert len(runs) == len(server.machines) >= 3
    assert server.alive == []
    assert all(run.usd > 0 for run in runs)
    spend = result.spend
    assert spend["by_role"]["sandbox"]["calls"] == len(runs)
    assert spend["by_role"]["sandbox"]["usd"] == pytest.approx(sum(run.usd for run in runs))
    assert spend["spent"]["usd"] == pytest.approx(sum(run.usd for run in runs))
    assert spend["spent"]["agent_calls"] == spend["by_role"]["agent"]["calls"]
    assert f"{len(runs)} paid sandbox runs ($0.00" in cost_words(spend, "python:x")
    capsys.readouterr()
    assert main(["show", "there"]) == 0
    assert "paid sandbox runs" in " ".join(capsys.readouterr().out.split())
    for path in home.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def test_a_session_that_takes_the_run_up_knows_what_code_has_cost(server: E2BServer) -> None:
    result = played("e2b")
    before = code_runs(result)

    async def taken_up() -> None:
        hand_in(result.run_id, task=tickets((72, 24, 48)), target=failing_for(PHONE))
        session = await open_session(result.run_id)
        try:
            spend = session.ledger.report()["by_role"]["sandbox"]
            assert spend["usd"] == pytest.approx(sum(run.usd for run in before))
            # A step that is run again pays again, and its row keeps both.
            first = before[0]
            place = diagnosis.workspace(session, result.best.id, [], first.iteration)
            place.keep(replace(first, usd=1.0))
        finally:
            await session.aclose()

    asyncio.run(taken_up())
    assert code_runs(result)[0].usd == pytest.approx(1.0 + before[0].usd)


def test_without_room_for_code_the_search_goes_on_with_what_it_has(
    server: E2BServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, target = tmp_path / "prices.yaml", failing_for(PHONE)
    free.write_text(json.dumps({"prices": {f"python:{target.__module__}.{target.__qualname__}": [0, 0]}}))
    monkeypatch.setenv("SAGE_PRICES", str(free))
    result = played("e2b", budget={"target_calls": 700, "agent_calls": 60, "usd": 0.0005}, agent=None)
    assert server.creations == 0
    assert result.verdict
    assert {str(run.error).partition(":")[0] for run in code_runs(result)} == {"not run, the budget has no room for it"}


def test_a_service_that_refuses_ends_the_run_and_says_why(server: E2BServer) -> None:
    server.trouble = Trouble(create=(403,))
    with pytest.raises(SandboxError, match="refuses the key"):
        played("e2b")


def test_our_own_code_stays_on_this_machine_whatever_keys_there_are(server: E2BServer) -> None:
    for agent, sandbox, name in ((None, "auto", "local"), ("openai:x", "auto", "e2b"), (None, "e2b", "e2b")):
        made = sandbox_of(RunSettings(task="reviews", strategy="sage", agent=agent, sandbox=sandbox))
        assert made is not None
        assert made.name == name
