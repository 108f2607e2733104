"""The loop that most strategies share: propose candidates, validate them, and again until the search stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from langgraph.graph import END, START, StateGraph

from ..agents.validator import Outcome
from ..evaluation.panels import Panels
from ..evaluation.shrinkage import choose, shrunken_estimates
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import SplitName
from ..traces.rows import Decision
from .search import Search, estimates, measured
from .session import Session
from .state import Context, Graph, RunState, Update
from .steps import Work, step

SPENT = "the budget is spent"
NO_ERRORS = "the champion makes no errors on the search split"
"""Why a search stops, whatever its strategy."""

Propose = Callable[[Search], Awaitable[Sequence[Prompt]]]
"""What a strategy's author writes: the candidates of one iteration, of ids that are not in `Search.known`."""


ABOUT_AS_GOOD = 0.5
"""Standard errors by which a shorter prompt's estimate may be lower."""


def build_loop(propose: Propose) -> Graph:
    """A strategy's subgraph of two steps: its own, which proposes candidates, and `validate`, which measures them; then
    its own again, until the search stops."""

    async def work(session: Session, state: RunState) -> Update:
        search = Search(session, state, state["iteration"] + 1)
        return proposed(session, state, search.iteration, await propose(search))

    work.__name__, work.__doc__ = propose.__name__, propose.__doc__
    return build_steps(work, validate)


def build_steps(first: Work, second: Work, schema: type[RunState] = RunState) -> Graph:
    """A strategy's subgraph of two steps, named as the functions that do them: `first` sets `stop` where it has nothing
    for `second`, which sets it where the search ends; else `first` comes again. `schema`: the state of both, which is
    output whole: what it holds of its own lasts over turns of a run that several strategies share."""
    name, last = first.__name__, second.__name__

    def after_first(state: RunState) -> str:
        return END if state["stop"] else last

    builder = StateGraph(schema, context_schema=Context)
    builder.add_node(name, step(first))
    builder.add_node(last, step(second))
    builder.add_edge(START, name)
    builder.add_conditional_edges(name, after_first, [last, END])
    builder.add_conditional_edges(last, after_validate, {"again": name, END: END})
    return builder.compile()


def after_validate(state: RunState) -> Literal["again", "__end__"]:
    """Whether another iteration follows."""
    return "__end__" if state["stop"] else "again"


async def validate(session: Session, state: RunState) -> Update:
    """Measure the candidates, decide, and bring champion and pool up to date."""
    return settle(session, state, await judge(session, state))


async def judge(
    session: Session,
    state: RunState,
    track: Sequence[Example] = (),
    panels: Panels | None = None,
    split: SplitName = "search",
) -> Outcome:
    """What the validator says of the candidates.

    `track`: what to race on, examples of the `split`, for candidates whose edits were tried one by one and that need no
    screen. `panels`: what to screen on, where it is not the run's.
    """
    champion = session.prompt(state["champion"])
    session.hold_certification(champion)
    candidates = [session.prompt(i) for i in state["candidates"]]
    before = state["proposed"] - len(candidates)
    return await session.validator(state["flip_rate"], tried=bool(track), panels=panels).validate(
        champion, candidates, iteration=state["iteration"], index=before, track=track, split=split
    )


def settle(session: Session, state: RunState, outcome: Outcome) -> Update:
    """Store and announce the verdicts of an iteration; the state with champion, pool and `stop` brought up to date.

    Whoever judges candidates in a way of its own ends with this.
    """
    for index, verdict in enumerate(outcome.verdicts):
        session.decide(
            Decision(
                session.run.id,
                state["iteration"],
                index,
                verdict.prompt_id,
                state["champion"],
                verdict.outcome,
                verdict.reason,
                {**verdict.stats, "step": state["step"]},
            )
        )
        origin = session.prompt(verdict.prompt_id).origin
        session.emit(
            "verdict",
            iteration=state["iteration"],
            prompt=verdict.prompt_id,
            origin=origin,
            outcome=verdict.outcome,
            reason=verdict.reason,
            stats=verdict.stats,
        )
    accepted = list(state["accepted"])
    if outcome.champion.id not in accepted:
        accepted.append(outcome.champion.id)
    lead = leader(session, accepted, outcome.champion.id)
    session.hold_certification(session.prompt(lead))
    update: Update = {
        "champion": lead,
        "accepted": [accepted[0], *accepted[1:][-200:]],
        "pool": best_prompts(session, [*accepted, *state["pool"], *state["candidates"]], lead),
        "candidates": [],
        "stop": _why_stop(session, state, outcome.budget_spent, lead),
    }
    session.emit("iteration", number=state["iteration"], champion=lead, **session.standing(lead))
    return update


def proposed(session: Session, state: RunState, iteration: int, candidates: Sequence[Prompt]) -> Update:
    """The state after a proposal: candidates stored and announced, or a reason to stop where there is none."""
    for candidate in candidates:
        session.keep(candidate, iteration)
    session.emit("proposed", iteration=iteration, candidates=[{"id": c.id, "origin": c.origin} for c in candidates])
    update: Update = {
        "iteration": iteration,
        "candidates": [c.id for c in candidates],
        "proposed": state["proposed"] + len(candidates),
    }
    if not candidates:
        update["stop"] = "there was nothing new to try"
    return update


def leader(session: Session, accepted: Sequence[str], incumbent: str) -> str:
    """The accepted prompt with the best shrunken estimate: an earlier champion may take the lead back.

    Where plain means rank, the incumbent, whose mean beat theirs.
    """
    if session.rules.estimate == "mean":
        return incumbent
    scores = measured(session, accepted)
    best = choose(scores, incumbent)
    if best == incumbent or len(session.prompt(incumbent).system) >= len(session.prompt(best).system):
        return best
    # A shorter prompt that is about as good does not give the lead back.
    found = shrunken_estimates(scores)
    behind = found[best].estimate - found[incumbent].estimate if incumbent in found else 1.0
    return incumbent if behind <= ABOUT_AS_GOOD * found[best].error else best


def best_prompts(session: Session, contenders: Sequence[str], champion: str) -> list[str]:
    """The P prompts that candidates are made from: the champion, then the contenders by estimate."""
    found = estimates(session, contenders)
    ranked = sorted(found, key=lambda i: (-round(found[i], 9), i))  # equal but for rounding is equal
    return [champion, *(i for i in ranked if i != champion)][: session.options.pool]


def _why_stop(session: Session, state: RunState, budget_spent: bool, champion: str) -> str:
    limit = session.options.iterations
    if budget_spent:
        return SPENT
    scores = [r.score for r in session.evaluator.records(champion, "search")]
    if len(scores) > session.panels.size and all(score == 1.0 for score in scores):
        return NO_ERRORS
    return iterations_done(limit) if limit is not None and state["iteration"] >= limit else ""


def iterations_done(limit: int) -> str:
    """Why a search stops at its limit of iterations."""
    return f"{limit} iterations are done"
