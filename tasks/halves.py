"""Halving the test split, so that one half can choose between prompts and the other still prove something."""

from __future__ import annotations

from collections.abc import Sequence

from ..seeding import digest
from .example import Example
from .splits import MOST_STRATA
from .task import Task


def halves_of_test(task: Task) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The test split in two halves whose sizes differ by no more than its largest group of equal inputs.

    The coin depends on what the split's examples say and on nothing else: not on their ids, their order, the task's
    name or any seed. Equal inputs come into one half; up to `MOST_STRATA` different expected answers are spread evenly.
    """
    key = task.test_key
    groups: dict[str, list[Example]] = {}
    for example in sorted(task.test, key=lambda one: (one.content, one.id)):
        groups.setdefault(example.input, []).append(example)
    labels = {example.label for example in task.test}

    def stratum(group: Sequence[Example]) -> str:
        return min(one.label for one in group) if len(labels) <= MOST_STRATA else ""

    ordered = sorted(groups.values(), key=lambda group: (stratum(group), digest("half", key, group[0].input)))
    first: list[Example] = []
    second: list[Example] = []
    for group in ordered:
        (first if len(first) <= len(second) else second).extend(group)
    return tuple(first), tuple(second)
