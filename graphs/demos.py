"""`demos`: random search over worked examples only (ALGORITHMS section 8).

What any cleverer method must beat at an equal budget: the text stays as it is, each candidate shows another small
random set of examples.
"""

from __future__ import annotations

from ..agents import playbook
from ..agents.operators import fresh_demos
from .search_loop import build_loop, proposed, situation
from .session import Session
from .state import Graph, RunState, Update
from .strategy import Strategy


def build() -> Graph:
    """The strategy's subgraph."""
    return build_loop(propose)


async def propose(session: Session, state: RunState) -> Update:
    """Q random sets of demos under the seed prompt's text."""
    iteration = state["iteration"] + 1
    known = session.known_before(iteration)
    seed = session.prompt(state["seed_prompt"])
    children = []
    for index in range(session.options.candidates):
        rng = session.generator(iteration, "propose", index)
        child = playbook.edit(situation(session, seed, iteration, rng), known, {fresh_demos: 1.0})
        if child is not None and child.id not in {c.id for c in children}:
            children.append(child)
    return proposed(session, state, iteration, children)


STRATEGY = Strategy(build)
