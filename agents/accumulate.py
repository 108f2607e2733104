"""Several revisions of one prompt as one: the changes that each made, put together.

As gradients of several samples are summed before a step is taken, revisions of one prompt that were made against
different errors are put together before they are measured: their effects add up, so that one comparison on a handful
of examples sees what it would not see of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from ..tasks.prompt import Prompt
from ..tasks.task import Task
from .edits import Edit, edited
from .meaning import same_meaning
from .operators import sentences

KEPT = 0.5
"""A revision that keeps less than this share of its parent's sentences is a text of its own."""


def changes(parent: Prompt, child: Prompt) -> list[Edit] | None:
    """The sentences that the child adds, replaces or drops, one edit each; None where it is a text of its own, shows
    other demos or says nothing new. Whoever writes a prompt anew may mark its lists in another way: that is no change.
    """
    if child.demos != parent.demos:
        return None
    old, new = sentences(parent.system), sentences(child.system)
    edits: list[Edit] = []
    gone = 0
    for kind, a, b, c, d in SequenceMatcher(None, _bare(old), _bare(new), autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        both = min(b - a, d - c)
        gone += b - a
        edits += [Edit(operation="replace", old=o, text=n) for o, n in zip(old[a:b], new[c:d], strict=False)]
        edits += [Edit(operation="remove", old=sentence) for sentence in old[a + both : b]]
        edits += [Edit(text=sentence) for sentence in new[c + both : d]]
    return edits if edits and gone <= (1 - KEPT) * len(old) else None


def _bare(parts: Sequence[str]) -> list[str]:
    return [part.strip().lstrip("-*• ").casefold() for part in parts]


def accumulated(task: Task, parent: Prompt, children: Sequence[Prompt]) -> Prompt | None:
    """The parent with the changes of all children, what two of them say alike once; None where the outcome lost what
    must stay. `children` are such as have `changes`."""
    edits: list[Edit] = []
    for child in children:
        for edit in changes(parent, child) or ():
            if edit in edits or any(_alike(edit, other, task.labels) for other in edits):
                continue
            edits.append(edit)
    shown = tuple(dict.fromkeys(i for child in children for i in child.shown))
    whole = edited(task, parent, edits, f"{len(children)} gradients").model_copy(update={"shown": shown})
    return None if task.violations(whole) or not whole.system.strip() else whole


def _alike(edit: Edit, other: Edit, labels: Sequence[str]) -> bool:
    """Whether both touch the same sentence, or add the same."""
    if edit.old or other.old:
        return edit.old == other.old
    return same_meaning(edit.text, other.text, labels)
