"""`protegi`: textual gradients, a beam, and a bandit that selects it (ProTeGi, arXiv 2305.03495).

Each step expands prompts of the beam: what a minibatch of theirs gets wrong is put into words, the prompt is changed
against each of these gradients, and its successors are said in other words. A bandit measures the promising ones more
and keeps the best as the next beam; its best one challenges the champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from ..agents.operators import sentences
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.panels import without_demos
from ..seeding import shuffled
from ..tasks.prompt import Prompt
from .beam import pulled, ranking, verdicts
from .challenge import challenge, may_challenge, taken
from .protegi_options import ProtegiOptions, options_of
from .protegi_successors import Expander
from .search import Search
from .search_loop import build_steps, proposed, settle
from .session import Session
from .state import Graph, RunState, Update
from .strategy import SPO, Preset, Strategy

CHALLENGERS = 1
"""So many prompts of the beam that seem better than the champion race against it after a step."""


def build() -> Graph:
    """The strategy's subgraph of two steps: `expand` makes successors, `select` keeps the best of them and the beam."""
    return build_steps(expand, select)


async def expand(session: Session, state: RunState) -> Update:
    """Successors of the beam's prompts: changed against what they get wrong, and said in other words."""
    search, o = Search(session, state, state["iteration"] + 1), options_of(session)
    parents = most_promising(search)[: o.parents]
    session.hold_certification(search.champion)
    minibatches = [_minibatch(search, parent, place) for place, parent in enumerate(parents)]
    with suppress(BudgetExceeded):  # `select` sees whether a comparison can still be paid
        await session.evaluator.measure(*(job for job in minibatches if job.examples))
    standing = {s for prompt in search.pool for s in sentences(prompt.system)}
    tried = tuple(text for text in search.tried if text not in standing)

    expander = Expander(search, o, tried)
    own = [frozenset(e.id for e in job.examples) if o.own_errors else None for job in minibatches]
    found = await expander.successors(
        [expander.parent(place, parent, own[place]) for place, parent in enumerate(parents)]
    )
    most = max(1, o.candidates // len(parents))
    chosen = [child for place, made in enumerate(found) for child in _some(made, most, search, place)]
    return proposed(session, state, search.iteration, search.distinct(chosen))


def most_promising(search: Search) -> list[Prompt]:
    """The beam's prompts, the ones thought to be the best first: they need not have become champions."""
    found = search.estimates(search.state["pool"])
    return sorted(search.pool, key=lambda p: -found.get(p.id, 0.0))


def _minibatch(search: Search, parent: Prompt, place: int) -> Job:
    unseen = without_demos(search.session.panels.everything, parent)
    o, known = options_of(search.session), search.session.evaluator.records(parent.id, "search")
    if search.session.desk is None and not o.own_errors and len(known) >= (o.minibatch or 0):
        return Job(parent, [])  # the playbook reads counts, and these are there
    return Job(parent, shuffled(unseen, search.generator("minibatch", place))[: o.minibatch])


def _some(made: Sequence[Prompt], most: int, search: Search, place: int) -> list[Prompt]:
    """So many of a parent's successors, drawn at random before anything is measured."""
    order = search.generator("successors", place).permutation(len(made))[:most]
    return [made[int(i)] for i in sorted(order)]


async def select(session: Session, state: RunState) -> Update:
    """Measure beam and successors as a bandit says, keep the best, and let its first one challenge the champion."""
    search, o = Search(session, state, state["iteration"]), options_of(session)
    ids = list(dict.fromkeys((*state["pool"], *state["candidates"])))
    session.hold_certification(search.champion)
    seen = await pulled(search, ids, o)
    found = ranking(search, ids, seen, o)
    best = list(found)[: o.pool]
    said = verdicts(state["candidates"], ids, seen, best)
    if o.accept == "mean":
        # Where the budget ended before the champion was pulled, nobody has beaten it.
        first = best[0] if search.champion.id in found else search.champion.id
        outcome = taken(session, search.champion, first, said, seen.cut, "the highest mean reward of the beam")
    else:
        better = [i for i in best if found[i] > found.get(state["champion"], 0.0)]
        contenders = may_challenge(session, state, better)[:CHALLENGERS]
        outcome = await challenge(session, state, contenders, {v.prompt_id: v for v in said}, spent=seen.cut)
    update = settle(session, state, outcome)
    lead = update["champion"]
    return {**update, "pool": [lead, *(i for i in best if i != lead)][: o.pool]}


STRATEGY = Strategy(
    build,
    ProtegiOptions,
    {
        "faithful": Preset(
            {
                "candidates": 32,
                "pool": 4,
                "parents": 4,
                "minibatch": 64,
                "groups": 1,
                "gradients": 4,
                "chain": 1,
                "paraphrases": 2,
                "own_errors": True,
                "exploration": 1.0,
                "rounds": 8,
                "width": 8,
                "sample": 32,
                "paired": False,
                "likelihood": False,
                "accept": "mean",
                "iterations": 6,
            },
            SPO.rules,
        )
    },
)
