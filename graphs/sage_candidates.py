"""How `sage` makes candidates of directions: edits that earn their place together, the playbook's, and `random`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..agents import playbook
from ..agents.directed import directed_operators
from ..agents.edits import Edit, edited
from ..agents.proposer import Proposed
from ..agents.rewriter import rewrite
from ..tasks.prompt import Prompt
from . import bundles, diagnosis
from .at_once import at_once
from .search import Search
from .session import Session
from .state import RunState

FILL = 3
"""Candidates from `random`'s operator where an agent model proposed nothing of use."""


def together(session: Session, champion: Prompt, chosen: Sequence[Proposed]) -> Prompt:
    edits: list[Edit] = [edit for one in chosen for edit in one.edits]
    shown = tuple(dict.fromkeys(i for one in chosen for i in one.shown))
    origin = f"{len(edits)} edit{'s' * (len(edits) > 1)} for {len(chosen)} direction{'s' * (len(chosen) > 1)}"
    return edited(session.task, champion, edits, origin).model_copy(update={"shown": shown})


async def earned(session: Session, state: RunState) -> tuple[list[Proposed], bool]:
    """The proposals with the edits that earn their place in the bundle of all, and whether that was measured.

    Where the budget has no room for it, all of them: they have to pass a screen like any candidate.
    """
    iteration, champion = state["iteration"], session.prompt(state["champion"])
    proposals = diagnosis.proposals(session, iteration)
    trials = diagnosis.trials(proposals)
    rng = session.generator(iteration, "attribution")
    shares = await bundles.shares(session, champion, trials, rng, iteration=iteration) if trials else None
    if shares is None:
        return proposals, False
    kept = diagnosis.keep_shares(session, iteration, proposals, shares)
    return kept, True


async def directed(session: Session, state: RunState, directions: Sequence[int], known: set[str]) -> list[Prompt]:
    """The playbook's candidates, one for each direction."""
    search = Search(session, state, state["iteration"])
    found: list[Prompt] = []
    for place, index in enumerate(directions):
        direction = diagnosis.direction(session, state["iteration"], index)
        here = search.situation(search.champion, search.generator("directed", place))
        group = direction.claim.partition(": fails")[0]
        operators = directed_operators(direction.matched, group)
        child = playbook.edit(here, known | {c.id for c in found}, operators, pair=True)
        if child is not None:
            found.append(child)
            diagnosis.link(session, state["iteration"], index, child)
    return found


def scores_labels(session: Session, champion: str) -> bool:
    """Whether the target scores the labels: a small local model, which learns most from worked examples, and on which
    24 examples tell candidates apart by likelihood."""
    return any(r.label_logprobs for r in session.evaluator.records(champion, "search"))


def from_playbook(session: Session, state: RunState, known: set[str]) -> list[Prompt]:
    """The playbook's candidates beside an agent's: other worked examples, other forms of the text."""
    search = Search(session, state, state["iteration"])
    found: list[Prompt] = []
    for place in range(session.options.candidates - FILL):
        rng = search.generator("playbook", place)
        here = search.situation(search.drawn(rng), rng)
        child = playbook.edit(here, known | {c.id for c in found})
        if child is not None:
            found.append(child)
    return found


async def fill(session: Session, state: RunState, kept: dict[str, Prompt], known: set[str], missing: int) -> None:
    """Make up for missing candidates by `random`'s operator."""
    search = Search(session, state, state["iteration"])
    failed = diagnosis.tried(session, state["champion"], search.iteration)
    kept_back = diagnosis.confirmation_half(session, state)

    async def one(index: int) -> Prompt | None:
        rng = search.generator("fill", index)
        here = search.situation(search.drawn(rng), rng)
        here = replace(here, unseen=here.unseen | kept_back)
        return await rewrite(here, replace(search.attempt(index), known=frozenset(known), tried=failed))

    for child in await at_once(one(index) for index in range(max(0, missing))):
        if child is not None:
            kept.setdefault(child.id, child)
