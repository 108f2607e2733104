"""A new prompt from a history of prompts and their scores (OPRO, arXiv 2309.03409, section 4; docs/strategies.md)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from ..seeding import shuffled
from ..tasks.prompt import Prompt
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .operators import Situation
from .writing import LONGEST, conditions, written

EXAMPLES_SHOWN = 3
Scored = tuple[Prompt, float]
"""A prompt and its score, from 0 to 1."""


class NewPrompt(BaseModel):
    """What the agent model is asked for."""

    prompt: str = Field(description="The full new prompt.")


async def from_history(
    best: Situation, history: Sequence[Scored], attempt: Attempt, *, temperature: float
) -> Prompt | None:
    """A prompt of a new id, written by the agent model after it read the history, worst first.

    `best` is the situation of the prompt whose demos and placeholders the new one keeps. Without an agent model, or
    where its reply is of no use, the playbook edits that prompt. None where nothing new came.
    """
    shown = shortened(history)
    if attempt.desk is not None and shown:
        child = await attempt.fresh(_asked(best, shown, attempt, temperature))
        if child is not None:
            return child
    return playbook.edit(best, attempt.known)


def shortened(history: Sequence[Scored]) -> list[Scored]:
    """The best of a history that goes from the worst to the best, as many as fit a request uncut."""
    room, kept = LONGEST, []
    for prompt, score in reversed(history):
        room -= len(prompt.system)
        if room < 0:
            break
        kept.append((prompt, score))
    return kept[::-1]


async def _asked(best: Situation, history: Sequence[Scored], attempt: Attempt, temperature: float) -> Prompt | None:
    task = best.task
    pool = [e for e in best.demo_pool if e.id not in best.unseen]
    examples = shuffled(pool, best.rng)[:EXAMPLES_SHOWN]
    seen = [e.id for e in examples]
    message = prompt_text(
        "history",
        fence=attempt.fence(*(p.id for p, _ in history), *seen),
        history=[{"text": fenced(p.system, cap=LONGEST), "score": round(100 * score)} for p, score in history],
        examples=[{"input": fenced(e.input), "expected": fenced(e.label, cap=600)} for e in examples],
        **conditions(task, best.prompt),
    )
    length = 2048 + len(best.prompt.system) // 2
    reply = await attempt.ask(NewPrompt, message, role="historian", max_tokens=length, temperature=temperature)
    return None if reply is None else written(task, best.prompt, reply.prompt, "from the history", seen)
