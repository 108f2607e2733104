"""The critic: weeds edits and candidates before a call is spent on them.

What can be computed is computed (copies of examples, lost placeholders, repeats, length); an agent model is asked
about the rest. A rejection of its takes two votes, for a single reviewer errs too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetExceeded
from ..tasks.prompt import Prompt
from ..tasks.task import Task
from .ask import AgentDesk, fence, fenced, prompt_text
from .edits import Edit, edited, usable
from .leaks import Copies
from .meaning import said_before, same_meaning
from .proposer import Proposed
from .rewriter import repaired

GROWTH = 4
ROOM = 4000
"""A candidate may be as long as `GROWTH` times the seed prompt and `ROOM` characters."""

VOTES = 2


class Critique(BaseModel):
    """What the agent model is asked for."""

    model_config = ConfigDict(extra="ignore")

    problems: list[str] = Field(default_factory=list, description="What is wrong, one sentence each.")
    verdict: Literal["accept", "reject"] = Field(description="reject only what is clearly wrong.")
    repaired: str = Field(default="", description="The whole mended prompt, or empty.")


@dataclass(frozen=True)
class Weeded:
    """The edits that stay, and the others with the reason why they go."""

    proposals: tuple[Proposed, ...]
    dropped: tuple[tuple[Proposed, Edit, str], ...]


def weed(task: Task, champion: Prompt, proposals: Sequence[Proposed], tried: Sequence[str], copies: Copies) -> Weeded:
    """Drop edits that copy examples, repeat what is there, was tried, or another edit said; all by computation.

    Demos are examples by design: one edit of an iteration may show them.
    """
    kept: list[Proposed] = []
    dropped: list[tuple[Proposed, Edit, str]] = []
    said: list[str] = []
    showing = False
    for proposed in proposals:
        edits = []
        for edit in proposed.edits:
            reason = _objection(task, champion, edit, tried, said, copies)
            if edit.operation == "demos" and showing:
                reason = "another edit shows worked examples"
            showing |= edit.operation == "demos" and not reason
            if reason:
                dropped.append((proposed, edit, reason))
            else:
                edits.append(edit)
                said += [edit.text] * (edit.operation in ("add", "replace"))
        if edits:
            kept.append(replace(proposed, edits=tuple(edits)))
    return Weeded(tuple(kept), tuple(dropped))


def _objection(
    task: Task, champion: Prompt, edit: Edit, tried: Sequence[str], said: Sequence[str], copies: Copies
) -> str:
    reason = usable(edit, champion.system, task.labels)
    if reason or edit.operation == "demos":
        return reason
    copied = copies.found(edit.text, champion.system)
    if copied:
        return f"copies a search example ({fenced(copied, cap=80)})"
    if edit.text.strip() and said_before(edit.text, tried, task.labels):
        return "says what was tried before"
    if edit.text.strip() and any(same_meaning(edit.text, other, task.labels) for other in said):
        return "says what another edit says"
    if task.violations(edited(task, champion, [edit], "check")):
        return "loses a placeholder or a locked text"
    return ""


def flaw(task: Task, parent: Prompt, candidate: Prompt, copies: Copies) -> str:
    """Why a whole candidate must not be measured, by computation; empty where nothing speaks against it."""
    text = candidate.system.strip()
    if not text:
        return "is empty"
    if len(text) > GROWTH * len(task.seed_prompt.system) + ROOM:
        return f"is too long ({len(text)} characters)"
    lost = task.violations(candidate)
    if lost:
        return lost[0]
    copied = copies.found(text, parent.system)
    return f"copies a search example ({fenced(copied, cap=80)})" if copied else ""


async def review(
    task: Task,
    parent: Prompt,
    candidate: Prompt,
    directions: Sequence[str],
    desk: AgentDesk | None,
    copies: Copies,
    *,
    iteration: int,
    index: int,
    tried: Sequence[str],
) -> tuple[Prompt | None, str]:
    """The candidate, or its repair, that may be measured; None with the reason where it is rejected."""
    problem = flaw(task, parent, candidate, copies)
    if problem:
        return None, problem
    if desk is None or candidate.system == parent.system:  # there is no text to review
        return candidate, ""
    reasons: list[str] = []
    for vote in range(VOTES):
        reply = await _asked(task, parent, candidate, directions, desk, iteration, VOTES * index + vote, tried)
        if reply is None or reply.verdict == "accept":
            return candidate, ""
        mended = repaired(task, parent, reply.repaired.strip()) if reply.repaired.strip() else ""
        if mended and mended not in (candidate.system, parent.system):
            repair = candidate.model_copy(
                update={"components": {**candidate.components, candidate.main: mended}, "origin": "repaired"}
            )
            if not flaw(task, parent, repair, copies):
                return repair, "; ".join(reply.problems)[:300]
        reasons.append(fenced("; ".join(reply.problems), cap=300))
    return None, f"rejected by the critic: {reasons[-1]}"


async def _asked(
    task: Task,
    parent: Prompt,
    candidate: Prompt,
    directions: Sequence[str],
    desk: AgentDesk,
    iteration: int,
    index: int,
    tried: Sequence[str],
) -> Critique | None:
    message = prompt_text(
        "critique",
        fence=fence(desk.calls.seed, iteration, index, parent.id, candidate.id),
        parent=fenced(parent.system, cap=24_000),
        candidate=fenced(candidate.system, cap=24_000),
        directions=[fenced(d, cap=400) for d in directions],
        tried=[fenced(t, cap=300) for t in tried],
    )
    try:
        return await desk.ask(
            Critique,
            [{"role": "user", "content": message}],
            role="critic",
            iteration=iteration,
            index=index,
            max_tokens=1024 + len(candidate.system) // 2,
        )
    except BudgetExceeded:
        return None
