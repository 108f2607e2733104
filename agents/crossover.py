"""Crossover: one prompt bred from two, with the errors of both in view (docs/strategies.md; EvoPrompt's GA)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .operators import Situation, sentences
from .rewriter import rewrite
from .writing import LONGEST, conditions, sample, shown, written

ERRORS_SHOWN = 4
"""Of each parent."""


class Crossover(BaseModel):
    """What the agent model is asked for."""

    crossed: str = Field(description="A full prompt that joins what is best in the two.")
    prompt: str = Field(description="That prompt, changed so that it prevents the failures.")


async def crossover(mother: Situation, father: Situation, attempt: Attempt) -> Prompt | None:
    """A child of both prompts, of a new id: crossed and mutated in one request to the agent model.

    A prompt that is both parents is rewritten. Without an agent model, or where its reply is of no use, the child is
    spliced and edited by the playbook. None where nothing new came.
    """
    if mother.prompt == father.prompt:
        return await rewrite(mother, attempt)
    if attempt.desk is not None and len(mother.prompt.system) + len(father.prompt.system) <= LONGEST:
        child = await attempt.fresh(_asked(mother, father, attempt))
        if child is not None:
            return child
    return spliced(mother, father, attempt.known)


def spliced(mother: Situation, father: Situation, known: Collection[str]) -> Prompt | None:
    """The beginning of one prompt and the end of the other, with the demos of either, changed by the playbook."""
    rng = mother.rng
    first, second = sentences(mother.prompt.system), sentences(father.prompt.system)
    head = first[: int(rng.integers(len(first) + 1))]
    tail = [s for s in second[int(rng.integers(len(second) + 1)) :] if s not in head]
    demos = (mother if rng.random() < 0.5 else father).prompt.demos
    parents = (mother.prompt.id, father.prompt.id)
    seen = dict.fromkeys((*mother.prompt.shown, *father.prompt.shown))
    text = " ".join([*head, *tail])
    child = mother.prompt.edited(text=text, demos=demos, origin="spliced", parents=parents, shown=seen)
    fit = bool(child.system.strip()) and not mother.task.violations(child)
    # The records are the mother's: what it gets wrong is the best guess of what its child does.
    edited = playbook.edit(replace(mother, prompt=child) if fit else mother, known)
    if edited is None:
        return child if fit and child.id not in known else None
    origin = f"spliced + {edited.origin}" if fit else edited.origin
    changes = {"parents": parents, "shown": child.shown} if fit else {}
    return edited.model_copy(update={"origin": origin, **changes})


async def _asked(mother: Situation, father: Situation, attempt: Attempt) -> Prompt | None:
    errors = [(parent, record) for parent in (mother, father) for record in sample(parent, ERRORS_SHOWN)]
    seen = list(dict.fromkeys(record.example_id for _, record in errors))
    message = prompt_text(
        "crossover",
        fence=attempt.fence(mother.prompt.id, father.prompt.id, *seen),
        first=fenced(mother.prompt.system, cap=LONGEST),
        second=fenced(father.prompt.system, cap=LONGEST),
        failures=[shown(mother.task, record) for _, record in errors],
        tried=[fenced(text, cap=300) for text in attempt.tried],
        **conditions(mother.task, mother.prompt),
    )
    length = len(mother.prompt.system) + len(father.prompt.system)
    reply = await attempt.ask(Crossover, message, role="breeder", max_tokens=2048 + length)
    if reply is None:
        return None
    demos = (mother if mother.rng.random() < 0.5 else father).prompt.demos
    parents = (mother.prompt.id, father.prompt.id)
    own = [*seen, *(i for i in (*mother.prompt.shown, *father.prompt.shown) if i not in seen)]
    return written(mother.task, mother.prompt, reply.prompt, "crossover", own, demos=demos, parents=parents)
