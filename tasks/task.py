"""The task: what a good prompt is to be found for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ..seeding import digest
from .example import Example
from .metrics import Metric
from .prompt import Prompt, placeholders

SplitName = Literal["search", "holdout", "test", "preserve"]


@dataclass(frozen=True)
class OutputOptions:
    """How the target's answer is limited: at most `max_tokens`, one of `choices` where the target can do that."""

    max_tokens: int = 256
    choices: tuple[str, ...] = ()
    temperature: float = 0.0


@dataclass(frozen=True)
class Task:
    """Examples in three disjoint splits, a seed prompt, a metric, and options of the target's output.

    `search` is what strategies see, `holdout` guards against regressions, `test` is for certification alone;
    `preserve` (optional) are general examples that must stay right. `locked` are texts no edit may change.
    """

    name: str
    seed_prompt: Prompt
    search: tuple[Example, ...]
    holdout: tuple[Example, ...]
    test: tuple[Example, ...]
    metric: Metric
    labels: tuple[str, ...] = ()
    preserve: tuple[Example, ...] = ()
    output: OutputOptions = field(default_factory=OutputOptions)
    locked: tuple[str, ...] = ()
    description: str = ""

    def examples(self, split: SplitName) -> tuple[Example, ...]:
        """The examples of one split."""
        return getattr(self, split)

    def example(self, example_id: str) -> Example:
        """The example with this id, from any split."""
        return self._by_id[example_id]

    @property
    def everything(self) -> tuple[Example, ...]:
        """All examples: search, holdout, test, preserve."""
        return (*self.search, *self.holdout, *self.test, *self.preserve)

    @cached_property
    def _by_id(self) -> dict[str, Example]:
        return {example.id: example for example in self.everything}

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names a placeholder may have: `input`, `labels` and the metadata fields that every example has."""
        everything = self.everything
        first = everything[0].metadata if everything else {}
        shared = [name for name in first if all(name in example.metadata for example in everything)]
        return ("input", "labels", *shared)

    @property
    def test_key(self) -> str:
        """Identifies the test split by its content, whatever the task is called and the examples' ids are."""
        return digest("test", *sorted(example.content for example in self.test))

    @property
    def key(self) -> str:
        """Identifies all that a run's course depends on: examples and their splits, seed prompt, metric, output."""
        splits = ("search", "holdout", "test", "preserve")
        contents = [
            sorted(
                digest(example.content, sorted(example.metadata.items(), key=str)) for example in self.examples(name)
            )
            for name in splits
        ]
        return digest("task", self.seed_prompt.id, self.metric.name, self.labels, self.locked, self.output, contents)

    def violations(self, prompt: Prompt) -> list[str]:
        """What an edited prompt lost that must survive every edit: placeholders and locked texts, in words."""
        lost: list[str] = []
        for name, seed_text in self.seed_prompt.components.items():
            text = prompt.components.get(name, "")
            for placeholder in sorted(placeholders(seed_text, self.fields) - placeholders(text, self.fields)):
                lost.append(f"placeholder {{{placeholder}}} is missing from '{name}'")
            for locked in self.locked:
                if locked in seed_text and locked not in text:
                    lost.append(f"locked text {locked!r} is missing from '{name}'")
        return lost
