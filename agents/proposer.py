"""The proposer: turns a direction (a believed cause of failures) into edits of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetExceeded
from ..evaluation.hypotheses import Support
from ..seeding import shuffled
from ..tasks.prompt import placeholders
from .ask import LOCKED_SHOWN, AgentDesk, fence, fenced, prompt_text
from .diagnostician import shown_failure
from .edits import Edit
from .workspace import Workspace

MATCHED_SHOWN = 5
"""Failures of a direction that its proposer is shown."""


class Proposal(BaseModel):
    """What the agent model is asked for."""

    model_config = ConfigDict(extra="ignore")

    cause: str = Field(default="", description="Why these examples fail, in one or two sentences.")
    edits: list[Edit] = Field(default_factory=list, description="The edits; none where the claim is not borne out.")


@dataclass(frozen=True)
class Direction:
    """A believed cause to act on, with our own counts over all of the champion's records."""

    index: int
    claim: str
    predicate: str
    fix: str
    support: Support | None
    matched: frozenset[str]
    cause: str = ""


@dataclass(frozen=True)
class Proposed:
    """The edits against one direction, why, and which examples their writer was shown."""

    direction: Direction
    cause: str
    edits: tuple[Edit, ...]
    shown: tuple[str, ...]


async def propose(
    workspace: Workspace,
    direction: Direction,
    desk: AgentDesk,
    rng: np.random.Generator,
    *,
    iteration: int,
    most: int,
    tried: Sequence[str],
    unseen: frozenset[str],
) -> Proposed:
    """Edits for one direction; none where the model gives none, or no reply that can be read."""
    task, text = workspace.task, workspace.champion.system
    candidates = [r for r in workspace.failures() if r.example_id not in unseen]
    about = [r for r in candidates if r.example_id in direction.matched] if direction.matched else candidates
    sample = shuffled(about, rng)[:MATCHED_SHOWN]
    shown = tuple(r.example_id for r in sample)
    message = prompt_text(
        "propose",
        fence=fence(desk.calls.seed, iteration, workspace.champion.id, direction.claim, direction.cause, *shown),
        prompt=fenced(text, cap=24_000),
        labels=task.labels,
        claim=fenced(direction.claim, cap=400),
        predicate=fenced(direction.predicate, cap=500),
        words=direction.support.words if direction.support else "",
        fix=fenced(direction.fix, cap=700),
        cause=fenced(direction.cause, cap=10_000),
        failures=[shown_failure(workspace, r) for r in sample],
        tried=[fenced(t, cap=300) for t in tried],
        most=most,
        placeholders=[f"{{{name}}}" for name in sorted(placeholders(text, task.fields))],
        locked=[fenced(text, cap=LOCKED_SHOWN) for text in task.locked],
    )
    try:
        reply = await desk.ask(
            Proposal,
            [{"role": "user", "content": message}],
            role="proposer",
            iteration=iteration,
            index=direction.index,
            max_tokens=2048,
        )
    except BudgetExceeded:
        reply = None
    if reply is None:
        return Proposed(direction, "", (), shown)
    return Proposed(direction, fenced(reply.cause.strip(), cap=400), tuple(reply.edits[:most]), shown)
