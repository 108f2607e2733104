"""`picked`: revisions against errors alone, each taken only where it gains more than it breaks ("Pick Your Textual
Gradients", arXiv 2609.23716; ALGORITHMS section 2).

Each step runs a minibatch with the champion and keeps its errors (`pick`), asks an agent why they happen and for a
prompt revised against that (`gradient`), and lets the revision pass a gate (`verify`): its gain on the hard examples of a
fresh minibatch must outweigh what it breaks of a fixed set that must stay right.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from .search import Search
from .search_loop import after_validate, proposed, settle
from .session import Session
from .state import Context, Graph, RunState, Update
from .steps import step
from .strategy import WHOLE, Preset, SearchOptions, Strategy


class PickedOptions(SearchOptions):
    """Options of `picked`; the sources of the defaults stand in ALGORITHMS section 2.

    Each step runs the champion on `minibatch` examples and shows at most `errors` of its errors to an agent at a time,
    for `candidates` (Q) revisions. `verification` is the size of the fresh minibatch whose hard examples a revision is
    verified on. `accumulate`: the changes of the Q revisions are put together and verified as one, their halves where
    it fails.

    `gate`: what a revision gains must outweigh what it breaks of the preserved examples, `penalty` (λ0) times in the
    first step and `penalty_growth` (λ1) more in each further one; without it only the gain counts, and preserved
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
    halves: bool = True
    preserve: Literal["seed", "growing"] = "seed"
    pick_errors: bool = True
    gate: bool = True
    fresh: bool = True
    penalty: float = Field(default=FIRST_PENALTY, ge=0, le=100)
    penalty_growth: float = Field(default=PENALTY_GROWTH, ge=0, le=100)


class PickedState(RunState):
    """The run's state, with how many examples of the search split its minibatches have `drawn`, and the revisions of
    the step in hand (`revisions`), of which `candidates` are made."""

    drawn: int
    revisions: list[str]


def build() -> Graph:
    """The strategy's subgraph."""
    builder = StateGraph(PickedState, context_schema=Context, input_schema=RunState, output_schema=RunState)
    builder.add_node("pick", step(pick))
    builder.add_node("gradient", step(gradient))
    builder.add_node("verify", step(verify))
    builder.add_edge(START, "pick")
    builder.add_conditional_edges("pick", _unless_stopped("gradient"), ["gradient", END])
    builder.add_conditional_edges("gradient", _unless_stopped("verify"), ["verify", END])
    builder.add_conditional_edges("verify", after_validate, {"again": "pick", END: END})
    return builder.compile()


def _unless_stopped(node: str):  # noqa: ANN202
    def route(state: RunState) -> str:
        return END if state["stop"] else node

    return route


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
            return {"stop": "the budget is spent"}
        if any(failed(r) for r in _records(session, champion, batch)):
            return {"iteration": state["iteration"] + 1, "drawn": drawn, "candidates": [], "revisions": []}
    return {"stop": "the champion makes no errors on the search split"}


async def gradient(session: Session, state: PickedState) -> Update:
    """Q revisions of the champion against errors of the minibatch; the playbook edits where no agent model is set."""
    options, search = options_of(session), Search(session, state, state["iteration"])
    champion = search.champion
    seen = _records(session, champion, _batch(session, champion, state["drawn"] - options.minibatch, options.minibatch))
    if options.pick_errors:
        seen = [r for r in seen if failed(r)]
    reasons: list[str] = []
    first = search.attempt(0)
    rng = search.generator("gradient")
    if can_be_written(champion, first):
        here = replace(search.situation(champion, rng), records=seen)
        shown = _sample(seen, options.errors if options.candidates == 1 else 2 * options.errors, rng)
        try:
            reasons = await gradients(here, shown, first, most=options.candidates)
        except BudgetExceeded:
            reasons = []

    async def one(index: int) -> Prompt | None:
        rng, attempt = search.generator("descend", index), replace(search.attempt(index), tried=())
        here = replace(search.situation(champion, rng), records=seen)
        errors = shown if options.candidates == 1 else _sample(seen, options.errors, rng)
        return await descend(here, reasons[index % len(reasons)], errors, attempt)

    made = await search.each(one) if reasons else []
    revisions = list({c.id: c for c in made if c is not None}.values())
    if not revisions:
        for index in range(options.candidates):
            here = replace(search.situation(champion, search.generator("edit", index)), records=seen)
            child = playbook.edit(here, search.known | {c.id for c in revisions})
            revisions += [] if child is None else [child]
    for revision in revisions:
        session.keep(revision, search.iteration)
    joined = [c for c in revisions if changes(champion, c)] if options.accumulate else []
    whole = accumulated(session.task, champion, joined) if len(joined) > 1 else None
    if whole is None or whole.id in search.known:
        joined, candidates = [], revisions
    else:
        candidates = [whole, *(c for c in revisions if c not in joined)]
    return {
        **proposed(session, state, search.iteration, candidates),
        "revisions": [c.id for c in joined],
    }


async def verify(session: Session, state: PickedState) -> Update:
    """Let the candidates pass the gate on a fresh minibatch; bring champion and pool up to date."""
    options = options_of(session)
    champion = session.prompt(state["champion"])
    candidates = [session.prompt(i) for i in state["candidates"]]
    session.hold_certification(champion)
    verdicts: dict[str, Verdict] = {}
    verifier = _verifier(session, state, champion)
    spent, drawn, winner = False, state["drawn"], champion
    try:
        guarded = await _preserved(session, state, verifier)
        hard, drawn = await _hard(session, state, verifier)
        if len(candidates) > 1 and options.fresh:
            pass
        queue = list(candidates)
        while queue:
            candidate = queue.pop(0)
            verdict = verdicts[candidate.id] = await verifier.verdict(candidate, hard, guarded)
            if verdict.accepted:
                winner = candidate
                break
            if options.halves and candidate == candidates[0] and len(state["revisions"]) > 1:
                queue = [*_halves(session, state, champion), *queue]
    except BudgetExceeded as stop:
        spent = True
        verdicts |= {c.id: Verdict(c.id, False, "not measured", str(stop)) for c in candidates if c.id not in verdicts}
    for c in candidates:
        verdicts.setdefault(c.id, Verdict(c.id, False, "second best", "another revision was accepted"))
    return {
        **settle(session, state, Outcome(winner, list(verdicts.values()), budget_spent=spent)),
        "drawn": drawn,
        "revisions": [],
    }


def _halves(session: Session, state: PickedState, champion: Prompt) -> list[Prompt]:
    revisions = [session.prompt(i) for i in state["revisions"]]
    order = session.generator(state["iteration"], "halves").permutation(len(revisions))
    middle = len(revisions) // 2
    halves: list[Prompt] = []
    for part in (order[:middle], order[middle:]):
        members = [revisions[int(i)] for i in sorted(part)]
        half = accumulated(session.task, champion, members) if len(members) > 1 else members[0]
        if half is not None:
            session.keep(half, state["iteration"])
            halves.append(half)
    return halves


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
    order = [examples[int(i)] for i in session.generator("minibatches").permutation(len(examples))]
    return without_demos(minibatch(order, start, size), champion)


def _records(session: Session, prompt: Prompt, batch: Sequence[Example]) -> list[Record]:
    ids = {e.id for e in batch}
    return [r for r in session.evaluator.records(prompt.id, "search") if r.example_id in ids and r.repeat == 0]


def _sample(records: Sequence[Record], most: int, rng) -> list[Record]:  # noqa: ANN001
    return [records[int(i)] for i in rng.permutation(len(records))[:most]]


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
