"""Textual gradients: why a prompt fails, in words, and the prompt changed against it.

Sources: ProTeGi (arXiv 2305.03495, section 3 and appendix A), "Pick Your Textual Gradients" (arXiv 2609.23716);
docs/strategies.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from ..traces.rows import Record
from .ask import fenced, prompt_text
from .attempt import Attempt
from .operators import Situation
from .writing import LONGEST, conditions, failed, shown, written

LONGEST_GRADIENT = 2000
"""Characters of one gradient in a request."""


class Gradients(BaseModel):
    """What the agent model is asked for first."""

    reasons: list[str] = Field(description="Different reasons why the prompt gets these examples wrong.")


class Revision(BaseModel):
    """What the agent model is asked for next."""

    prompt: str = Field(description="The full revised prompt.")


def can_be_written(prompt: Prompt, attempt: Attempt) -> bool:
    """Whether an agent model may rewrite the prompt; else the playbook edits it."""
    return attempt.desk is not None and len(prompt.system) <= LONGEST


async def gradients(s: Situation, errors: Sequence[Record], attempt: Attempt, *, most: int = 1) -> list[str]:
    """At most so many reasons why the situation's prompt gets `errors` wrong; empty where the reply is of no use.

    What the prompt got right may stand among the errors; the request says so then.

    Needs an agent model. Raises BudgetExceeded where no agent call is left.
    """
    message = prompt_text(
        "gradient",
        fence=attempt.fence(s.prompt.id, *(r.example_id for r in errors)),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        failures=[shown(s.task, record) for record in errors],
        mixed=not all(map(failed, errors)),
        most=most,
    )
    reply = await attempt.ask(Gradients, message, role="gradient", max_tokens=1024 + 256 * most)
    return [] if reply is None else [reason.strip() for reason in reply.reasons if reason.strip()][:most]


async def descend(s: Situation, gradient: str, errors: Sequence[Record], attempt: Attempt) -> Prompt | None:
    """The situation's prompt, revised against the reason `gradient` why it gets `errors` wrong; None where the reply is
    of no use or nothing new.

    Needs an agent model. Where no agent call is left: None.
    """
    return await attempt.fresh(_revised(s, gradient, errors, attempt))


async def _revised(s: Situation, gradient: str, errors: Sequence[Record], attempt: Attempt) -> Prompt | None:
    seen = [record.example_id for record in errors]
    message = prompt_text(
        "descend",
        fence=attempt.fence(s.prompt.id, gradient, *seen),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        reason=fenced(gradient, cap=LONGEST_GRADIENT),
        failures=[shown(s.task, record) for record in errors],
        mixed=not all(map(failed, errors)),
        tried=[fenced(text, cap=300) for text in attempt.tried],
        **conditions(s.task, s.prompt),
    )
    reply = await attempt.ask(Revision, message, role="descent", max_tokens=2048 + len(s.prompt.system) // 2)
    return None if reply is None else written(s.task, s.prompt, reply.prompt, "gradient", seen)
