"""Instructions inferred from pairs, and variations of them (APE, arXiv 2211.01910, section 3; docs/strategies.md)."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from . import operators as op
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .meta_instruction import SECTIONS, Section, composed
from .operators import Operator, Situation
from .pairs import right_pairs, shown_pairs
from .writing import LONGEST, conditions, written

INFERRED, VARIED = "instruction from pairs", "variation"

REWORDING: dict[Operator, float] = {op.answer_form: 3.0, op.reorder_sentences: 2.0, op.label_order: 1.0}
"""The playbook's edits that leave a prompt's meaning as it is."""


class Instruction(BaseModel):
    """What the agent model is asked for first."""

    prompt: str = Field(description="The instruction that the outputs follow.")


class Variation(BaseModel):
    """What the agent model is asked for later."""

    prompt: str = Field(description="The same prompt in other words.")


async def inferred(seed: Situation, attempt: Attempt, *, pairs: int, temperature: float) -> Prompt | None:
    """A prompt of a new id that the agent model inferred from at most `pairs` right answers of its own draw.

    Without an agent model, or where its reply is of no use, the playbook composes some sections of what is known of the
    task, or edits the seed. None where nothing new came.
    """

    async def asked() -> Prompt | None:
        chosen = right_pairs(seed, pairs)
        seen = [example.id for example, _ in chosen]
        message = prompt_text(
            "induce",
            fence=attempt.fence(seed.prompt.id, *seen),
            pairs=shown_pairs(chosen),
            **conditions(seed.task, seed.prompt),
        )
        reply = await attempt.ask(Instruction, message, role="inducer", max_tokens=2048, temperature=temperature)
        return None if reply is None else written(seed.task, seed.prompt, reply.prompt, INFERRED, seen)

    if attempt.desk is not None:
        child = await attempt.fresh(asked())
        if child is not None:
            return child
    some: list[Section] = [section for section in SECTIONS if seed.rng.random() < 0.5]
    child = written(seed.task, seed.prompt, composed(seed, some), "composed", ())
    if child is None or child.id in attempt.known:
        return playbook.edit(seed, attempt.known)
    # What is composed is always the same: an edit on top makes it one of many.
    varied = playbook.edit(replace(seed, prompt=child), attempt.known)
    if varied is None:
        return child
    return varied.model_copy(update={"origin": f"composed + {varied.origin}", "parents": (seed.prompt.id,)})


async def variation(s: Situation, attempt: Attempt, *, temperature: float) -> Prompt | None:
    """The situation's prompt in other words, of a new id; without an agent model an edit that keeps the meaning, or one
    of the demos."""

    async def asked() -> Prompt | None:
        message = prompt_text(
            "vary",
            fence=attempt.fence(s.prompt.id),
            prompt=fenced(s.prompt.system, cap=LONGEST),
            **conditions(s.task, s.prompt),
        )
        length = 1024 + len(s.prompt.system) // 2
        reply = await attempt.ask(Variation, message, role="resampler", max_tokens=length, temperature=temperature)
        return None if reply is None else written(s.task, s.prompt, reply.prompt, VARIED, s.prompt.shown)

    if attempt.desk is not None and len(s.prompt.system) <= LONGEST:
        child = await attempt.fresh(asked())
        if child is not None:
            return child
    return playbook.edit(s, attempt.known, {**REWORDING, **playbook.demo_edits(s.prompt)})
