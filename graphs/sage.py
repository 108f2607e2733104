"""`sage`: a diagnostician that runs code, a proposer, a critic, a validator (SAGE, arXiv 2606.18902; ALGORITHMS 1.3).

Each iteration exports the champion's records into the sandbox, supposes causes of its failures, tests them where
nobody looked, acts on the best believed ones, weeds what was proposed, and measures it. The wiring is here; what each
role does is in `agents`, and what the nodes pass on is in the run store (`diagnosis.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import Field
from typing_extensions import TypedDict

from ..agents import playbook
from ..agents.attribution import attribute
from ..agents.critic import review, weed
from ..agents.diagnostician import Brief, Draft, diagnose, run_standard
from ..agents.directed import directed_operators
from ..agents.directions import test_hypotheses, triage
from ..agents.edits import Edit, edit_of, edited, with_demos
from ..agents.proposer import Proposed, propose
from ..agents.rewriter import rewrite
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.panels import without_demos
from ..tasks.prompt import Prompt
from . import diagnosis
from .closing import closing
from .run_settings import SearchOptions
from .search_loop import after_validate, leader, proposed, situation, validate
from .session import Session, open_session
from .state import Context, Graph, RunState, Update

FILL = 3
"""Candidates from `random`'s operator where an agent model proposed nothing of use."""


class SageOptions(SearchOptions):
    """Options of `sage`; the sources of the defaults stand in ALGORITHMS section 1.3.

    `directions` (I) are acted on per iteration, chosen from at most `hypotheses` of each of `opinions` independent
    diagnosticians, each of which may run code of its own in `max_rounds` requests. `fdr` is the false discovery rate
    at which hypotheses are believed. `edits` is how many an agent may propose for one direction. `share` of the
    budget's target calls may go into the records of one diagnosis.
    `profile`: `strong` agent models return lists, `small` ones one item per request (auto: `local` is small).
    """

    directions: int = Field(default=20, ge=1, le=32)
    hypotheses: int = Field(default=8, ge=1, le=16)
    opinions: int = Field(default=4, ge=1, le=8)
    max_rounds: int = Field(default=4, ge=1, le=8)
    fdr: float = Field(default=0.2, gt=0, le=1)
    edits: int = Field(default=2, ge=1, le=5)
    share: float = Field(default=0.15, gt=0, le=1)
    profile: Literal["auto", "strong", "small"] = "auto"


class Investigation(TypedDict):
    """What one `investigate` task is given: the run, its iteration, and the direction's index."""

    run_id: str
    iteration: int
    champion: str
    pool: list[str]
    direction: int


def build() -> Graph:
    """The strategy's subgraph, the four roles as nodes."""
    builder = StateGraph(RunState, context_schema=Context)
    builder.add_node("export", closing(export))
    builder.add_node("diagnostician", closing(diagnostician))
    builder.add_node("triage", closing(choose_directions))
    builder.add_node("investigate", closing(investigate))
    builder.add_node("proposer", closing(proposer))
    builder.add_node("critic", closing(critic))
    builder.add_node("attribution", closing(attribution))
    builder.add_node("validator", closing(validator))
    builder.add_edge(START, "export")
    builder.add_edge("export", "diagnostician")
    builder.add_edge("diagnostician", "triage")
    builder.add_conditional_edges("triage", _by_direction, ["investigate", "proposer"])
    builder.add_edge("investigate", "proposer")
    builder.add_edge("proposer", "critic")
    builder.add_edge("critic", "attribution")
    builder.add_conditional_edges("attribution", _after_attribution)
    builder.add_conditional_edges("validator", after_validate, {"again": "export", END: END})
    return builder.compile()


def _by_direction(state: RunState) -> list[Send] | Literal["proposer"]:
    given = {name: state[name] for name in ("run_id", "iteration", "champion", "pool")}
    return [Send("investigate", {**given, "direction": i}) for i in state["directions"]] or "proposer"


def _after_attribution(state: RunState) -> Literal["validator", "__end__"]:
    return "__end__" if state["stop"] else "validator"


def options_of(session: Session) -> SageOptions:
    """The run's options, with what they leave open decided."""
    options = session.options
    assert isinstance(options, SageOptions)
    small = options.profile == "small" or (options.profile == "auto" and (session.settings.agent or "") == "local")
    profile = "small" if small else "strong"
    return options.model_copy(update={"profile": profile} | ({"edits": 1} if small else {}))


async def export(state: RunState) -> Update:
    """Measure the champion where a diagnosis needs it."""
    session = await open_session(state["run_id"])
    session.evaluator.begin(state["step"])
    options, iteration = options_of(session), state["iteration"] + 1
    champion = session.prompt(state["champion"])
    session.hold_certification(champion)
    update: Update = {"step": state["step"] + 1, "iteration": iteration, "directions": []}
    examples = without_demos((*session.panels.measured, *session.panels.demo_pool), champion)
    try:
        if session.desk is not None:
            limit = session.ledger.budget.target_calls
            enough = len(examples) if limit is None else max(48, round(options.share * limit))
            await session.evaluator.measure(Job(champion, examples[:enough]))
            # What was accepted on a short race has been measured at length now.
            update["champion"] = leader(session, state["accepted"], champion.id)
    except BudgetExceeded:
        pass  # the diagnosis works with what is there, and the validator sees whether a race is still to be paid
    await session.store.flush()
    return update


async def diagnostician(state: RunState) -> Update:
    """Suppose causes of the champion's failures, and test each where nobody looked."""
    session = await open_session(state["run_id"])
    options, iteration = options_of(session), state["iteration"]
    workspace = diagnosis.workspace(session, state["champion"], state["pool"], iteration)
    standard: list[Draft] = await run_standard(workspace) if workspace.sandbox else []
    tested = await test_hypotheses(workspace, standard, options.fdr)
    drafts = list(standard)
    if session.desk is not None:
        brief = Brief(
            confirmed=[(t.draft.predicate, t.support) for t in tested if t.status == "confirmed"][:8],
            tried=diagnosis.tried(session, state["champion"], iteration),
            refuted=diagnosis.refuted(session, iteration),
            unseen=frozenset(e.id for e in session.panels.panel(iteration)),
        )
        desk, small = session.desk, options.profile == "small"

        async def opinion(number: int) -> list[Draft]:
            return await diagnose(
                diagnosis.beside(workspace, number),
                desk,
                brief,
                session.generator(iteration, "diagnose", number),
                iteration=iteration,
                opinion=number,
                most=options.hypotheses,
                max_rounds=options.max_rounds,
                small=small,
            )

        opinions = await asyncio.gather(*(opinion(number) for number in range(options.opinions)))
        drafts += [draft for one in opinions for draft in one]
        tested = await test_hypotheses(workspace, drafts, options.fdr)
    diagnosis.keep_tested(session, iteration, tested)
    await session.store.flush()
    return {}


async def choose_directions(state: RunState) -> Update:
    """Keep the hypotheses that promise most per call."""
    session = await open_session(state["run_id"])
    options, iteration = options_of(session), state["iteration"]
    chosen = triage(
        diagnosis.tested(session, iteration),
        tried=diagnosis.tried(session, state["champion"], iteration),
        most=options.directions if session.desk else 3,
        labels=session.task.labels,
    )
    for t in chosen:
        diagnosis.take_up(session, iteration, t)
    session.emit("findings", iteration=iteration, directions=[diagnosis.finding(t) for t in chosen])
    return {"directions": [t.index for t in chosen]}


async def investigate(task: Investigation) -> Update:
    """Look inside one direction by code: exact counts of what its examples want, get and have in common."""
    session = await open_session(task["run_id"])
    await diagnosis.look_inside(session, task["champion"], task["pool"], task["iteration"], task["direction"])
    return {}


async def proposer(state: RunState) -> Update:
    """Edits against each direction, in parallel; the playbook edits where no agent model is set."""
    session = await open_session(state["run_id"])
    if session.desk is None or not state["directions"]:
        return {}
    options, iteration, desk = options_of(session), state["iteration"], session.desk
    workspace = diagnosis.workspace(session, state["champion"], state["pool"], iteration)
    tried = diagnosis.tried(session, state["champion"], iteration)
    unseen = frozenset(e.id for e in session.panels.panel(iteration))

    async def one_direction(index: int) -> Proposed:
        direction = diagnosis.direction(session, iteration, index)
        if direction.fix and not diagnosis.confirmed(session, iteration, index):
            # A guess is tried as its author put it; what was confirmed is worth a request of its own.
            return Proposed(direction, direction.claim, (edit_of(direction.fix),), ())
        return await propose(
            workspace,
            direction,
            desk,
            session.generator(iteration, "propose", index),
            iteration=iteration,
            most=options.edits,
            tried=tried,
            unseen=unseen,
        )

    for one in await asyncio.gather(*(one_direction(index) for index in state["directions"])):
        rng = session.generator(iteration, "demos", one.direction.index)
        edits = tuple(with_demos(edit, session.task, session.panels.demo_pool, rng) for edit in one.edits)
        diagnosis.keep_edits(session, iteration, replace(one, edits=edits))
    await session.store.flush()
    return {}


async def critic(state: RunState) -> Update:
    """Weed the edits by computation, then have an agent model review what they make together."""
    session = await open_session(state["run_id"])
    iteration, champion = state["iteration"], session.prompt(state["champion"])
    tried = diagnosis.tried(session, champion.id, iteration)
    proposals = diagnosis.proposals(session, iteration)
    weeded = weed(session.task, champion, proposals, tried, session.copies)
    for one, edit, reason in weeded.dropped:
        session.emit("edit_dropped", iteration=iteration, edit=edit.text or edit.old, reason=reason, claim=one.cause)
    diagnosis.keep_weeded(session, iteration, proposals, weeded)
    if not weeded.proposals:
        return {"candidates": []}
    together = _together(session, champion, weeded.proposals)
    passed, reason = await review(
        session.task,
        champion,
        together,
        [one.direction.claim for one in weeded.proposals],
        session.desk,
        session.copies,
        iteration=iteration,
        index=0,
        tried=tried,
    )
    if passed is None:
        session.emit("candidate_rejected", iteration=iteration, origin=together.origin, reason=reason)
        return {"candidates": []}
    return {"candidates": [session.keep(passed, iteration)]}


async def attribution(state: RunState) -> Update:
    """Leave each edit out in turn, where it should help, and keep those that are missed; else make candidates as
    `random` does."""
    session = await open_session(state["run_id"])
    session.evaluator.begin(state["step"])
    iteration = state["iteration"]
    known = session.known_before(iteration)
    kept: dict[str, Prompt] = {}
    if state["candidates"]:
        reviewed = session.prompt(state["candidates"][0])
        if reviewed.origin == "repaired":  # the critic's own text cannot be taken apart
            kept[reviewed.id] = reviewed
        else:
            earned = await _earned(session, state)
            if earned:
                together = _together(session, session.prompt(state["champion"]), earned)
                kept[together.id] = together
    tried_alone = bool(kept)
    if session.desk is None:
        for child in await _directed(session, state, known):
            kept.setdefault(child.id, child)
        await _fill(session, state, kept, known, session.options.candidates - len(kept))
    elif not kept:
        await _fill(session, state, kept, known, FILL)
    if session.desk is not None and _scores_labels(session, state["champion"]):
        tried_alone = False
        for child in _playbooks(session, state, known | set(kept)):
            kept.setdefault(child.id, child)
    await session.store.flush()
    update = proposed(session, state, iteration, [c for c in kept.values() if c.id not in known])
    return {**update, "directions": state["directions"] if tried_alone else []}


async def _earned(session: Session, state: RunState) -> list[Proposed]:
    """The proposals with the edits that earn their place in the bundle of all; all of them where that is not paid."""
    iteration, champion = state["iteration"], session.prompt(state["champion"])
    proposals = diagnosis.proposals(session, iteration)
    measured = {r.example_id for r in session.evaluator.records(champion.id, "search")}
    examples = [e for e in without_demos(session.task.search, champion) if e.id in measured]
    trials = diagnosis.trials(proposals)
    rng = session.generator(iteration, "attribution")
    try:
        shares = await attribute(session.evaluator, champion, trials, examples, rng)
    except BudgetExceeded:
        return proposals
    earned = diagnosis.keep_shares(session, iteration, proposals, shares)
    session.emit(
        "edits_tried",
        iteration=iteration,
        edits=[{"text": s.trial.edit.text or s.trial.edit.old, "kept": s.earned, "words": s.words} for s in shares],
    )
    return earned


async def validator(state: RunState) -> Update:
    """Measure the candidates, and say whether each fix helped where it should."""
    session = await open_session(state["run_id"])
    session.evaluator.begin(state["step"])  # run again after a crash, it must not see what it measured itself
    candidates = list(state["candidates"])
    track = diagnosis.track(session, state) if state["directions"] and session.desk else ()
    update = await validate(state, track)
    diagnosis.keep_effects(session, state["iteration"], state["champion"], candidates)
    await session.store.flush()
    return update


def _together(session: Session, champion: Prompt, chosen: Sequence[Proposed]) -> Prompt:
    edits: list[Edit] = [edit for one in chosen for edit in one.edits]
    shown = tuple(dict.fromkeys(i for one in chosen for i in one.shown))
    origin = f"{len(edits)} edit{'s' * (len(edits) > 1)} for {len(chosen)} direction{'s' * (len(chosen) > 1)}"
    return edited(session.task, champion, edits, origin).model_copy(update={"shown": shown})


async def _directed(session: Session, state: RunState, known: set[str]) -> list[Prompt]:
    """The playbook's candidates, one for each direction."""
    found: list[Prompt] = []
    for place, index in enumerate(state["directions"]):
        direction = diagnosis.direction(session, state["iteration"], index)
        rng = session.generator(state["iteration"], "directed", place)
        here = situation(session, session.prompt(state["champion"]), state["iteration"], rng)
        group = direction.claim.partition(": fails")[0]
        operators = directed_operators(direction.matched, group)
        child = playbook.edit(here, known | {c.id for c in found}, operators, pair=True)
        if child is not None:
            found.append(child)
            diagnosis.link(session, state["iteration"], index, child)
    return found


def _scores_labels(session: Session, champion: str) -> bool:
    """Whether the target scores the labels: a small local model, which learns most from worked examples, and on which
    24 examples tell candidates apart by likelihood."""
    return any(r.label_logprobs for r in session.evaluator.records(champion, "search"))


def _playbooks(session: Session, state: RunState, known: set[str]) -> list[Prompt]:
    """The playbook's candidates beside an agent's: other worked examples, other forms of the text."""
    found: list[Prompt] = []
    for place in range(session.options.candidates - FILL):
        rng = session.generator(state["iteration"], "playbook", place)
        parent = session.prompt(state["pool"][int(rng.integers(len(state["pool"])))])
        here = situation(session, parent, state["iteration"], rng)
        child = playbook.edit(here, known | {c.id for c in found})
        if child is not None:
            found.append(child)
    return found


async def _fill(session: Session, state: RunState, kept: dict[str, Prompt], known: set[str], missing: int) -> None:
    """Make up for missing candidates by `random`'s operator."""
    iteration = state["iteration"]
    failed = diagnosis.tried(session, state["champion"], iteration)
    kept_back = diagnosis.confirmation_half(session, state)

    async def one(index: int) -> Prompt | None:
        rng = session.generator(iteration, "fill", index)
        parent = session.prompt(state["pool"][int(rng.integers(len(state["pool"])))])
        here = situation(session, parent, iteration, rng)
        here = replace(here, unseen=here.unseen | kept_back)
        return await rewrite(here, known, session.desk, iteration=iteration, index=index, tried=failed)

    for child in await asyncio.gather(*(one(index) for index in range(max(0, missing)))):
        if child is not None:
            kept.setdefault(child.id, child)
