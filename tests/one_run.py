"""One run of any strategy against the scripted server, and what it leaves behind; also in a process of its own."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from sage_spo.jobs.api import optimize
from sage_spo.traces.result import Result
from sage_spo.traces.store import RunStore

from .fakes.answers import rule_for
from .fakes.any_agent import inventive, schema_of
from .fakes.landscape import make_task

BUDGET = {"target_calls": 420, "agent_calls": 30}
TASK = make_task((60, 24, 48))
GAINS = {"Think of the spectrum": 0.35, "Answer with": 0.1, "Look closely": -0.2}
"""What phrases of a prompt are worth."""


def answering(agent: Any) -> Any:
    """Answers of the target, which is right more often the better its prompt is, and of this agent."""
    rows = [{"input": e.input, "expected": e.label} for e in TASK.everything]
    target = rule_for(rows, base=0.45, gains=GAINS)
    return lambda request: target(request) if schema_of(request) is None else agent(request)


GOOD = answering(inventive(TASK.seed_prompt.system, tuple(GAINS)))


def run_one(strategy: str, url: str, **more: Any) -> Result:
    """The run `one` of that strategy, target and agent at the server."""
    models = {"target": "openai:fake", "agent": "openai:fake", "base_url": url}
    return optimize(TASK, strategy=strategy, budget=BUDGET, run="one", **models, **more)


def run_in_home(home: str, strategy: str, url: str, more: dict[str, Any] | None = None) -> None:
    """The same, for a process that has nothing else to do."""
    os.environ["SAGE_HOME"] = home
    run_one(strategy, url, **(more or {}))


def left(home: Path) -> dict[str, Any]:
    """What the run left in the store, without times and ids; of its cost the logical calls."""
    return asyncio.run(_left(home))


async def _left(home: Path) -> dict[str, Any]:
    async with await RunStore.open(home) as store:
        run = await store.run("one")
        result = Result.model_validate(run.result)
        calls = {role: spend["calls"] for role, spend in result.spend["by_role"].items()}
        return {
            "result": result.model_dump(exclude={"run_id", "spend", "target"}) | {"calls": calls},
            "prompts": [(p.id, p.iteration, p.origin) for p in (await store.prompts(run.id)).values()],
            "decisions": [replace(d, run_id="") for d in await store.decisions(run.id)],
            "turns": [replace(t, run_id="") for t in await store.turns(run.id)],
            "hypotheses": [replace(h, run_id="") for h in await store.hypotheses(run.id)],
            "records": [replace(r, run_id="", key="") for r in await store.records(run.id)],
        }


def committed(home: Path, name: str = "one") -> int:
    """How many answers of the run had been committed."""
    return asyncio.run(_committed(home, name))


async def _committed(home: Path, name: str) -> int:
    async with await RunStore.open(home) as store:
        run = await store.run(name)
        return sum(not call.cached and not call.missing for call in await store.calls(run.id))
