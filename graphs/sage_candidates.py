"""How `sage` makes candidates of directions: edits that earn their place together, the playbook's, and `random`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..agents import playbook
from ..agents.directed import directed_operators
from ..agents.edits import Edit, edited
from ..agents.proposer import Proposed
from ..agents.rewriter import rewrite
from ..agents.validator import Outcome, Verdict
from ..agents.workspace import FAILS_BELOW
from ..evaluation.usefulness import REFUTED, SURE, odds_of
from ..tasks.prompt import Prompt
from . import bundles, diagnosis
from .archive import Archive, in_doubt, keep_left_out, spare
from .at_once import at_once
from .blame import blamed
from .search import Search
from .search_loop import judge
from .session import Session
from .state import RunState

FILL = 3
"""Candidates from `random`'s operator where an agent model proposed nothing of use."""


HIDDEN_ABOVE = 0.5
"""Where the champion fails more than this share, causes hide one another so much that leaving single edits out tells
little: what several requests named is taken together, and looked into in the next iteration."""

UNTRIED = 2
"""So many diagnoses of a run may come to edits that are taken together without leaving each out."""

TOGETHER = 12
"""So many edits are tried in one bundle: among more, those that do harm hide what the others mend."""


def together(session: Session, champion: Prompt, chosen: Sequence[Proposed], gone: Sequence[Edit]) -> Prompt:
    """The champion with all of the edits, and without the sentences that nobody misses (`gone`)."""
    edits: list[Edit] = [edit for one in chosen for edit in one.edits]
    shown = tuple(dict.fromkeys(i for one in chosen for i in one.shown))
    made = f"{len(edits)} edit{'s' * (len(edits) > 1)} for {len(chosen)} direction{'s' * (len(chosen) > 1)}"
    left_out = f"{len(gone)} sentence{'s' * (len(gone) > 1)} left out"
    origin = ", ".join([made] * bool(edits) + [left_out] * bool(gone))
    return edited(session.task, champion, [*edits, *gone], origin).model_copy(update={"shown": shown})


async def judge_shorter(session: Session, state: RunState, candidate: str, before: Outcome) -> Outcome:
    """The verdicts `before` with that on a candidate that only leaves sentences out, where no other was accepted.

    It races on held-back examples beyond those that every winner is looked at on: what pays on the examples that a
    search looks at may be learned by heart, and is missed there.
    """
    champion = session.prompt(state["champion"])
    fresh = session.task.holdout[session.rules.holdout :]
    if before.champion.id != champion.id or before.budget_spent:
        waits = Verdict(candidate, False, "second best", "it is looked at in a later iteration")
        return replace(before, verdicts=[*before.verdicts, waits])
    alone: RunState = {**state, "candidates": [candidate]}
    if len(fresh) >= session.rules.block:
        outcome = await judge(session, alone, fresh, split="holdout")
    else:
        outcome = await judge(session, alone, diagnosis.track(session, state))
    return replace(outcome, verdicts=[*before.verdicts, *outcome.verdicts])


async def earned(session: Session, state: RunState) -> tuple[list[Proposed], list[Edit], bool]:
    """The proposals with the edits that earn their place in the bundle of all, the removals of the champion's sentences
    that nobody misses, and whether both were measured.

    Where the budget has no room for it, and where most examples fail, the edits that more than one request named.
    """
    iteration, champion = state["iteration"], session.prompt(state["champion"])
    proposals = diagnosis.proposals(session, iteration)
    # What is stored meanwhile, what sentences left out are worth, counts from the next iteration on.
    archive = Archive.of(session, iteration)
    trials = diagnosis.trials(archive, proposals)
    likely = diagnosis.likely(archive, proposals)
    if likely and hidden(session, champion, iteration):
        return likely, [], True
    rng = session.generator(iteration, "attribution")
    start = Search(session, state, iteration).start
    keep_left_out(session, iteration, await blamed(session, champion, iteration))
    doubtful = in_doubt(session, archive, champion, start, iteration)
    if doubtful:
        missed = await bundles.missed(session, champion, start, doubtful, rng, iteration)
        keep_left_out(session, iteration, missed or [])
    gone = spare(session, champion, iteration)
    best = sorted((t for t in trials if t.prior > REFUTED), key=lambda t: -t.prior)[:TOGETHER]
    sure = diagnosis.only(proposals, {t.key for t in best if t.prior > SURE})
    proposals = diagnosis.only(proposals, {trial.key for trial in best})
    # Once the real needs are met most of what is named is of no use, however often: what is measured has to show it.
    most = odds_of(archive.share)
    trials = [replace(t, prior=min(t.prior, most)) for t in diagnosis.trials(archive, proposals)]
    shares = await bundles.shares(session, champion, trials, rng, iteration=iteration) if trials else []
    if shares is None:
        return sure, gone, False
    kept = diagnosis.keep_shares(session, iteration, proposals, shares)
    return kept, gone, True


def hidden(session: Session, champion: Prompt, iteration: int) -> bool:
    """Whether the champion fails so often that causes hide one another; not after the first few diagnoses, nor after
    one of which nothing was accepted: what is no better together has to be looked into."""
    diagnoses = {h.iteration for h in session.hypotheses_before(iteration)}
    accepted = {d.iteration for d in session.decisions_before(iteration) if d.verdict == "accepted"}
    if len(diagnoses) >= UNTRIED or diagnoses - accepted:
        return False
    scores = [r.score for r in session.evaluator.records(champion.id, "search") if r.repeat == 0]
    known = [score for score in scores if score is not None]
    return sum(score < FAILS_BELOW for score in known) > HIDDEN_ABOVE * len(known)


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
