"""`picked`: revisions against errors alone, each taken only where it gains more than it breaks ("Pick Your Textual
Gradients", arXiv 2609.23716; docs/strategies.md).

Each step runs a minibatch with the champion and keeps its errors (`pick`), asks an agent why they happen and for a
prompt revised against that (`gradient`), and lets the revision pass a gate (`verify`): its gain on the hard examples of
a fresh minibatch must outweigh what it breaks of a fixed set that must stay right.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from langgraph.graph import END, START, StateGraph
from pydantic import Field

from ..agents import playbook
from ..agents.accumulate import accumulated, changes
from ..agents.gradient import can_be_written, descend, gradients
from ..agents.validator import Outcome, Verdict
from ..agents.verifier import Verifier
from ..agents.writing import failed
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.minibatches import minibatch
from ..evaluation.panels import without_demos
from ..evaluation.regularised import FIRST_PENALTY, PENALTY_GROWTH, penalty
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from .search import Search
from .search_loop import NO_ERRORS, SPENT, after_validate, proposed, settle
from .session import Session
from .state import Context, Graph, RunState, Update
from .steps import step
from .strategy import WHOLE, Preset, SearchOptions, Strategy

NOTHING_HARD = "no error is left that a revision could be verified on"


class PickedOptions(SearchOptions):
    """Options of `picked`; the sources of the defaults stand in docs/strategies.md.

    Each step runs the champion on `minibatch` examples and shows at most `errors` of its errors to an agent at a time,
    for `candidates` (Q) revisions. `verification` is the size of the fresh minibatch whose hard examples a revision
    is verified on; both sizes are at most half of the search split. `accumulate`: the changes of the Q revisions
    are put together and verified as one.

    `gate`: what a revision gains must outweigh what it breaks of the preserved examples, `penalty` (λ0) times in the
    first iteration and `penalty_growth` (λ1) more in each further one; without it only the gain counts, and preserved
    examples are not measured. Preserved are the task's `preserve`, else those of the holdout that the seed prompt gets
    right (`preserve` = seed) or that any champion did (growing). `fresh`: gain and regress are measured by draws that
    picked nothing, and the gain must be likely; without, the published rule on the draws that picked the sets.

    `pick_errors`: agents see errors alone; without, the whole minibatch, right answers too.
    """

    candidates: int = Field(default=6, ge=1, le=64)
    minibatch: int = Field(default=24, ge=1, le=1000)
    errors: int = Field(default=8, ge=1, le=64)
    verification: int = Field(default=36, ge=1, le=1000)
    accumulate: bool = True
    preserve: Literal["seed", "growing"] = "seed"
    pick_errors: bool = True
    gate: bool = True
    fresh: bool = True
    penalty: float = Field(default=FIRST_PENALTY, ge=0, le=100)
    penalty_growth: float = Field(default=PENALTY_GROWTH, ge=0, le=100)


class PickedState(RunState):
    """The run's state, with how many examples of the search split its minibatches have `drawn`."""

    drawn: int


def build() -> Graph:
    """The strategy's subgraph."""
    builder = StateGraph(PickedState, context_schema=Context)  # `drawn` is output too: it lasts over turns
    builder.add_node("pick", step(pick))
    builder.add_node("gradient", step(gradient))
    builder.add_node("verify", step(verify))
    builder.add_edge(START, "pick")
    builder.add_conditional_edges("pick", _after_pick)
    builder.add_conditional_edges("gradient", _after_gradient)
    builder.add_conditional_edges("verify", after_validate, {"again": "pick", END: END})
    return builder.compile()


def _after_pick(state: RunState) -> Literal["gradient", "__end__"]:
    return "__end__" if state["stop"] else "gradient"


def _after_gradient(state: RunState) -> Literal["verify", "__end__"]:
    return "__end__" if state["stop"] else "verify"


def options_of(session: Session) -> PickedOptions:
    """The run's options; minibatches leave some of the search split for verification."""
    options = session.options
    assert isinstance(options, PickedOptions)
    half = max(1, len(session.task.search) // 2)
    return options.model_copy(
        update={"minibatch": min(options.minibatch, half), "verification": min(options.verification, half)}
    )


async def pick(session: Session, state: PickedState) -> Update:
    """Run the champion on the next minibatch that has something to learn from."""
    options = options_of(session)
    # The champion has met the end of the last verification minibatch already: its errors there cost nothing.
    drawn = max(0, state.get("drawn", 0) - options.minibatch) if options.fresh else state.get("drawn", 0)
    champion = session.prompt(state["champion"])
    session.hold_certification(champion)
    for _ in range(-(-len(session.task.search) // options.minibatch)):
        batch, drawn = _batch(session, champion, drawn, options.minibatch), drawn + options.minibatch
        try:
            await session.evaluator.measure(Job(champion, batch))
        except BudgetExceeded:
            return {"stop": SPENT}
        if any(failed(r) for r in _records(session, champion, batch)):
            return {"iteration": state["iteration"] + 1, "drawn": drawn, "candidates": []}
    return {"stop": NO_ERRORS}


async def gradient(session: Session, state: PickedState) -> Update:
    """Q revisions of the champion against errors of the minibatch; the playbook edits where no agent model is set."""
    options, search = options_of(session), Search(session, state, state["iteration"])
    champion = search.champion
    seen = _records(session, champion, _batch(session, champion, state["drawn"] - options.minibatch, options.minibatch))
    if options.pick_errors:
        seen = [r for r in seen if failed(r)]
    rng = search.generator("gradient")
    most = options.errors * min(2, options.candidates)  # where several reasons are asked for, they need more to go by
    reasons, shown, first = [], shuffled(seen, rng)[:most], search.attempt(0)
    if can_be_written(champion, first):
        here = replace(search.situation(champion, rng), records=seen)
        with suppress(BudgetExceeded):
            reasons = await gradients(here, shown, first, most=options.candidates)

    async def one(index: int) -> Prompt | None:
        rng, attempt = search.generator("descend", index), replace(search.attempt(index), tried=())
        here = replace(search.situation(champion, rng), records=seen)
        errors = shown if options.candidates == 1 else shuffled(seen, rng)[: options.errors]
        return await descend(here, reasons[index % len(reasons)], errors, attempt)

    revisions = [c for c in await search.each(one) if c is not None] if reasons else []
    if not revisions:  # no agent, or none of use
        for index in range(options.candidates):
            here = replace(search.situation(champion, search.generator("edit", index)), records=seen)
            child = playbook.edit(here, search.known | {c.id for c in revisions})
            revisions += [] if child is None else [child]
    revisions = list({c.id: c for c in revisions}.values())
    joined = [c for c in revisions if c.origin == "gradient" and changes(champion, c)] if options.accumulate else []
    whole = accumulated(session.task, champion, joined) if len(joined) > 1 else None
    if whole is not None and whole.id not in search.known:
        revisions = [whole, *(c for c in revisions if c not in joined)]
    return proposed(session, state, search.iteration, revisions)


async def verify(session: Session, state: PickedState) -> Update:
    """Let the candidates pass the gate on a fresh minibatch; bring champion and pool up to date."""
    champion = session.prompt(state["champion"])
    candidates = [session.prompt(i) for i in state["candidates"]]
    session.hold_certification(champion)
    verdicts: dict[str, Verdict] = {}
    verifier = _verifier(session, state, champion)
    hard: Sequence[Example] = ()
    spent, drawn, winner = False, state["drawn"], champion
    try:
        guarded = await _preserved(session, state, verifier)
        hard, drawn = await _hard(session, state, verifier)
        for candidate in await verifier.ranked(candidates, hard) if hard else ():
            verdict = verdicts[candidate.id] = await verifier.verdict(candidate, hard, guarded)
            if verdict.accepted:
                winner = candidate
                break
    except BudgetExceeded as stop:
        spent = True
        verdicts |= {c.id: Verdict(c.id, False, "not measured", str(stop)) for c in candidates if c.id not in verdicts}
    if not hard and not spent:
        rest = Verdict("", False, "not measured", NOTHING_HARD)
    elif winner != champion:
        rest = Verdict("", False, "not measured", "another revision gained more and was accepted")
    else:
        rest = Verdict("", False, "not measured", "the budget had no room to verify it")
    judged = [verdicts.get(c.id, replace(rest, prompt_id=c.id)) for c in candidates]
    update = settle(session, state, Outcome(winner, judged, budget_spent=spent))
    if not hard and not update["stop"]:
        update["stop"] = NOTHING_HARD
    return {**update, "drawn": drawn}


def _verifier(session: Session, state: PickedState, champion: Prompt) -> Verifier:
    options = options_of(session)
    weight = penalty(state["iteration"] - 1, options.penalty, options.penalty_growth)
    return Verifier(
        session.evaluator,
        champion,
        weight if options.gate else None,
        raw=not options.fresh,
        stochastic=state["flip_rate"] > 0 or session.evaluator.target.stochastic,
        confidence=session.rules.confidence,
        max_missing=session.rules.max_missing,
    )


async def _hard(session: Session, state: PickedState, verifier: Verifier) -> tuple[tuple[Example, ...], int]:
    """The hard examples of the next minibatch that has any, and how many examples are drawn then."""
    options, drawn = options_of(session), state["drawn"]
    shown = {e.id for e in _batch(session, verifier.champion, drawn - options.minibatch, options.minibatch)}
    hard: tuple[Example, ...] = ()
    for _ in range(-(-len(session.task.search) // options.verification)):
        batch = _batch(session, verifier.champion, drawn, options.verification)
        drawn += options.verification
        hard = await verifier.hard([e for e in batch if e.id not in shown])
        if hard:
            break
    return hard, drawn


async def _preserved(session: Session, state: PickedState, verifier: Verifier) -> tuple[Example, ...]:
    """The examples that must stay right. Raises BudgetExceeded where they cannot be measured."""
    pool = session.task.preserve or session.task.holdout[: session.rules.holdout]
    growing = options_of(session).preserve == "growing"
    ids = state["accepted"] if growing else [state["seed_prompt"]]
    return await verifier.preserved(pool, [session.prompt(i) for i in ids])


def _batch(session: Session, champion: Prompt, start: int, size: int) -> tuple[Example, ...]:
    examples = session.task.search
    order = shuffled(examples, session.generator("minibatches"))
    return without_demos(minibatch(order, start, size), champion)


def _records(session: Session, prompt: Prompt, batch: Sequence[Example]) -> list[Record]:
    ids = {e.id for e in batch}
    return [r for r in session.evaluator.records(prompt.id, "search") if r.example_id in ids and r.repeat == 0]


STRATEGY = Strategy(
    build,
    PickedOptions,
    {
        "default": Preset(rules={"estimate": "mean", "holdout": 60}),
        "faithful": Preset(
            {"candidates": 1, "pool": 1, "accumulate": False, "fresh": False, "minibatch": 16, "verification": 32},
            {"estimate": "mean", "holdout": WHOLE},
        ),
    },
)
