"""The rewriter: revises a prompt from a sample of its errors (SAGE's `random`, docs/strategies.md)."""

from __future__ import annotations

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .operators import Situation
from .writing import LONGEST, conditions, failed, sample, shown, written

ERRORS_SHOWN = 8


class Rewrite(BaseModel):
    """What the agent model is asked for."""

    diagnosis: str = Field(description="What the failures have in common, in one or two sentences.")
    prompt: str = Field(description="The full revised prompt.")


async def rewrite(situation: Situation, attempt: Attempt) -> Prompt | None:
    """A revised prompt of a new id, made from the situation's prompt and its own sample of errors.

    Asks the agent model where there is one; what it returns must keep placeholders, locked texts and labels.
    Otherwise, or where its reply is of no use, the playbook edits. None where neither has anything new.
    """
    if attempt.desk is not None and len(situation.prompt.system) <= LONGEST:
        child = await attempt.fresh(_asked(situation, attempt))
        if child is not None:
            return child
    return playbook.edit(situation, attempt.known)


async def _asked(s: Situation, attempt: Attempt) -> Prompt | None:
    errors = sample(s, ERRORS_SHOWN)
    seen = [record.example_id for record in errors]
    measured = [r for r in s.records if r.score is not None and r.repeat == 0]
    message = prompt_text(
        "rewrite",
        fence=attempt.fence(s.prompt.id, *seen),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        failures=[shown(s.task, record) for record in errors],
        failed=sum(failed(r) for r in measured),
        measured=len(measured),
        tried=[fenced(text, cap=300) for text in attempt.tried],
        **conditions(s.task, s.prompt),
    )
    reply = await attempt.ask(Rewrite, message, role="rewriter", max_tokens=2048 + len(s.prompt.system) // 2)
    return None if reply is None else written(s.task, s.prompt, reply.prompt, "rewrite", seen)
