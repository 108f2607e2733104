"""The agent's provider is down in the middle of `sage`, the target is not: the run waits, and comes to the same end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sage_spo.errors import ProviderDown
from sage_spo.jobs.api import aoptimize, aresume
from sage_spo.models.client import QuotaExhausted
from sage_spo.tests.fakes.agent import ScriptedAgent, edit, hypothesis
from sage_spo.tests.fakes.causes import FIX, PHONE, failing_for, tickets
from sage_spo.tests.fakes.faults import Fault, Faults
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.fakes.story import own_home
from sage_spo.tests.integration.test_faults_and_resume import story
from sage_spo.traces.result import Result

PREDICATE = 'records["channel"].eq("phone")'
TASK, TARGET = tickets((72, 24, 48)), failing_for(PHONE)


def agent() -> ScriptedAgent:
    """Looks by code, supposes the true cause and mends it."""

    def diagnosis(text: str) -> dict[str, Any]:
        supposed = {"hypotheses": [hypothesis(PREDICATE, FIX, "Phone tickets fail.")]}
        return supposed if "what it printed" in text else {"code": "print(len(records))"}

    def proposal(text: str) -> dict[str, Any]:
        return edit(FIX) if PREDICATE in text.partition("Direction:")[2] else {"edits": []}

    return ScriptedAgent({"Diagnosis": diagnosis, "Proposal": proposal})


async def played(server: FakeServer, **more: Any) -> Result:
    return await aoptimize(
        TASK,
        strategy="sage",
        target=TARGET,
        agent="openai:fake",
        base_url=server.url,
        budget={"target_calls": 700, "agent_calls": 60},
        options={"iterations": 1, "opinions": 2, "share": 1.0},
        **more,
    )


def told(result: Result) -> dict[str, Any]:
    return {**story(result), "agent_calls": result.spend["spent"]["agent_calls"]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with own_home(tmp_path_factory), FakeServer(agent()) as server:
        result = asyncio.run(played(server))
        asked = len(server.log)
    assert FIX in result.best.components["system"]
    return told(result) | {"asked": asked}


@pytest.mark.parametrize(("after", "fault"), [(3, None), (6, "500")])
async def test_it_waits_for_the_agent_and_ends_as_undisturbed(
    undisturbed: dict[str, Any], after: int, fault: Fault | None
) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    with FakeServer(agent()) as server:
        server.down_at, server.down_for, server.down_as = after, 2.5, fault
        result = await played(server, listener=lambda event, fields: heard.append((event, fields)))
    assert told(result) | {"asked": undisturbed["asked"]} == undisturbed
    assert result.spend["by_role"]["agent"]["missing"] == 0
    outages = [(event, fields["name"].partition("@")[0]) for event, fields in heard if event.startswith("outage")]
    assert outages == [("outage", "openai:fake"), ("outage_over", "openai:fake")]


async def test_with_too_little_patience_it_stops_and_resumes_to_the_same_end(undisturbed: dict[str, Any]) -> None:
    with FakeServer(agent()) as server:
        server.down_at, server.down_for = 4, 600.0
        with pytest.raises(ProviderDown, match=r"has not answered for .+connection refused") as caught:
            await played(server, run="dark", patience=0.02)
        assert caught.value.exit_code == 75
        before = len(server.log)
        server.open()
        result = await aresume("dark", task=TASK, target=TARGET)
        again = {logged.digest for logged in server.log[before:]}
    assert told(result) | {"asked": undisturbed["asked"]} == undisturbed
    assert not {logged.digest for logged in server.log[:4]} & again


class FirstPoorThenSilent(Faults):
    """The first request is told that no credit is left, all others wait for ever."""

    def hits(self, request_digest: str, attempt: int, number: int) -> Fault | None:
        return "hang" if number else "quota"


async def test_without_credit_it_ends_at_once_and_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()
    with FakeServer(agent(), FirstPoorThenSilent(), latency=0.2) as server:
        with pytest.raises(QuotaExhausted, match="no credit left"):
            await asyncio.wait_for(played(server, run="poor"), 30)
        assert asyncio.all_tasks() == before
        assert len(server.log) == 2
