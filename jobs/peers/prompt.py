"""A peer's prompt texts and our prompts: what a peer is given to begin with, and what its texts stand for."""

from __future__ import annotations

from ...agents.writing import repaired
from ...sandbox.text import clean
from ...tasks.prompt import Prompt
from ...tasks.task import Task

_PLACEHOLDER = "{labels}"


def seed_text(task: Task) -> str:
    """The text that a peer begins with: the seed prompt's main component, with the labels filled in, as peers know
    nothing of placeholders."""
    return task.seed_prompt.system.replace(_PLACEHOLDER, ", ".join(task.labels)).strip()


def as_prompt(task: Task, text: str, origin: str) -> Prompt:
    """The prompt that a peer's text stands for, when it is measured and when it is the result.

    The list of labels becomes the placeholder again. A text that lost a placeholder or a locked text (see `lost`) is
    mended as those of agents are. One that says what the seed says is the seed.
    """
    seed = task.seed_prompt
    text = clean(text).strip()
    if text == seed_text(task):
        return seed
    filled = ", ".join(task.labels)
    if _PLACEHOLDER in seed.system and len(task.labels) > 1:
        text = text.replace(filled, _PLACEHOLDER)
    found = seed.edited(text=text, origin=origin)
    if lost(task, found):
        found = seed.edited(text=repaired(task, seed, text).strip(), origin=origin)
    return seed if found.id == seed.id else found


def lost(task: Task, prompt: Prompt) -> list[str]:
    """What a peer's prompt lost that must survive every edit, in words: as `Task.violations`, but a text that names
    every label needs no placeholder for them, as the peer was given them as words."""
    named = bool(task.labels) and all(label.lower() in prompt.system.lower() for label in task.labels)
    kept = prompt.edited(text=f"{prompt.system} {_PLACEHOLDER}", origin="") if named else prompt
    return task.violations(kept)
