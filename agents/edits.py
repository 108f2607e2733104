"""Edits: what is changed in a prompt's text, one sentence at a time, so that changes can be put together and undone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.json_schema import SkipJsonSchema

from ..sandbox.text import clean
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import Task
from .meaning import same_meaning
from .operators import MAX_DEMOS, demo_of, predicted_label, sentences
from .writing import repaired

LONGEST_EDIT = 1200
"""Characters. A longer one is a whole prompt, or a paste of examples."""


class Edit(BaseModel):
    """One change of a prompt: a sentence added, replaced or removed, or worked examples shown.

    For `demos`, `text` lists the answers to show; `demo_ids` are the examples that were drawn for them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    operation: Literal["add", "replace", "remove", "demos"] = Field(default="add", description="What to do.")
    old: str = Field(default="", description="For replace and remove: the sentence of the prompt, word for word.")
    text: str = Field(default="", description="The new sentence; for demos the answers to show, in order.")
    demo_ids: SkipJsonSchema[tuple[str, ...]] = ()

    @field_validator("text")
    @classmethod
    def _visible(cls, text: str) -> str:
        return clean(text)  # it becomes part of a prompt


def edit_of(fix: str) -> Edit:
    """A suggested fix as an edit: a sentence to add, or `demos: A, B, …` for worked examples."""
    kind, colon, rest = fix.partition(":")
    if colon and kind.strip().lower() == "demos":
        return Edit(operation="demos", text=rest.strip())
    return Edit(text=fix)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text after the edits, in order. One whose old sentence is not there adds its new one, if it has any."""
    for edit in edits:
        if edit.operation == "demos":
            continue
        old, new = edit.old.strip(), edit.text.strip()
        if edit.operation != "add" and old and old in text:
            before, _, after = text.partition(old)
            put = new if edit.operation == "replace" else ""
            if not put and _ends_line(before) and (after.startswith("\n") or not after):
                after = after.removeprefix("\n")  # its line goes with it
            elif not put:
                before, after = before.rstrip(" "), f" {after.lstrip(' ')}" if before.strip() else after.lstrip(" ")
            text = f"{before}{put}{after}"
        elif edit.operation != "remove" and new:
            text = f"{text.rstrip()}\n{new}"
    return text.strip()


def edited(task: Task, parent: Prompt, edits: Sequence[Edit], origin: str) -> Prompt:
    """The parent with the edits; demos of the edits come before its own, each example once."""
    text = repaired(task, parent, applied(parent.system, edits))
    ids = dict.fromkeys(i for edit in edits for i in edit.demo_ids)
    new = [demo_of(task.example(i)) for i in ids]
    kept = [demo for demo in parent.demos if demo.example_id not in ids]
    return parent.edited(text=text, demos=[*new, *kept][:MAX_DEMOS], origin=origin)


def with_demos(edit: Edit, task: Task, pool: Sequence[Example], rng: np.random.Generator) -> Edit:
    """A `demos` edit with examples of the pool drawn for the answers that it lists, in its order.

    Where the task has no labels, or none is named, a number in the text says how many are shown.
    """
    if edit.operation != "demos":
        return edit.model_copy(update={"demo_ids": ()})
    order = shuffled(pool, rng)
    wanted = [predicted_label(part, task.labels) for part in edit.text.split(",")] if task.labels else []
    chosen: list[Example] = []
    for label in [label for label in wanted if label][:MAX_DEMOS]:
        chosen += [e for e in order if e.label == label and e not in chosen][:1]
    number = re.search(r"\d+", edit.text)
    if not chosen and number:
        chosen = order[: min(int(number[0][:3]), MAX_DEMOS)]
    return edit.model_copy(update={"demo_ids": tuple(e.id for e in chosen)})


def _ends_line(text: str) -> bool:
    """Whether what follows the text begins a line."""
    return not text or text.endswith("\n")


def usable(edit: Edit, text: str, labels: Sequence[str] = ()) -> str:
    """Why an edit of this text is of no use, in words; empty where nothing speaks against it."""
    if edit.operation == "demos":
        return "" if edit.demo_ids else "shows no worked example that there is"
    if edit.operation == "remove":
        return "" if edit.old.strip() and edit.old.strip() in text else "removes a sentence that is not there"
    if not edit.text.strip():
        return "adds nothing"
    if len(edit.text) > LONGEST_EDIT:
        return f"is longer than {LONGEST_EDIT} characters"
    if edit.operation == "add" and any(same_meaning(edit.text, s, labels) for s in sentences(text)):
        return "repeats what the prompt says already"
    return "" if applied(text, [edit]) != text else "changes nothing"
