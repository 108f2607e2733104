"""The place of the run where one new prompt is to be made."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from ..errors import BudgetExceeded
from ..tasks.prompt import Prompt
from .ask import AgentDesk, fence

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a new prompt: the `index`-th of an `iteration`.

    `desk`: where an agent model is asked, None where there is none. `known`: ids of prompts that it must differ from.
    `tried`: texts that were found no better.
    """

    desk: AgentDesk | None
    iteration: int
    index: int
    known: frozenset[str] = frozenset()
    tried: Sequence[str] = ()

    def fence(self, *content: object) -> str:
        """The name of the tags of a request at this place, which no content can know."""
        seed = self.desk.calls.seed if self.desk else 0
        return fence(seed, self.iteration, self.index, *content)

    async def ask(
        self, schema: type[S], message: str, *, role: str, max_tokens: int = 2048, temperature: float = 0.7
    ) -> S | None:
        """The agent's reply to `message` as `schema`; None where it is of no use or there is no agent model.

        Each `role` is asked once at a place.

        Raises BudgetExceeded where no agent call is left.
        """
        if self.desk is None:
            return None
        return await self.desk.ask(
            schema,
            [{"role": "user", "content": message}],
            role=role,
            iteration=self.iteration,
            index=self.index,
            max_tokens=max_tokens,
            temperature=temperature,
        )

    async def fresh(self, asking: Awaitable[Prompt | None]) -> Prompt | None:
        """The prompt that an agent wrote; None where it is a known one, of no use, or no agent call is left."""
        try:
            child = await asking
        except BudgetExceeded:
            return None
        return None if child is None or child.id in self.known else child
