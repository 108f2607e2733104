"""`genetic`: a population of prompts that are crossed and mutated (SAGE, arXiv 2606.18902; ALGORITHMS section 1.2).

Parents are drawn by roulette on fitness, crossover and mutation are one request to the agent model, which sees errors
of both parents, and the best of parents and children survive: EvoPrompt's genetic algorithm (arXiv 2309.08532, section
3.2) with an error context.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from ..agents.crossover import crossover
from ..tasks.prompt import Prompt
from .at_once import at_once
from .search_loop import build_loop, distinct, estimates, proposed, situation, tried
from .session import Session
from .state import Graph, RunState, Update
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


def build() -> Graph:
    """The strategy's subgraph."""
    return build_loop(breed)


async def breed(session: Session, state: RunState) -> Update:
    """Q children of parents drawn by fitness; `validate` keeps the P best of them and their parents as the pool."""
    options = session.options
    assert isinstance(options, GeneticOptions)
    iteration = state["iteration"] + 1
    known, failed = session.known_before(iteration), tried(session, iteration)
    fitness = estimates(session, state["pool"])

    async def one(index: int) -> Prompt | None:
        rng = session.generator(iteration, "breed", index)
        mother, father = (situation(session, session.prompt(roulette(fitness, rng)), iteration, rng) for _ in range(2))
        desk = None if rng.random() < options.mechanical else session.desk
        return await crossover(mother, father, known, desk, iteration=iteration, index=index, tried=failed)

    children = await at_once(one(index) for index in range(options.candidates))
    return proposed(session, state, iteration, distinct(session, state, iteration, children, known))


def roulette(fitness: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the prompts, each with a probability proportional to its fitness."""
    weights = np.maximum(list(fitness.values()), LEAST_FITNESS)
    return list(fitness)[int(rng.choice(len(weights), p=weights / weights.sum()))]


STRATEGY = Strategy(
    build,
    GeneticOptions,
    {
        "faithful": Preset({"candidates": 10, "pool": 10, "iterations": 10, "mechanical": 0.0}, SPO.rules),
        "spo": Preset({**SPO.options, "mechanical": 0.0}, SPO.rules),
    },
)
