"""`genetic`: a population of prompts that are crossed and mutated (SAGE, arXiv 2606.18902; docs/strategies.md).

Parents are drawn by roulette on fitness, crossover and mutation are one request to the agent model, which sees errors
of both parents, and the best of parents and children survive: EvoPrompt's genetic algorithm (arXiv 2309.08532, section
3.2) with an error context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from pydantic import Field

from ..agents.crossover import crossover
from ..tasks.prompt import Prompt
from .search import Search
from .search_loop import build_loop
from .strategy import SPO, Preset, SearchOptions, Strategy

LEAST_FITNESS = 0.01
"""Of a prompt that gets nothing right: it may still be drawn."""


class GeneticOptions(SearchOptions):
    """Options of `genetic`: `pool` is the size of its population.

    A share `mechanical` of the children is spliced of two parents' sentences and edited by the playbook, without asking
    an agent model.
    """

    pool: int = Field(default=10, ge=2, le=64)
    mechanical: float = Field(default=0.25, ge=0, le=1)


async def breed(search: Search) -> list[Prompt]:
    """Q children of parents drawn by fitness; `validate` keeps the P best of them and their parents as the pool."""
    options = search.options
    assert isinstance(options, GeneticOptions)
    fitness = search.estimates(search.state["pool"])

    async def one(index: int) -> Prompt | None:
        rng = search.generator("breed", index)
        mother, father = (search.situation(search.session.prompt(roulette(fitness, rng)), rng) for _ in range(2))
        attempt = search.attempt(index)
        return await crossover(
            mother, father, replace(attempt, desk=None) if rng.random() < options.mechanical else attempt
        )

    return search.distinct(await search.each(one))


def roulette(fitness: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the prompts, each with a probability proportional to its fitness."""
    weights = np.maximum(list(fitness.values()), LEAST_FITNESS)
    return list(fitness)[int(rng.choice(len(weights), p=weights / weights.sum()))]


STRATEGY = Strategy(
    partial(build_loop, breed),
    GeneticOptions,
    {
        "faithful": Preset({"candidates": 10, "pool": 10, "iterations": 10, "mechanical": 0.0}, SPO.rules),
        "spo": Preset({**SPO.options, "mechanical": 0.0}, SPO.rules),
    },
)
