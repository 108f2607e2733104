"""The rewriter: revises a prompt from a sample of its errors (SAGE's `random`, ALGORITHMS section 1.1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from . import playbook
from .ask import AgentDesk, fence, fenced, prompt_text
from .operators import Situation
from .writing import LONGEST, conditions, failed, fresh, sample, shown, written

ERRORS_SHOWN = 8


class Rewrite(BaseModel):
    """What the agent model is asked for."""

    diagnosis: str = Field(description="What the failures have in common, in one or two sentences.")
    prompt: str = Field(description="The full revised prompt.")


async def rewrite(
    situation: Situation,
    known: Collection[str],
    desk: AgentDesk | None,
    *,
    iteration: int,
    index: int,
    tried: Sequence[str] = (),
) -> Prompt | None:
    """A revised prompt of an id not in `known`, made from the situation's prompt and its own sample of errors.

    Asks the agent model where there is one; what it returns must keep placeholders, locked texts and labels.
    Otherwise, or where its reply is of no use, the playbook edits. None where neither has anything new.
    """
    if desk is not None and len(situation.prompt.system) <= LONGEST:
        child = await fresh(_asked(situation, desk, iteration, index, tried), known)
        if child is not None:
            return child
    return playbook.edit(situation, known)


async def _asked(s: Situation, desk: AgentDesk, iteration: int, index: int, tried: Sequence[str]) -> Prompt | None:
    errors = sample(s, ERRORS_SHOWN)
    seen = [record.example_id for record in errors]
    measured = [r for r in s.records if r.score is not None and r.repeat == 0]
    message = prompt_text(
        "rewrite",
        fence=fence(desk.calls.seed, iteration, index, s.prompt.id, *seen),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        failures=[shown(s.task, record) for record in errors],
        failed=sum(failed(r) for r in measured),
        measured=len(measured),
        tried=[fenced(text, cap=300) for text in tried],
        **conditions(s.task, s.prompt),
    )
    reply = await desk.ask(
        Rewrite,
        [{"role": "user", "content": message}],
        role="rewriter",
        iteration=iteration,
        index=index,
        max_tokens=2048 + len(s.prompt.system) // 2,
    )
    return None if reply is None else written(s.task, s.prompt, reply.prompt, "rewrite", seen)
