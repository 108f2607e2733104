"""`sage`: a diagnostician that runs code, a proposer, a critic, a validator (SAGE, arXiv 2606.18902).

Each iteration exports the champion's records into the sandbox, supposes causes of its failures, tests them where
nobody looked, acts on the best believed ones, weeds what was proposed, and measures it. The wiring is here; what each
role does is in `agents`, and what the nodes pass on is in the run store (`diagnosis.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import Field
from typing_extensions import TypedDict

from ..agents.critic import Weeded, review, weed
from ..agents.diagnostician import Brief, Draft, diagnose, run_standard
from ..agents.directions import test_hypotheses, triage
from ..agents.edits import edit_of, with_demos
from ..agents.proposer import Proposed, propose
from ..agents.validator import Outcome
from ..evaluation.usefulness import probability
from ..tasks.prompt import Prompt
from . import diagnosis
from .archive import Archive, carried, may_lead
from .at_once import at_once
from .bundles import affordable, looked_for, measure_champion
from .sage_candidates import (
    FILL,
    directed,
    earned,
    fill,
    from_playbook,
    hidden,
    judge_shorter,
    scores_labels,
    together,
)
from .search import Search
from .search_loop import SPENT, after_validate, judge, leader, proposed, settle
from .session import Session
from .state import Context, Graph, RunState, Update
from .steps import side, step
from .strategy import SPO, SearchOptions, Strategy

CLOSELY = 2
"""Hypotheses asked of a diagnostician who looks at the failures of one answer."""

PLAYBOOK_DIRECTIONS = 3
"""So many directions are acted on where no agent model is set: each costs a candidate."""


class SageOptions(SearchOptions):
    """Options of `sage`; the sources of the defaults stand in docs/strategies.md.

    `directions` (I) are acted on per iteration, chosen from at most `hypotheses` of each of `opinions` independent
    diagnosticians, each of which may run code of its own in `max_rounds` requests. `fdr` is the false discovery rate
    at which hypotheses are believed. `edits` is how many an agent may propose for one direction. `share` of the
    budget's target calls may go into the records of one diagnosis.
    `profile`: `strong` agent models return lists, `small` ones one item per request (auto: `local` is small).
    """

    directions: int = Field(default=20, ge=1, le=32)
    hypotheses: int = Field(default=8, ge=1, le=16)
    opinions: int = Field(default=10, ge=1, le=16)
    max_rounds: int = Field(default=4, ge=1, le=8)
    fdr: float = Field(default=0.2, gt=0, le=1)
    edits: int = Field(default=2, ge=1, le=5)
    share: float = Field(default=0.15, gt=0, le=1)
    profile: Literal["auto", "strong", "small"] = "auto"


class SageState(RunState):
    """The run's state, with what the four roles pass on to each other: `directions` are the hypotheses, by index, that
    candidates are made against; `tried_alone` says that each edit was left out in turn, and missed; `left_out` is the
    candidate that only leaves sentences out, if there is one; in the `last` iterations, where the budget has no room
    for a diagnosis, there is no other."""

    last: bool
    directions: list[int]
    tried_alone: bool
    left_out: str


class Investigation(TypedDict):
    """What one `investigate` task is given: the run, its iteration, and the direction's index."""

    run_id: str
    iteration: int
    champion: str
    pool: list[str]
    direction: int


def build() -> Graph:
    """The strategy's subgraph, the four roles as nodes."""
    builder = StateGraph(SageState, context_schema=Context, input_schema=RunState, output_schema=RunState)
    builder.add_node("export", step(export))
    builder.add_node("diagnostician", step(diagnostician))
    builder.add_node("triage", step(choose_directions))
    builder.add_node("investigate", side(investigate))
    builder.add_node("proposer", step(proposer))
    builder.add_node("critic", step(critic))
    builder.add_node("attribution", step(attribution))
    builder.add_node("validator", step(validator))
    builder.add_edge(START, "export")
    builder.add_conditional_edges("export", _after_export, ["diagnostician", "attribution"])
    builder.add_edge("diagnostician", "triage")
    builder.add_conditional_edges("triage", _by_direction, ["investigate", "proposer"])
    builder.add_edge("investigate", "proposer")
    builder.add_edge("proposer", "critic")
    builder.add_edge("critic", "attribution")
    builder.add_conditional_edges("attribution", _after_attribution)
    builder.add_conditional_edges("validator", after_validate, {"again": "export", END: END})
    return builder.compile()


def _after_export(state: SageState) -> Literal["diagnostician", "attribution"]:
    return "attribution" if state["last"] else "diagnostician"


def _by_direction(state: SageState) -> list[Send] | Literal["proposer"]:
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


async def export(session: Session, state: SageState) -> Update:
    """Measure the champion where a diagnosis needs it."""
    options, iteration = options_of(session), state["iteration"] + 1
    champion = session.prompt(state["champion"])
    session.hold_certification(champion)
    update: Update = {"iteration": iteration, "directions": [], "last": False}
    if session.desk is None:
        return update
    wanted = looked_for(session, champion, options.share)
    examples = affordable(session, champion, wanted) if Search(session, state, iteration).earlier else wanted
    update["last"] = not examples
    if examples and await measure_champion(session, champion, examples):
        # What was accepted on a short race has been measured at length now.
        update["champion"] = leader(session, state["accepted"], champion.id)
    return update


async def diagnostician(session: Session, state: SageState) -> Update:
    """Suppose causes of the champion's failures, and test each where nobody looked."""
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
        desk, small, champion = session.desk, options.profile == "small", session.prompt(state["champion"])
        # Once the causes that many failures share are mended, half of the requests look closely at one answer each.
        closely = bool(session.task.labels) and not hidden(session, champion, iteration)

        async def opinion(number: int) -> list[Draft]:
            focus = iteration * options.opinions // 2 + number // 2 if closely and number % 2 == 1 else None
            return await diagnose(
                diagnosis.beside(workspace, number),
                desk,
                brief,
                session.generator(iteration, "diagnose", number),
                iteration=iteration,
                opinion=number,
                most=options.hypotheses if focus is None else CLOSELY,
                max_rounds=options.max_rounds,
                small=small,
                focus=focus,
            )

        opinions = await at_once(opinion(number) for number in range(options.opinions))
        drafts += [draft for one in opinions for draft in one]
        drafts += carried(session, champion, iteration, drafts, brief.tried)
        tested = await test_hypotheses(workspace, drafts, options.fdr)
    diagnosis.keep_tested(session, iteration, tested)
    return {}


async def choose_directions(session: Session, state: SageState) -> Update:
    """Keep the hypotheses that promise most per call."""
    options, iteration = options_of(session), state["iteration"]
    archive = Archive.of(session, iteration)
    chosen = triage(
        diagnosis.tested(session, iteration),
        useful=(lambda t: probability(archive.odds(t.draft.fix))) if session.desk else None,
        tried=diagnosis.tried(session, state["champion"], iteration),
        most=options.directions if session.desk else PLAYBOOK_DIRECTIONS,
        labels=session.task.labels,
    )
    for t in chosen:
        diagnosis.take_up(session, iteration, t)
    session.emit("findings", iteration=iteration, directions=[diagnosis.finding(t) for t in chosen])
    return {"directions": [t.index for t in chosen]}


async def investigate(session: Session, state: Investigation) -> Update:
    """Look inside one direction by code: exact counts of what its examples want, get and have in common."""
    await diagnosis.look_inside(session, state["champion"], state["pool"], state["iteration"], state["direction"])
    return {}


async def proposer(session: Session, state: SageState) -> Update:
    """Edits against each direction, in parallel; the playbook edits where no agent model is set."""
    if session.desk is None or not state["directions"]:
        return {}
    options, iteration, desk = options_of(session), state["iteration"], session.desk
    workspace = diagnosis.workspace(session, state["champion"], state["pool"], iteration)
    tried = diagnosis.tried(session, state["champion"], iteration)
    unseen = frozenset(e.id for e in session.panels.panel(iteration))

    async def one_direction(index: int) -> Proposed:
        direction = diagnosis.direction(session, iteration, index)
        if direction.fix:  # it is tried as its author put it; only what was counted alone has to be worked out
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

    for one in await at_once(one_direction(index) for index in state["directions"]):
        rng = session.generator(iteration, "demos", one.direction.index)
        edits = tuple(with_demos(edit, session.task, session.panels.demo_pool, rng) for edit in one.edits)
        diagnosis.keep_edits(session, iteration, replace(one, edits=edits))
    return {}


async def critic(session: Session, state: SageState) -> Update:
    """Weed the edits by computation, then have an agent model review what they make together."""
    iteration, champion = state["iteration"], session.prompt(state["champion"])
    tried = diagnosis.tried(session, champion.id, iteration)
    proposals = diagnosis.proposals(session, iteration)
    weeded = weed(session.task, champion, proposals, tried, session.copies)
    for one, edit, reason in weeded.dropped:
        session.emit("edit_dropped", iteration=iteration, edit=edit.text or edit.old, reason=reason, claim=one.cause)
    diagnosis.keep_weeded(session, iteration, proposals, weeded)
    passed, reason = await review(
        session.task, champion, weeded.proposals, session.desk, session.copies, iteration=iteration, tried=tried
    )
    if reason and not passed:  # a verdict on all of them at once leaves what more than one request named
        passed = tuple(diagnosis.likely(Archive.of(session, iteration), weeded.proposals))
    if reason:
        n = sum(len(one.edits) for one in weeded.proposals)
        session.emit("candidate_rejected", iteration=iteration, origin=f"{n} edits", reason=reason)
    diagnosis.keep_weeded(session, iteration, weeded.proposals, Weeded(passed, ()))
    return {}


async def attribution(session: Session, state: SageState) -> Update:
    """Leave each edit out in turn, where it should help, and keep those that are missed, those of earlier iterations
    too; else make candidates as `random` does."""
    iteration = state["iteration"]
    known = session.known_before(iteration)
    kept: dict[str, Prompt] = {}
    proposals, gone, tried_alone = await earned(session, state) if session.desk else ([], [], False)
    champion = session.prompt(state["champion"])
    # What was tried is measured in one with what nobody misses; what was not, beside it.
    in_one = bool(proposals) and tried_alone
    children = [together(session, champion, proposals, gone if in_one else ())] if proposals else []
    left_out = ""
    if gone and not in_one:
        children.append(shorter := together(session, champion, (), gone))
        left_out = shorter.id
    for child in children:
        if child.id not in known and child.id != champion.id:
            kept[child.id] = child
    tried_alone = tried_alone and bool(kept)
    if session.desk is None:
        for child in await directed(session, state, state["directions"], known):
            kept.setdefault(child.id, child)
        # Beside them, not instead: a playbook's edit for a cause is a guess too.
        await fill(session, state, kept, known, session.options.candidates)
    elif not kept and not state.get("last"):
        await fill(session, state, kept, known, FILL)
    if session.desk is not None and not state.get("last") and scores_labels(session, state["champion"]):
        tried_alone = False
        for child in from_playbook(session, state, known | set(kept)):
            kept.setdefault(child.id, child)
    update = proposed(session, state, iteration, list(kept.values()))
    if state.get("last") and update.get("stop") and not session.turn:
        update["stop"] = SPENT
    return {**update, "tried_alone": tried_alone, "left_out": left_out if left_out in kept else ""}


async def validator(session: Session, state: SageState) -> Update:
    """Measure the candidates, and say whether each fix helped where it should."""
    candidates = list(state["candidates"])
    track = diagnosis.track(session, state) if state["tried_alone"] and state["directions"] and session.desk else ()
    shorter = [i for i in candidates if i == state["left_out"]]
    others = [i for i in candidates if i not in shorter]
    outcome = Outcome(session.prompt(state["champion"]), [])
    if others:
        before = {"candidates": others, "proposed": state["proposed"] - len(shorter)}
        outcome = await judge(session, {**state, **before}, track)  # type: ignore[typeddict-item]
    if shorter:
        outcome = await judge_shorter(session, state, shorter[0], outcome)
    accepted = may_lead(session, state["accepted"], outcome.champion, state["iteration"])
    update = settle(session, {**state, "accepted": accepted}, outcome)  # type: ignore[typeddict-item]
    diagnosis.keep_effects(session, state["iteration"], state["champion"], candidates)
    return update


STRATEGY = Strategy(build, SageOptions, {"faithful": SPO})
