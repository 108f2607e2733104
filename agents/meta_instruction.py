"""The meta-instruction: a prompt inferred from right answers, in sections (arXiv 2406.13443, phase 1)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

from pydantic import BaseModel, Field

from ..tasks.prompt import Prompt
from .ask import prompt_text
from .attempt import Attempt
from .operators import ANSWER_FORMS, Situation
from .pairs import right_pairs, shown_pairs
from .terms import distinguishing_terms
from .writing import conditions, written

ORIGIN = "meta instruction"

Section = Literal["task", "description", "output", "reasoning", "tips"]
SECTIONS: tuple[Section, ...] = get_args(Section)
"""Task type; detailed description; output format and constraints; reasoning process; tips."""

TERMS = 4
"""So many terms describe a label where no agent model is set."""

LONGEST_REPLY = 3072
"""Tokens."""


class MetaInstruction(BaseModel):
    """What the agent model is asked for."""

    prompt: str = Field(description="The full instruction, in the sections that were asked for.")


async def meta_instruction(
    seed: Situation, attempt: Attempt, *, pairs: int, sections: Collection[Section] = SECTIONS
) -> Prompt | None:
    """A prompt of a new id that an agent model inferred from at most `pairs` right answers, in these `sections`.

    `seed` is the situation of the prompt whose demos, placeholders and locked texts it keeps. Without an agent model,
    or where its reply is of no use, the sections are composed of what is known of the task. None where that is nothing
    new.
    """
    if attempt.desk is not None:
        child = await attempt.fresh(_asked(seed, attempt, pairs, sections))
        if child is not None:
            return child
    child = written(seed.task, seed.prompt, composed(seed, sections), ORIGIN, ())
    return None if child is None or child.id in attempt.known else child


async def _asked(s: Situation, attempt: Attempt, most: int, sections: Collection[Section]) -> Prompt | None:
    pairs = right_pairs(s, most)
    seen = [example.id for example, _ in pairs]
    message = prompt_text(
        "meta_instruction",
        fence=attempt.fence(s.prompt.id, *seen),
        pairs=shown_pairs(pairs),
        sections=list(sections),
        **conditions(s.task, s.prompt),
    )
    reply = await attempt.ask(MetaInstruction, message, role="meta", max_tokens=LONGEST_REPLY)
    return None if reply is None else written(s.task, s.prompt, reply.prompt, ORIGIN, seen)


def composed(s: Situation, sections: Collection[Section]) -> str:
    """The sections as the playbook writes them: of the labels, the terms that set them apart, and the answer's form.

    The seed's own text is the heart of the description, or stands alone where there is no description.
    """
    labels = s.task.labels
    form = ANSWER_FORMS.get("label" if labels else s.task.metric.name, ANSWER_FORMS[""])[0]
    terms = distinguishing_terms(s.task.search, labels, TERMS) if len(labels) > 1 else {}
    telling = {label: words for label, words in terms.items() if words}
    parts: list[str] = []
    if "task" in sections:
        parts.append("# Task type\n" + ("Classification of a text." if labels else "A question with one right answer."))
    heart = s.prompt.system.strip()
    if "description" in sections:
        about = [f"- {label}: {', '.join(words)}" for label, words in telling.items()]
        parts.append("\n".join(["# Description", heart, *about]))
    else:
        parts.append(heart)
    if "output" in sections:
        parts.append(f"# Output\n{form}")
    if "reasoning" in sections:
        steps = "Look for the words that decide, then choose the answer they speak for."
        parts.append("# Reasoning\n" + (steps if labels else "Read all of the input before you answer."))
    if "tips" in sections:
        tip = "Consider every possible answer before you choose." if labels else "Check the answer against the input."
        parts.append(f"# Tips\n{tip}")
    return "\n".join(parts)
