"""The versions of a task's texts are made once in a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from sage_spo import RunInterrupted, StoreError, adecide
from sage_spo.jobs.decide.result import DecideResult
from sage_spo.tests.fakes.acting import ScriptedActor
from sage_spo.tests.fakes.agent import form_of
from sage_spo.tests.fakes.server import FakeServer


async def decided(url: str, **more: Any) -> DecideResult:
    options = {"arms": 4, "hidden": 8, "iterations": 10}
    models = {"agent": "openai:actor", "base_url": url, "embeddings": "openai:vectors"}
    return await adecide("bandits:buttons-hard", "expo", rounds=4, run="one", options=options, **models, **more)


class Mute(ScriptedActor):
    """Rephrases nothing of use until it is told to."""

    mute = True

    def __call__(self, request: Any) -> str:
        lost = type(self).mute and form_of(request) == "Rephrasing" and "version 2 of" in str(request["messages"])
        return "{" if lost else super().__call__(request)


async def stopped_after_a_round(url: str) -> None:
    control = RunControl()

    def listen(event: str, fields: dict[str, Any]) -> None:
        if event == "round":
            control.request_drain("asked to stop")

    with pytest.raises(RunInterrupted):
        await decided(url, listener=listen, control=control)


async def test_what_could_not_be_rephrased_is_not_asked_again_when_the_run_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeServer(Mute()) as server:
        await stopped_after_a_round(server.url)
        monkeypatch.setattr(Mute, "mute", False)
        asked = sum(form_of(body) == "Rephrasing" for body in server.chats)
        result = await decided(server.url)
        assert sum(form_of(body) == "Rephrasing" for body in server.chats) == asked
    assert result.exit_code == 0


def damage(home: Path) -> None:
    [path] = home.glob("runs/*/versions.json")
    path.write_text("[1", encoding="utf-8")


async def test_damaged_ones_are_one_line(home: Path) -> None:
    with FakeServer(ScriptedActor()) as server:
        await stopped_after_a_round(server.url)
        damage(home)
        with pytest.raises(StoreError, match="the run's meta-prompts are gone or damaged"):
            await decided(server.url)
