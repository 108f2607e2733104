"""`opro`: optimisation by prompting (arXiv 2309.03409; ALGORITHMS section 8).

The agent model reads the best prompts so far with their scores, worst first, and writes a new one; it sees no failures.
"""

from __future__ import annotations

from pydantic import Field

from ..agents.history import from_history
from ..tasks.prompt import Prompt
from .at_once import at_once
from .search_loop import build_loop, distinct, estimates, proposed, situation
from .session import Session
from .state import Graph, RunState, Update
from .strategy import SPO, Preset, SearchOptions, Strategy


class OproOptions(SearchOptions):
    """Options of `opro`: it reads the `history` best prompts; `temperature` is that of the agent model's requests."""

    history: int = Field(default=20, ge=1, le=100)
    temperature: float = Field(default=1.0, ge=0, le=2)


def build() -> Graph:
    """The strategy's subgraph."""
    return build_loop(propose)


async def propose(session: Session, state: RunState) -> Update:
    """Q prompts, each written after reading the same history with other examples."""
    options = session.options
    assert isinstance(options, OproOptions)
    iteration = state["iteration"] + 1
    known = session.known_before(iteration)
    scores = estimates(session, sorted(known))
    best = sorted(scores, key=lambda i: (-scores[i], i))[: options.history]
    history = [(session.prompt(i), scores[i]) for i in reversed(best)]
    champion = session.prompt(state["champion"])

    async def one(index: int) -> Prompt | None:
        here = situation(session, champion, iteration, session.generator(iteration, "propose", index))
        return await from_history(
            here, history, known, session.desk, iteration=iteration, index=index, temperature=options.temperature
        )

    children = await at_once(one(index) for index in range(options.candidates))
    return proposed(session, state, iteration, distinct(session, state, iteration, children, known))


STRATEGY = Strategy(build, OproOptions, {"faithful": Preset({"candidates": 8, "history": 20}, SPO.rules)})
