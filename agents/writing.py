"""What agents that write whole prompts share: the errors they are shown, what their texts must keep, what is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..sandbox.text import clean
from ..seeding import shuffled
from ..tasks.prompt import Prompt, placeholders
from ..tasks.task import Task
from ..traces.rows import Record
from .ask import LOCKED_SHOWN, fenced
from .operators import Situation

LONGEST = 24_000
"""A longer prompt (in characters) cannot be rewritten whole by a model; the playbook edits it."""


def failed(record: Record) -> bool:
    """Whether an answer that was scored has something to learn from."""
    return record.score is not None and record.score < 1.0


def sample(s: Situation, most: int) -> list[Record]:
    """At most so many of the prompt's errors, drawn at random; none that its child will be screened on."""
    showable = [r for r in s.records if r.repeat == 0 and failed(r) and r.example_id not in s.unseen]
    return shuffled(showable, s.rng)[:most]


def shown(task: Task, record: Record) -> dict[str, str]:
    """A record as it stands in a request."""
    example = task.example(record.example_id)
    return {
        "input": fenced(example.input),
        "output": fenced(record.output, cap=600),
        "expected": fenced(str(example.expected), cap=600),
        "feedback": fenced(record.feedback, cap=300),
    }


def conditions(task: Task, prompt: Prompt) -> dict[str, Any]:
    """What a text that takes the prompt's place must keep, for `conditions.txt`."""
    return {
        "labels": task.labels,
        "placeholders": [f"{{{name}}}" for name in sorted(placeholders(prompt.system, task.fields))],
        "locked": [fenced(text, cap=LOCKED_SHOWN) for text in task.locked],
    }


def written(task: Task, parent: Prompt, text: str, origin: str, seen: Sequence[str], **changes: Any) -> Prompt | None:
    """The child of `parent` with the text that an agent wrote, mended where it lost something that must stay.

    None where it cannot be used. `seen`: ids of the examples that stood before the agent; `changes` as of
    `Prompt.edited`.
    """
    text = clean(text).strip()
    if not text:
        return None
    child = parent.edited(text=repaired(task, parent, text), origin=origin, shown=seen, **changes)
    return None if task.violations(child) else child


def repaired(task: Task, parent: Prompt, text: str) -> str:
    """`text` with what it lost put back: placeholders of the parent, and the labels where it names too few."""
    lost = placeholders(parent.system, task.fields) - placeholders(text, task.fields)
    if "labels" in lost or (task.labels and not _names_all(task.labels, text, task)):
        text += "\nAnswer with one of: " + ("{labels}" if "labels" in lost else ", ".join(task.labels)) + "."
        lost.discard("labels")
    for name in sorted(lost):
        text += f"\n{name}: {{{name}}}"
    for locked in task.locked:
        if locked in parent.system and locked not in text:
            text += f"\n{locked}"
    return text


def _names_all(labels: Sequence[str], text: str, task: Task) -> bool:
    return "labels" in placeholders(text, task.fields) or all(label.lower() in text.lower() for label in labels)
