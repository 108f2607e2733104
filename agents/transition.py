"""The next prompt of a way through the space of prompts, made from the errors of the one before.

The action and the transition of PromptAgent (arXiv 2310.16427, section 3.1 and appendix A): feedback on the errors of a
prompt, then a prompt that follows it, written in view of the prompts on the way.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from ..traces.rows import Record
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .gradient import LONGEST_GRADIENT, can_be_written
from .operators import Situation
from .writing import LONGEST, conditions, shown, written


class Transition(BaseModel):
    """What the agent model is asked for: why the prompt fails (empty where it was told), and the next prompt."""

    feedback: str = Field(default="", description="Why the prompt gets these examples wrong, in detail.")
    prompt: str = Field(description="The full revised prompt.")


async def transition(
    s: Situation, errors: Sequence[Record], way: Sequence[Prompt], attempt: Attempt, reason: str = ""
) -> Prompt | None:
    """A prompt of a new id, made from the situation's against `errors`; `way`: the prompts before it, oldest first.

    `reason`: the feedback on these errors, where the agent model was asked for it before, as in the paper; else it is
    asked for both at once. Where there is no agent model, no error, or its reply is of no use, the playbook edits. None
    where it has nothing new.
    """
    child = None
    if errors and can_be_written(s.prompt, attempt):
        child = await attempt.fresh(_asked(s, errors, way, attempt, reason))
    return child or playbook.edit(s, attempt.known)


async def _asked(
    s: Situation, errors: Sequence[Record], way: Sequence[Prompt], attempt: Attempt, reason: str
) -> Prompt | None:
    seen = [record.example_id for record in errors]
    message = prompt_text(
        "transition",
        fence=attempt.fence(s.prompt.id, reason, *seen, *(p.id for p in way)),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        trajectory=[fenced(text, cap=LONGEST) for text in _fitting(s.prompt, way)],
        reason=fenced(reason, cap=LONGEST_GRADIENT),
        failures=[shown(s.task, record) for record in errors],
        tried=[fenced(text, cap=300) for text in attempt.tried],
        **conditions(s.task, s.prompt),
    )
    reply = await attempt.ask(Transition, message, role="transition", max_tokens=2048 + len(s.prompt.system) // 2)
    return None if reply is None else written(s.task, s.prompt, reply.prompt, "tree step", seen)


def _fitting(prompt: Prompt, way: Sequence[Prompt]) -> list[str]:
    """The texts of the latest prompts of the way that fit a request beside the prompt itself, oldest first."""
    room, texts = LONGEST - len(prompt.system), []
    for earlier in reversed(way):
        room -= len(earlier.system)
        if room < 0:
            break
        texts.append(earlier.system)
    return texts[::-1]
