"""Edits: what is changed in a prompt's text, one sentence at a time, so that changes can be put together and undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .meaning import same_meaning
from .operators import sentences

LONGEST_EDIT = 1200
"""Characters. A longer one is a whole prompt, or a paste of examples."""


class Edit(BaseModel):
    """One change of a prompt: a sentence added, replaced or removed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    operation: Literal["add", "replace", "remove"] = Field(default="add", description="What to do.")
    old: str = Field(default="", description="For replace and remove: the sentence of the prompt, word for word.")
    text: str = Field(default="", description="For add and replace: the new sentence.")


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text after the edits, in order. One whose old sentence is not there adds its new one, if it has any."""
    for edit in edits:
        old, new = edit.old.strip(), edit.text.strip()
        if edit.operation != "add" and old and old in text:
            text = text.replace(old, new if edit.operation == "replace" else "", 1)
            text = "\n".join(line for line in text.split("\n") if line.strip())
        elif edit.operation != "remove" and new:
            text = f"{text.rstrip()}\n{new}"
    return text.strip()


def usable(edit: Edit, text: str, labels: Sequence[str] = ()) -> str:
    """Why an edit of this text is of no use, in words; empty where nothing speaks against it."""
    if edit.operation == "remove":
        return "" if edit.old.strip() and edit.old.strip() in text else "removes a sentence that is not there"
    if not edit.text.strip():
        return "adds nothing"
    if len(edit.text) > LONGEST_EDIT:
        return f"is longer than {LONGEST_EDIT} characters"
    if edit.operation == "add" and any(same_meaning(edit.text, s, labels) for s in sentences(text)):
        return "repeats what the prompt says already"
    return "" if applied(text, [edit]) != text else "changes nothing"
