"""`random`: error-informed random search (SAGE, arXiv 2606.18902; docs/strategies.md).

Each iteration proposes Q candidates, each an independent rewrite of a prompt drawn from the P best and made from
its own random sample of that prompt's errors.
"""

from __future__ import annotations

from functools import partial

from ..agents.rewriter import rewrite
from ..tasks.prompt import Prompt
from .search import Search
from .search_loop import build_loop
from .strategy import SPO, Strategy


async def propose(search: Search) -> list[Prompt]:
    """Q rewrites of prompts drawn from the pool; the playbook edits where no agent model is set."""

    async def one(index: int) -> Prompt | None:
        rng = search.generator("propose", index)
        return await rewrite(search.situation(search.drawn(rng), rng), search.attempt(index))

    return search.distinct(await search.each(one))


STRATEGY = Strategy(partial(build_loop, propose), presets={"faithful": SPO})
