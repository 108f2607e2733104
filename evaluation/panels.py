"""Which examples of the search split serve for what in a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ..seeding import generator, shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import Task

T = TypeVar("T")

PANEL = 24
"""Candidates are screened on this many examples."""

DEMO_SHARE = 0.4
"""Share of the search split that demos are taken from and that is measured on last."""


@dataclass(frozen=True)
class Panels:
    """The search split, divided by the run's seed into examples to measure on and a pool for demos.

    Each iteration screens its candidates on a panel of its own: on a panel that never changed, the champion would
    have been picked for its luck on it, and no challenger could seem better. Finalists race on a `track` whose
    order stays the same for the run, so that what the champion was measured on is free.
    """

    measured: tuple[Example, ...]
    demo_pool: tuple[Example, ...]
    seed: int
    size: int

    @classmethod
    def draw(cls, task: Task, seed: int, size: int = PANEL) -> Panels:
        """Divide the task's search split; a panel has `size` examples, at most a third of the split."""
        order = by_turns(_shuffled(task.search, seed, "panels"), _label)
        demos = int(DEMO_SHARE * len(order))
        return cls(tuple(order[demos:]), tuple(order[:demos]), seed, min(size, max(1, len(order) // 3)))

    @property
    def everything(self) -> tuple[Example, ...]:
        """The whole search split."""
        return (*self.measured, *self.demo_pool)

    def without(self, ids: Collection[str]) -> Panels:
        """This division with examples that are to stand on no panel; a race comes to them last."""
        last = tuple(e for e in self.measured if e.id in ids)
        kept = tuple(e for e in self.measured if e.id not in ids)
        return replace(self, measured=kept, demo_pool=(*self.demo_pool, *last))

    def panel(self, iteration: int) -> tuple[Example, ...]:
        """The examples that candidates of this iteration are screened on, labels alternating as far as they go."""
        order = _shuffled(self.measured, self.seed, "panel", iteration)
        return tuple(by_turns(order, _label)[: self.size])

    def track(self, iteration: int) -> tuple[Example, ...]:
        """The examples that finalists of this iteration race on, in this order: all that are not on its panel."""
        panel = {example.id for example in self.panel(iteration)}
        return tuple(e for e in self.everything if e.id not in panel)


def shown_last(examples: tuple[Example, ...], *prompts: Prompt) -> tuple[Example, ...]:
    """The examples in their order, those that the writers of the prompts were shown at the end."""
    shown = {example_id for prompt in prompts for example_id in prompt.shown}
    return tuple(sorted(examples, key=lambda e: e.id in shown))


def without_demos(examples: tuple[Example, ...], *prompts: Prompt) -> tuple[Example, ...]:
    """The examples that are no demo of any of the prompts."""
    used = {demo.example_id for prompt in prompts for demo in prompt.demos}
    return tuple(e for e in examples if e.id not in used)


def _label(example: Example) -> str:
    return example.label


def _shuffled(examples: Sequence[Example], seed: int, *path: object) -> list[Example]:
    return shuffled(examples, generator(seed, *path))


def by_turns(items: Iterable[T], label: Callable[[T], str]) -> list[T]:
    """The items so that every label (an expected answer) comes once before one comes twice.

    Where all labels differ the order stays; where there are few, any stretch shows them about equally often.
    """
    order = list(items)
    seen: dict[str, int] = {}
    turns = []
    for item in order:
        name = label(item)
        seen[name] = seen.get(name, -1) + 1
        turns.append(seen[name])
    return [order[i] for i in sorted(range(len(order)), key=lambda i: (turns[i], i))]
