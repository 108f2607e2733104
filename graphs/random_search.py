"""`random`: error-informed random search (SAGE, arXiv 2606.18902; ALGORITHMS section 1.1).

Each iteration proposes Q candidates, each an independent rewrite of a prompt drawn from the P best and made from
its own random sample of that prompt's errors.
"""

from __future__ import annotations

from ..agents import playbook
from ..agents.rewriter import rewrite
from ..tasks.prompt import Prompt
from .at_once import at_once
from .search_loop import build_loop, proposed, situation, tried
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
        parent = session.prompt(state["pool"][int(rng.integers(len(state["pool"])))])
        here = situation(session, parent, iteration, rng)
        return await rewrite(here, known, session.desk, iteration=iteration, index=index, tried=failed)

    children = await at_once(one(index) for index in range(session.options.candidates))
    return proposed(session, state, iteration, distinct(session, state, iteration, children, known))


def distinct(
    session: Session, state: RunState, iteration: int, children: list[Prompt | None], known: set[str]
) -> list[Prompt]:
    """The children without repeats; a repeat is replaced by another edit of the playbook's, where it has one."""
    kept: dict[str, Prompt] = {}
    for index, child in enumerate(children):
        if child is None or child.id in kept:
            rng = session.generator(iteration, "replace", index)
            parent = session.prompt(state["pool"][index % len(state["pool"])])
            child = playbook.edit(situation(session, parent, iteration, rng), known | set(kept))
        if child is not None:
            kept.setdefault(child.id, child)
    return list(kept.values())


STRATEGY = Strategy(build, presets={"faithful": SPO})
