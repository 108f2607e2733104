"""A whole run of `sage` before a scripted agent model, and everything that it asked, decided and left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from sage_spo.jobs.api import optimize
from sage_spo.sandbox.inside.plan import Limits
from sage_spo.settings import settings as installation
from sage_spo.tasks.task import Task
from sage_spo.traces.result import Result
from sage_spo.traces.rows import CodeRun, Decision, Hypothesis
from sage_spo.traces.store import RunStore

from .agent import Said, ScriptedAgent, form_of, text_of
from .answers import Answer
from .causes import PHONE, Target, failing_for, tickets
from .server import FakeServer

SIZES = (72, 24, 48)


@dataclass(frozen=True)
class Story:
    """What a run said, asked, and left behind."""

    task: Task
    target: Target
    result: Result
    requests: list[dict[str, Any]]
    hypotheses: list[Hypothesis]
    code_runs: list[CodeRun]
    decisions: list[Decision]
    events: list[dict[str, Any]]

    def texts(self, *forms: str) -> list[str]:
        """What the requests for these forms said (all of them, where none is named)."""
        return [text_of(r) for r in self.requests if not forms or form_of(r) in forms]

    def of(self, fix: str) -> Hypothesis:
        """The hypothesis with this fix."""
        [found] = [h for h in self.hypotheses if h.fix == fix]
        return found

    def event(self, name: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["event"] == name]


def played(
    says: Mapping[str, Said] | Answer,
    task: Task | None = None,
    target: Target | None = None,
    calls: int = 700,
    **more: Any,
) -> Story:
    """One iteration (unless told otherwise) of `sage` with an agent that says this, or that answers so."""
    task, target = task or tickets(SIZES), target or failing_for(PHONE)
    options = {"iterations": 1, "opinions": 1, "share": 1.0, **more.pop("options", {})}
    with FakeServer(says if callable(says) else ScriptedAgent(says)) as server:
        result = optimize(
            task,
            strategy="sage",
            target=target,
            agent="openai:fake",
            base_url=server.url,
            budget={"target_calls": calls, "agent_calls": 60},
            options=options,
            **{"certify": False, **more},
        )
        requests = server.chats
    return asyncio.run(_story(task, target, result, requests))


async def _story(task: Task, target: Target, result: Result, requests: list[dict[str, Any]]) -> Story:
    home = installation().home
    async with await RunStore.open(home) as store:
        run = await store.run(result.run_id)
        assert run.status == "finished"
        lines = (home / "runs" / run.id / "events.jsonl").read_text().splitlines()
        kept = [await store.hypotheses(run.id), await store.code_runs(run.id), await store.decisions(run.id)]
    return Story(task, target, result, requests, *kept, [json.loads(line) for line in lines])  # type: ignore[arg-type]


@contextmanager
def own_home(factory: pytest.TempPathFactory, **limits: float) -> Iterator[None]:
    """A SAGE_HOME for a run that several tests look at; with a sandbox of these limits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGE_HOME", str(factory.mktemp("home")))
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
            patch.delenv(name, raising=False)
        if limits:
            patch.setattr("sage_spo.sandbox.local.Limits", partial(Limits, **limits))
        yield
