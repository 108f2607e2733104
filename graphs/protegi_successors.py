"""How `protegi` expands prompts of its beam: gradients of their errors, edits against them, and their paraphrases.

All questions of one kind are asked at the same time, for all prompts, before the next kind: which of them would get the
last agent calls of a budget must not depend on how long the others take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..agents import playbook
from ..agents.attempt import Attempt
from ..agents.gradient import can_be_written, descend, gradients
from ..agents.operators import Situation
from ..agents.paraphrase import paraphrase
from ..agents.writing import sample
from ..errors import BudgetExceeded
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from .at_once import at_once
from .protegi_options import ProtegiOptions
from .search import Search


@dataclass(frozen=True)
class Parent:
    """A prompt that is expanded: its situation, and its errors in groups. `place` is its number in the step."""

    place: int
    here: Situation
    groups: Sequence[Sequence[Record]]


@dataclass(frozen=True)
class Expander:
    """Expands prompts in one iteration. `tried`: texts that were found no better."""

    search: Search
    o: ProtegiOptions
    tried: tuple[str, ...]

    def parent(self, place: int, prompt: Prompt, own: frozenset[str] | None) -> Parent:
        """The prompt with a sample of its errors, of those on the `own` examples where they are named."""
        here = self.search.situation(prompt, self.search.generator("errors", place))
        records = [r for r in here.records if own is None or r.example_id in own]
        here = replace(here, records=records, unseen=frozenset())
        errors = sample(here, self.o.groups * self.o.errors)
        size = self.o.errors
        return Parent(place, here, [errors[g * size : (g + 1) * size] for g in range(self.o.groups)])

    async def successors(self, parents: Sequence[Parent]) -> list[list[Prompt]]:
        """The successors of each of the prompts, in their order."""
        o = self.o
        slots = [(p, n) for p in parents for n in range(o.groups * o.gradients * o.edits)]
        asked = [(p, g) for p in parents for g in range(o.groups)]
        told = dict(zip(((p.place, g) for p, g in asked), await at_once(self._reasons(*a) for a in asked), strict=True))
        edited: list[Prompt | None] = [None] * len(slots)
        for link in range(o.chain):
            edited = await at_once(
                self._edit(p, n, link, child, told[p.place, (n // (o.gradients * o.edits) + link) % o.groups])
                for (p, n), child in zip(slots, edited, strict=True)
            )
        made: list[list[Prompt]] = [[] for _ in parents]
        for (p, n), child in zip(slots, edited, strict=True):
            child = child or playbook.edit(replace(p.here, rng=self._rng("edit", p, n)), self.search.known)
            if child is not None and child not in made[p.place]:
                made[p.place].append(child)
        again = [(p, n, k) for p in parents for n in range(len(made[p.place])) for k in range(o.paraphrases)]
        others = await at_once(self._paraphrase(p, n, k, made[p.place]) for p, n, k in again)
        for (p, *_), other in zip(again, others, strict=True):
            if other is not None and other not in made[p.place]:
                made[p.place].append(other)
        return made

    def _rng(self, role: str, parent: Parent, *number: int) -> np.random.Generator:
        return self.search.session.generator(self.search.iteration, role, parent.place, *number)

    def _attempt(self, number: int) -> Attempt:
        return replace(self.search.attempt(number), tried=self.tried)

    async def _reasons(self, p: Parent, group: int) -> list[str]:
        attempt = self._attempt(p.place * self.o.groups + group)
        if not p.groups[group] or not can_be_written(p.here.prompt, attempt):
            return []
        try:
            return await gradients(p.here, p.groups[group], attempt, most=self.o.gradients)
        except BudgetExceeded:
            return []

    async def _edit(self, p: Parent, n: int, link: int, so_far: Prompt | None, told: Sequence[str]) -> Prompt | None:
        """The `n`-th successor of a prompt after one more edit; each is made against another group's gradient."""
        o, parent = self.o, p.here.prompt
        slots = o.groups * o.gradients * o.edits
        attempt = self._attempt((p.place * slots + n) * o.chain + link)
        at = replace(p.here, prompt=so_far or parent)
        if not told or not can_be_written(at.prompt, attempt):
            return so_far
        # Where fewer gradients came than were asked for, more edits are made against each.
        group = (n // (o.gradients * o.edits) + link) % o.groups
        child = await descend(at, told[n % len(told)], p.groups[group], attempt)
        if child is None:
            return so_far
        # What lies between is never measured: the beam's prompt is the parent, and whoever wrote a part saw its errors.
        shown = tuple(dict.fromkeys((*(so_far.shown if so_far else ()), *child.shown)))
        return child.model_copy(update={"parents": (parent.id,), "shown": shown})

    async def _paraphrase(self, p: Parent, n: int, k: int, made: Sequence[Prompt]) -> Prompt | None:
        child, o = made[n], self.o
        slots = o.groups * o.gradients * o.edits
        attempt = self._attempt((p.place * slots + n) * o.paraphrases + k)
        at = replace(p.here, prompt=child, rng=self._rng("paraphrase", p, n, k))
        known = self.search.known | {other.id for other in made}
        other = await paraphrase(at, replace(attempt, known=known))
        if other is None:
            return None
        origin = f"{child.origin}, {other.origin}"
        return other.model_copy(update={"parents": child.parents, "origin": origin, "shown": child.shown})
