"""Leaving sentences out: does each one that was added pay its way, on the examples that it is about?

A bundle of edits is accepted as a whole; the harmful and the idle ones in it are found by taking each out in turn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.evaluator import Evaluator, Job, paired_differences
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .edits import Edit, applied

ABOUT = 14
"""A sentence is left out on so many of the examples that it is about, ..."""

ANY = 20
"""... or on so many examples drawn at random where nobody knows what it is about."""


@dataclass(frozen=True)
class Part:
    """A sentence of the champion that was added for a direction; `matched` are the examples it is about."""

    sentence: str
    matched: frozenset[str]


@dataclass(frozen=True)
class Ablation:
    """What leaving a sentence out does: counts of examples that only the prompt with it, or without it, gets right."""

    part: Part
    n: int
    needed: int
    better_without: int

    @property
    def pays(self) -> bool:
        """Whether something is lost without it."""
        return self.needed > self.better_without

    @property
    def words(self) -> str:
        return f"left out on {self.n} examples: {self.needed} lost, {self.better_without} gained"

    @property
    def edit(self) -> Edit:
        return Edit(operation="remove", old=self.part.sentence)


async def ablate(
    evaluator: Evaluator,
    champion: Prompt,
    parts: Sequence[Part],
    examples: Sequence[Example],
    rng: np.random.Generator,
) -> list[Ablation]:
    """Measure the champion without each of the parts; those that the budget has no room for are left out.

    `examples` are those that it may be measured on. Raises BudgetExceeded when not even the first one fits.
    """
    jobs: list[Job] = []
    taken: list[Part] = []
    for part in parts:
        chosen = _drawn(examples, part.matched, rng)
        text = applied(champion.system, [Edit(operation="remove", old=part.sentence)])
        if not chosen or not text or text == champion.system:
            continue
        without = champion.edited(text=text, origin="one sentence left out")
        if evaluator.task.violations(without):
            continue
        jobs += [Job(without, chosen), Job(champion, chosen)]
        taken.append(part)
    measured = await evaluator.measure(*jobs) // 2 if jobs else 0
    found = []
    for i, part in enumerate(taken[:measured]):
        without, chosen = jobs[2 * i].prompt, jobs[2 * i].examples
        scores = evaluator.scores
        lost = paired_differences(scores(champion.id, chosen), scores(without.id, chosen))
        found.append(Ablation(part, len(lost), sum(d > 0 for d in lost), sum(d < 0 for d in lost)))
    return found


def _drawn(examples: Sequence[Example], matched: Collection[str], rng: np.random.Generator) -> list[Example]:
    about = [e for e in examples if e.id in matched]
    pool, most = (about, ABOUT) if len(about) >= ABOUT // 3 else (list(examples), ANY)
    return [pool[int(i)] for i in rng.permutation(len(pool))[:most]]
