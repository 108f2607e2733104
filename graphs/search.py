"""What a strategy sees of its run when it proposes: the prompts, what was measured of them, and an agent to ask."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents import playbook
from ..agents.attempt import Attempt
from ..agents.meta_instruction import ORIGIN as META
from ..agents.operators import Situation, new_sentences
from ..evaluation.shrinkage import shrunken_estimates
from ..tasks.prompt import Prompt
from ..tasks.task import Task
from ..traces.rows import Decision
from .at_once import at_once
from .session import Session
from .strategy import SearchOptions

if TYPE_CHECKING:
    from .state import RunState

REFUTED = ("not better", "breaks too much", "screened out")
"""Outcomes that speak against what a candidate tried."""

MOST_TRIED = 12
"""So many of the texts that were tried last stand in a request."""


@dataclass(frozen=True)
class Search:
    """One iteration of one run, as its strategy sees it.

    All of it depends on what stands in the run store alone, so that an iteration that is run again after a crash sees
    what it saw the first time. Draw from `generator` only, for the same reason.
    """

    session: Session
    state: RunState
    iteration: int

    @property
    def task(self) -> Task:
        """What a prompt is sought for. Its test split is for certification alone."""
        return self.session.task

    @property
    def options(self) -> SearchOptions:
        """The strategy's options."""
        return self.session.options

    @property
    def champion(self) -> Prompt:
        """The prompt to beat."""
        return self.session.prompt(self.state["champion"])

    @property
    def seed_prompt(self) -> Prompt:
        """The prompt that the run began with."""
        return self.session.prompt(self.state["seed_prompt"])

    @property
    def start(self) -> Prompt:
        """What the search set out from: the seed prompt, or what was inferred from right answers where that won."""
        found = self._inferred
        return self.session.prompt(found.prompt_id) if found and found.verdict == "accepted" else self.seed_prompt

    @property
    def round(self) -> int:
        """The number of this iteration among the strategy's own."""
        return len(self.earlier) + 1

    @cached_property
    def earlier(self) -> list[int]:
        """The strategy's own iterations before this one: not that of a start from right answers, nor those of others
        that share the run."""
        if not self.session.turn:
            return list(range(1 + (self._inferred is not None), self.iteration))
        turns = self.session.turns_before(self.state["step"])
        ends = [*(turn.iteration for turn in turns[1:]), self.iteration]
        return [
            number
            for turn, end in zip(turns, ends, strict=True)
            if turn.strategy == self.session.turn
            for number in range(turn.iteration, end)
        ]

    @cached_property
    def _inferred(self) -> Decision | None:
        """The verdict on the prompt that was inferred from right answers, where there was one."""
        first = self.session.decisions_of(1) if self.state.get("init") == "meta" else []
        return next((d for d in first if self.session.prompt(d.prompt_id).origin == META), None)

    @cached_property
    def pool(self) -> list[Prompt]:
        """The P best prompts, the champion first: what candidates are made from."""
        return [self.session.prompt(prompt_id) for prompt_id in self.state["pool"]]

    @cached_property
    def known(self) -> frozenset[str]:
        """Ids of the prompts of earlier iterations: what a proposal must differ from."""
        return frozenset(self.session.known_before(self.iteration))

    @cached_property
    def tried(self) -> tuple[str, ...]:
        """What earlier candidates added to their parents' texts and was found no better, newest last."""
        texts: list[str] = []
        for decision in self.session.decisions_before(self.iteration):
            prompt = self.session.prompt(decision.prompt_id)
            # Of a whole prompt that did not win nobody knows which of its sentences is to blame.
            if decision.verdict not in REFUTED or not prompt.parents or prompt.origin == META:
                continue
            new = new_sentences(prompt, *map(self.session.prompt, prompt.parents))
            texts += [sentence for sentence in new if sentence not in texts]
        return tuple(texts[-MOST_TRIED:])

    def generator(self, role: str, index: int = 0) -> np.random.Generator:
        """A generator of its own for this place of the run."""
        return self.session.generator(self.iteration, role, index)

    def drawn(self, rng: np.random.Generator) -> Prompt:
        """One prompt of the pool, at random."""
        return self.pool[int(rng.integers(len(self.pool)))]

    def situation(self, prompt: Prompt, rng: np.random.Generator) -> Situation:
        """What an agent may look at when it changes `prompt`: its records on the search split, the pool of demos."""
        records = self.session.evaluator.records(prompt.id, "search")
        panels = self.session.panels
        unseen = frozenset(example.id for example in panels.panel(self.iteration))
        return Situation(self.task, prompt, records, panels.demo_pool, rng, unseen)

    def attempt(self, index: int) -> Attempt:
        """The place of this iteration's `index`-th candidate, where an agent may be asked for it."""
        return Attempt(self.session.desk, self.iteration, index, self.known, self.tried)

    def estimates(self, prompt_ids: Iterable[str]) -> dict[str, float]:
        """How good each of the prompts that were measured is thought to be, by the run's rule."""
        return estimates(self.session, prompt_ids)

    async def each(self, one: Callable[[int], Coroutine[Any, Any, Prompt | None]]) -> list[Prompt | None]:
        """What `one(index)` makes for each of the Q candidates, at the same time."""
        return await at_once(one(index) for index in range(self.options.candidates))

    def distinct(self, children: Sequence[Prompt | None]) -> list[Prompt]:
        """The children without repeats; a repeat is replaced by another edit of the playbook's, where it has one."""
        kept: dict[str, Prompt] = {}
        for index, child in enumerate(children):
            if child is None or child.id in kept:
                here = self.situation(self.pool[index % len(self.pool)], self.generator("replace", index))
                child = playbook.edit(here, self.known | set(kept))
            if child is not None:
                kept.setdefault(child.id, child)
        return list(kept.values())


def estimates(session: Session, prompt_ids: Iterable[str]) -> dict[str, float]:
    """How good each of the prompts that were measured is thought to be, by the run's rule."""
    scores = measured(session, prompt_ids)
    if session.rules.estimate == "mean":
        return {i: sum(row.values()) / len(row) for i, row in scores.items()}
    return {i: found.estimate for i, found in shrunken_estimates(scores).items()}


def measured(session: Session, prompt_ids: Iterable[str]) -> dict[str, dict[tuple[str, int], float]]:
    """The scores of those of the prompts that have any, by (example id, repeat), on search and holdout."""
    everything = session.evaluator.all_scores(("search", "holdout"), prompt_ids)
    return {prompt_id: scores for prompt_id, scores in everything.items() if scores}
