"""`random`: error-informed random search (SAGE, arXiv 2606.18902; ALGORITHMS section 1.1).

Each iteration proposes Q candidates, each an independent rewrite of a prompt drawn from the P best and made from
its own random sample of that prompt's errors.
"""

from __future__ import annotations

from ..agents.rewriter import rewrite
from ..tasks.prompt import Prompt
from .at_once import at_once
from .search_loop import build_loop, distinct, drawn, proposed, situation, tried
from .session import Session
from .state import Graph, RunState, Update
from .strategy import SPO, Strategy


def build() -> Graph:
    """The strategy's subgraph."""
    return build_loop(propose)


async def propose(session: Session, state: RunState) -> Update:
    """Q rewrites of prompts drawn from the pool; the playbook edits where no agent model is set."""
    iteration = state["iteration"] + 1
    known = session.known_before(iteration)
    failed = tried(session, iteration)

    async def one(index: int) -> Prompt | None:
        rng = session.generator(iteration, "propose", index)
        here = situation(session, drawn(session, state, rng), iteration, rng)
        return await rewrite(here, known, session.desk, iteration=iteration, index=index, tried=failed)

    children = await at_once(one(index) for index in range(session.options.candidates))
    return proposed(session, state, iteration, distinct(session, state, iteration, children, known))


STRATEGY = Strategy(build, presets={"faithful": SPO})
