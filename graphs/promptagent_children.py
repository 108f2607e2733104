"""How `promptagent` makes the children of a node: feedback on errors of it, and prompts that follow the feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..agents.attempt import Attempt
from ..agents.gradient import can_be_written, gradients
from ..agents.operators import Situation
from ..agents.transition import transition
from ..agents.writing import sample
from ..errors import BudgetExceeded
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from .at_once import at_once
from .promptagent_options import PromptAgentOptions
from .search import Search


@dataclass(frozen=True)
class Children:
    """The children of `node` in one iteration. `way`: the nodes above it, oldest first; `wanted`: ids of the examples
    that its errors may come from; `tried`: texts that were found no better."""

    search: Search
    o: PromptAgentOptions
    node: Prompt
    way: Sequence[Prompt]
    wanted: frozenset[str]
    tried: tuple[str, ...]

    async def made(self) -> list[Prompt | None]:
        """A prompt of a new id for each child, each a child of the node by its `parents`; None where there is none.

        All are asked the same kind of question before any is asked the next: who gets the last agent calls of a budget
        must not depend on time.
        """
        o, moves = self.o, self.o.moves or 1
        here = [self._situation(n) for n in range(o.candidates)]
        errors = [sample(at, moves * o.errors) for at in here]
        found: list[Prompt | None] = [None] * o.candidates
        for move in range(moves):
            shown = [part[move * o.errors : (move + 1) * o.errors] for part in errors]
            places = [
                (replace(at, prompt=child or self.node), part, self._attempt(n * moves + move), child)
                for n, (at, part, child) in enumerate(zip(here, shown, found, strict=True))
            ]
            told = await at_once(self._feedback(at, part, attempt) for at, part, attempt, _ in places)
            found = await at_once(self._moved(*place, reason, move) for place, reason in zip(places, told, strict=True))
        return found

    def _situation(self, n: int) -> Situation:
        here = self.search.situation(self.node, self.search.generator("expand", n))
        return replace(here, records=[r for r in here.records if r.example_id in self.wanted], unseen=frozenset())

    def _attempt(self, number: int) -> Attempt:
        return replace(self.search.attempt(number), tried=self.tried)

    async def _feedback(self, at: Situation, errors: Sequence[Record], attempt: Attempt) -> str:
        if not self.o.two_requests or not errors or not can_be_written(at.prompt, attempt):
            return ""
        try:
            return "\n".join(await gradients(at, errors, attempt))
        except BudgetExceeded:
            return ""

    async def _moved(
        self, at: Situation, errors: Sequence[Record], attempt: Attempt, so_far: Prompt | None, reason: str, move: int
    ) -> Prompt | None:
        """The prompt after one more transition; the playbook makes the first one only."""
        if move and (not errors or attempt.desk is None):
            return so_far
        child = await transition(at, errors, self.way, attempt, reason)
        if child is None:
            return so_far
        shown = tuple(dict.fromkeys((*(so_far.shown if so_far else ()), *child.shown)))
        # What lies between is never measured: the child hangs on the node.
        return child.model_copy(update={"parents": (self.node.id,), "shown": shown})
