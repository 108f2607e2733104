"""Which examples of the search split serve for what in a run."""

from __future__ import annotations

from dataclasses import dataclass

from ..seeding import generator
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import Task

PANEL = 24
"""Candidates are screened on this many examples, the same for all of a run."""


@dataclass(frozen=True)
class Panels:
    """The search split, divided by the run's seed.

    Every candidate is screened on `panel`. Finalists race on `race`, in this order, so that what the champion has
    already been measured on is free. Demos come from outside the panel; where a race example is a demo of either
    prompt, it is left out of both sides.
    """

    panel: tuple[Example, ...]
    race: tuple[Example, ...]

    @classmethod
    def draw(cls, task: Task, seed: int, size: int = PANEL) -> Panels:
        """Panel of `size` examples (at most a third of the split), equally many per label where there are labels."""
        order = [task.search[int(i)] for i in generator(seed, "panels").permutation(len(task.search))]
        size = min(size, max(1, len(order) // 3))
        if task.labels:
            seen: dict[str, int] = {}
            rank: dict[str, int] = {}
            for example in order:
                seen[example.label] = rank[example.id] = seen.get(example.label, -1) + 1
            chosen = sorted(order, key=lambda e: rank[e.id])[:size]
        else:
            chosen = order[:size]
        taken = {e.id for e in chosen}
        return cls(tuple(chosen), tuple(e for e in order if e.id not in taken))

    @property
    def demo_pool(self) -> tuple[Example, ...]:
        """Where demos are taken from, the last ones to be raced on first."""
        return tuple(reversed(self.race))


def without_demos(examples: tuple[Example, ...], *prompts: Prompt) -> tuple[Example, ...]:
    """The examples that are no demo of any of the prompts."""
    used = {demo.example_id for prompt in prompts for demo in prompt.demos}
    return tuple(e for e in examples if e.id not in used)
