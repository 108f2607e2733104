"""Prompts as the arms of a bandit: a pull measures a prompt on some examples of the search split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import BudgetExceeded
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .evaluator import Evaluator, Job
from .screening import reward


@dataclass
class Pulls:
    """Pulls `prompts`, the arms, each on `sample` of the `examples` at a time.

    `paired`: an arm's k-th pull takes the k-th stretch of the examples, the same for all arms, so that their means
    differ by the prompts and not by how easy the examples are; else every pull draws anew, as in ProTeGi.
    `likelihood`: see `reward`. `room(calls)`: whether the budget has room for so many target calls.
    """

    evaluator: Evaluator
    prompts: Sequence[Prompt]
    examples: Sequence[Example]
    sample: int
    rng: np.random.Generator
    room: Callable[[int], bool]
    paired: bool = True
    likelihood: bool = True
    _done: dict[int, int] = field(default_factory=dict)

    @property
    def most(self) -> int | None:
        """How often an arm can be pulled; None: without end."""
        return max(1, len(self.examples) // self.sample) if self.paired else None

    async def __call__(self, arms: Sequence[int]) -> list[list[float]] | None:
        """The rewards of each of the arms; None where the budget has no room for all of them."""
        drawn = [self._stretch(arm) for arm in arms]
        jobs = [Job(self.prompts[arm], examples) for arm, examples in zip(arms, drawn, strict=True)]
        if not self.room(sum(len(job.examples) for job in jobs)):
            return None
        try:
            if await self.evaluator.measure(*jobs) < len(jobs):
                return None
        except BudgetExceeded:  # tokens, dollars or minutes
            return None
        return [self._rewards(job) for job in jobs]

    def _stretch(self, arm: int) -> list[Example]:
        done = self._done[arm] = self._done.get(arm, -1) + 1
        if self.paired:
            return list(self.examples[done * self.sample : (done + 1) * self.sample])
        return shuffled(self.examples, self.rng)[: self.sample]

    def _rewards(self, job: Job) -> list[float]:
        wanted = {e.id for e in job.examples}
        records = (r for r in self.evaluator.records(job.prompt.id, "search") if r.example_id in wanted)
        values = (reward(self.evaluator.task, r, likelihood=self.likelihood) for r in records if r.repeat == 0)
        return [value for value in values if value is not None]
