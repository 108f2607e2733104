"""`opro`: optimisation by prompting (arXiv 2309.03409; docs/strategies.md).

The agent model reads the best prompts so far with their scores, worst first, and writes a new one; it sees no failures.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field

from ..agents.history import from_history
from ..tasks.prompt import Prompt
from .search import Search
from .search_loop import build_loop
from .strategy import SPO, Preset, SearchOptions, Strategy


class OproOptions(SearchOptions):
    """Options of `opro`: it reads the `history` best prompts; `temperature` is that of the agent model's requests."""

    history: int = Field(default=20, ge=1, le=100)
    temperature: float = Field(default=1.0, ge=0, le=2)


async def propose(search: Search) -> list[Prompt]:
    """Q prompts, each written after reading the same history with other examples."""
    options = search.options
    assert isinstance(options, OproOptions)
    scores = search.estimates(sorted(search.known))
    best = sorted(scores, key=lambda i: (-scores[i], i))[: options.history]
    history = [(search.session.prompt(i), scores[i]) for i in reversed(best)]

    async def one(index: int) -> Prompt | None:
        here = search.situation(search.champion, search.generator("propose", index))
        return await from_history(here, history, search.attempt(index), temperature=options.temperature)

    return search.distinct(await search.each(one))


STRATEGY = Strategy(
    partial(build_loop, propose), OproOptions, {"faithful": Preset({"candidates": 8, "history": 20}, SPO.rules)}
)
