"""`ape`: automatic prompt engineer (arXiv 2211.01910; docs/strategies.md).

Instructions are sampled from right answers, the best by score are kept, and varied in other words: iterative
Monte-Carlo search around what is good. It sees no failures.
"""

from __future__ import annotations

from functools import partial

from pydantic import Field

from ..agents.induction import inferred, variation
from ..tasks.prompt import Prompt
from .search import Search
from .search_loop import build_loop
from .strategy import SPO, Preset, SearchOptions, Strategy


class ApeOptions(SearchOptions):
    """Options of `ape`: the first `sampling` iterations infer instructions from `pairs` of input and right output, each
    from a draw of its own; later ones vary the `pool` best, but for a share `fresh` that is inferred anew.
    `temperature` is that of the agent model's requests (0.9 in the paper)."""

    pool: int = Field(default=4, ge=1, le=64)
    sampling: int = Field(default=3, ge=1)
    fresh: float = Field(default=0.25, ge=0, le=1)
    temperature: float = Field(default=0.9, ge=0, le=2)


async def sample(search: Search) -> list[Prompt]:
    """Q instructions inferred from right answers; later on variations of the best."""
    options = search.options
    assert isinstance(options, ApeOptions)

    async def one(index: int) -> Prompt | None:
        rng = search.generator("sample", index)
        inferring = search.round <= options.sampling or rng.random() < options.fresh
        base = search.seed_prompt if inferring else search.drawn(rng)
        here, attempt = search.situation(base, rng), search.attempt(index)
        if inferring:
            return await inferred(here, attempt, pairs=options.pairs, temperature=options.temperature)
        return await variation(here, attempt, temperature=options.temperature)

    return search.distinct(await search.each(one))


STRATEGY = Strategy(
    partial(build_loop, sample),
    ApeOptions,
    {"faithful": Preset({"candidates": 50, "pool": 25, "iterations": 4, "sampling": 1, "fresh": 0.0}, SPO.rules)},
)
