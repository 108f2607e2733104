"""The null control: a task whose expected answers say nothing about its inputs."""

from __future__ import annotations

from dataclasses import replace

from ..seeding import generator
from .example import Example
from .task import Task


def shuffled(task: Task, seed: int) -> Task:
    """`task` with the expected answers permuted over all examples, and over `preserve` for itself.

    Which example gets which answer depends on the examples' content and `seed`, not on how they are split; splits and
    ids stay as they were.
    """
    swapped = _permuted((*task.search, *task.holdout, *task.test), seed, "examples")
    general = _permuted(task.preserve, seed, "preserve")
    return replace(
        task,
        name=f"{task.name}-shuffled-{seed}",
        search=tuple(swapped[example.id] for example in task.search),
        holdout=tuple(swapped[example.id] for example in task.holdout),
        test=tuple(swapped[example.id] for example in task.test),
        preserve=tuple(general[example.id] for example in task.preserve),
    )


def _permuted(examples: tuple[Example, ...], seed: int, what: str) -> dict[str, Example]:
    ordered = sorted(examples, key=lambda example: (example.content, example.id))
    order = generator(seed, "shuffle labels", what).permutation(len(ordered))
    return {
        example.id: replace(example, expected=ordered[int(source)].expected)
        for example, source in zip(ordered, order, strict=True)
    }
