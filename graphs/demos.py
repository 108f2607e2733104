"""`demos`: random search over worked examples only (docs/strategies.md).

What any cleverer method must beat at an equal budget: the text stays as it is, each candidate shows another small
random set of examples.
"""

from __future__ import annotations

from functools import partial

from ..agents import playbook
from ..agents.operators import fresh_demos
from ..tasks.prompt import Prompt
from .search import Search
from .search_loop import build_loop
from .strategy import Strategy


async def propose(search: Search) -> list[Prompt]:
    """Q random sets of demos under the text that the search set out from."""
    children: dict[str, Prompt] = {}
    for index in range(search.options.candidates):
        here = search.situation(search.start, search.generator("propose", index))
        child = playbook.edit(here, search.known, {fresh_demos: 1.0})
        if child is not None:
            children.setdefault(child.id, child)
    return list(children.values())


STRATEGY = Strategy(partial(build_loop, propose))
