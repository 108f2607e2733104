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

GROWTH = 4
ROOM = 6000
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
    room = GROWTH * len(task.seed_prompt.system) + ROOM - len(champion.system)
    for proposed in proposals:
        edits = []
        for edit in proposed.edits:
            reason = _objection(task, champion, edit, tried, said, copies)
            if not reason and len(edit.text) > room:
                reason = "there is no room for it in this iteration"
            if edit.operation == "demos" and showing:
                reason = "another edit shows worked examples"
            showing |= edit.operation == "demos" and not reason
            if reason:
                dropped.append((proposed, edit, reason))
            else:
                edits.append(edit)
                room -= len(edit.text)
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
    proposals: Sequence[Proposed],
    desk: AgentDesk | None,
    copies: Copies,
    *,
    iteration: int,
    tried: Sequence[str],
) -> tuple[tuple[Proposed, ...], str]:
    """The proposals that may be measured, and what was said against the others.

    An agent model sees the prompt with all edits. Its rejection takes two votes; where it gives a mended prompt
    with it, the edits that still stand there stay.
    """
    kept = tuple(proposals)
    candidate = edited(task, parent, [e for one in kept for e in one.edits], "all edits")
    problem = flaw(task, parent, candidate, copies)
    if problem:
        return (), problem
    if desk is None or candidate.system == parent.system:  # there is no text to review
        return kept, ""
    claims = [one.direction.claim for one in kept]
    reason = ""
    for vote in range(VOTES):
        reply = await _asked(parent, candidate, claims, desk, iteration, vote, tried)
        if reply is None or reply.verdict == "accept":
            return kept, ""
        reason = fenced("; ".join(reply.problems), cap=300)
        left = _standing(kept, reply.repaired)
        if left and left != kept:
            return left, reason
    return (), f"rejected by the critic: {reason}"


def _standing(proposals: Sequence[Proposed], mended: str) -> tuple[Proposed, ...]:
    """The proposals with those edits that a mended prompt still carries."""

    def stands(edit: Edit) -> bool:
        if edit.operation == "demos":
            return True
        return edit.text.strip() in mended if edit.text.strip() else edit.old.strip() not in mended

    left = [replace(one, edits=tuple(e for e in one.edits if stands(e))) for one in proposals]
    return tuple(one for one in left if one.edits)


async def _asked(
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
