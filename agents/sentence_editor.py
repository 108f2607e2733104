"""The sentence editor: changes one sentence of a prompt (arXiv 2406.13443, phase 2; docs/strategies.md)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from ..sandbox.text import clean
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from . import operators as op
from . import playbook
from .ask import fenced, prompt_text
from .attempt import Attempt
from .operators import Operator, Situation
from .units import Granularity, Unit, replaced
from .writing import LONGEST, conditions, shown, written

WHAT: dict[Granularity, str] = {"word": "word", "phrase": "phrase", "sentence": "sentence", "whole": "text"}


class SentenceEdit(BaseModel):
    """What the agent model is asked for."""

    operation: Literal["rewrite", "add", "replace"] = Field(default="replace", description="What to do.")
    text: str = Field(description="The new text of the sentence, or what is added behind it.")


@dataclass(frozen=True)
class Place:
    """The unit to change: the `number`-th (from 0) of the `count` of its prompt's."""

    unit: Unit
    number: int
    count: int
    granularity: Granularity = "sentence"


@dataclass(frozen=True)
class Edited:
    """A prompt with one unit changed: `text` took the unit's place, or was added (`operation`)."""

    prompt: Prompt
    operation: str
    text: str


async def edit_sentence(
    s: Situation, place: Place, failures: Sequence[Record], attempt: Attempt, banned: Collection[str] = ()
) -> Edited | None:
    """The situation's prompt with one unit changed, of an id that is not known, that says more than `banned` sentences.

    Asks the agent model where there is one, and shows it the `failures`. Otherwise, or where its reply is of no use,
    the playbook changes the unit. None where nothing new came.
    """
    if attempt.desk is not None and len(s.prompt.system) <= LONGEST:
        made: list[Edited] = []

        async def asked() -> Prompt | None:
            found = await _asked(s, place, failures, attempt)
            if found is None or says_only(found.prompt, s.prompt, banned):
                return None
            made.append(found)
            return found.prompt

        if await attempt.fresh(asked()) is not None:
            return made[0]
    return from_playbook(s, place, attempt.known, banned, demos=attempt.desk is None)


async def _asked(s: Situation, place: Place, failures: Sequence[Record], attempt: Attempt) -> Edited | None:
    seen = [record.example_id for record in failures]
    message = prompt_text(
        "edit_sentence",
        fence=attempt.fence(s.prompt.id, place.unit.start, *seen),
        prompt=fenced(s.prompt.system, cap=LONGEST),
        unit=fenced(place.unit.text, cap=LONGEST),
        what=WHAT[place.granularity],
        number=place.number + 1,
        count=place.count,
        failures=[shown(s.task, record) for record in failures],
        tried=[fenced(text, cap=300) for text in attempt.tried],
        **conditions(s.task, s.prompt),
    )
    longest = 512 + (len(place.unit.text) if place.granularity == "whole" else 0)
    reply = await attempt.ask(SentenceEdit, message, role="editor", max_tokens=longest)
    if reply is None or not reply.text.strip():
        return None
    return edited_unit(s, place, reply.operation, reply.text, seen)


def edited_unit(
    s: Situation, place: Place, operation: str, said: str, seen: Sequence[str], origin: str = ""
) -> Edited | None:
    """The prompt with `said` in the unit's place, or behind it (`add`); None where it would lose what must stay."""
    said = clean(said).strip()
    old = place.unit.text
    if operation == "add" and place.granularity != "whole" and said.startswith(old):
        said = said[len(old) :].strip()  # what is kept was repeated
    between = "\n" if place.granularity == "whole" else " "
    new = f"{old}{between}{said}" if operation == "add" else said
    text = replaced(s.prompt.system, place.unit, new)
    if text == s.prompt.system:
        return None
    name = origin or f"{operation} {WHAT[place.granularity]} {place.number + 1}"
    child = written(s.task, s.prompt, text, name, seen)
    return None if child is None else Edited(child, operation, said)


def says_only(prompt: Prompt, parent: Prompt, banned: Collection[str]) -> bool:
    """Whether all that a prompt says and its parent did not is banned."""
    new = op.new_sentences(prompt, parent)
    return bool(new) and all(sentence in banned for sentence in new)


# -- without an agent model ----------------------------------------------------------------------------------


def from_playbook(
    s: Situation, place: Place, known: Collection[str], banned: Collection[str] = (), *, demos: bool = True
) -> Edited | None:
    """The unit changed by an operator of the playbook: dropped, moved to the front, or with a sentence put behind it
    that the operators on text would have written. With `demos`, which move small models most, the worked examples are
    changed instead now and then, and where the unit gives nothing new."""
    for _ in range(playbook.DRAWS):
        found = _drawn(s, place, DEMOS if demos else 0.0)
        if found is None or found.prompt.id in known or says_only(found.prompt, s.prompt, banned):
            continue
        return found
    child = playbook.edit(s, known, playbook.demo_edits(s.prompt)) if demos else None
    return None if child is None else Edited(child, "demos", "")


OPERATORS: dict[Operator, float] = {
    op.answer_form: 3.0,
    op.label_order: 2.0,
    op.define_labels: 2.0,
    op.contrast_confused: 1.0,
}
DEMOS, DROP, FRONT = 3.0, 0.5, 1.0
"""Weights of the demos and of what is done to a unit itself, beside the operators'."""


def _drawn(s: Situation, place: Place, demos: float) -> Edited | None:
    weights = [*OPERATORS.values(), demos, DROP, FRONT]
    drawn = int(s.rng.choice(len(weights), p=[w / sum(weights) for w in weights]))
    if drawn < len(OPERATORS):
        return _behind(s, place, list(OPERATORS)[drawn])
    if drawn == len(OPERATORS):
        child = playbook.edit(s, (), playbook.demo_edits(s.prompt))
        return None if child is None else Edited(child, "demos", "")
    if place.count < 2:
        return None
    rest = re.sub(r" {2,}", " ", replaced(s.prompt.system, place.unit, "")).strip()
    if drawn == len(OPERATORS) + 1:
        child = written(s.task, s.prompt, rest, f"sentence {place.number + 1} dropped", ())
        return None if child is None else Edited(child, "drop", "")
    if place.number == 0:
        return None
    child = written(s.task, s.prompt, f"{place.unit.text} {rest}", f"sentence {place.number + 1} moved", ())
    return None if child is None else Edited(child, "move", "")


def _behind(s: Situation, place: Place, operator: Operator) -> Edited | None:
    """What an operator on the whole text would have added, put behind the unit."""
    child = operator(s)
    old = s.prompt.system
    if child is None or not (child.system.startswith(old) or child.system.endswith(old)):
        # It changed what stands there already, which is an edit of one sentence too.
        return None if child is None else Edited(child, "replace", "")
    added = (child.system[len(old) :] if child.system.startswith(old) else child.system[: -len(old)]).strip()
    return edited_unit(s, place, "add", added, (), child.origin)
