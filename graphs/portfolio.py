"""`auto`: several strategies by turns, since none of them is the best everywhere (SAGE, arXiv 2606.18902).

A turn is one iteration of a member, its whole subgraph run for it. All share the champion, the archive (what was tried,
supposed and decided), records and cache. `choose` gives the next turn by what each member's turns have gained per
target call, `credit` looks at how it ended. Who had which turn stands in the run store, and what it gained is reckoned
from the store each time: a win that later measurements take back earns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from langgraph.graph import END, START, StateGraph

from ..evaluation.shrinkage import shrunken_estimates
from ..evaluation.turns import Course, Pull, next_member
from ..traces.rows import Turn
from .portfolio_options import NAME, PortfolioOptions
from .registry import usable
from .run_settings import DEFAULT_CALLS
from .search import measured
from .search_loop import NO_ERRORS, SPENT, after_validate, best_prompts, iterations_done
from .session import Session
from .state import Context, Graph, RunState, Update
from .steps import step
from .strategy import Preset, Strategy


class PortfolioState(RunState):
    """The run's state, with the `archive`: the best prompts of all members by estimate, the champion first. What the
    members keep in fields of their own from turn to turn comes on top."""

    archive: list[str]


def build() -> Graph:
    """The strategy's subgraph: every other strategy is a node, of which a run uses its members."""
    builder = StateGraph(PortfolioState, context_schema=Context, input_schema=RunState, output_schema=RunState)
    builder.add_node("choose", step(choose))
    builder.add_node("credit", step(credit))
    members = usable(without=NAME)
    for name, subgraph in members.items():
        # What a member's subgraph takes beside the run's state and gives back is kept for its next turn.
        builder.add_node(name, subgraph, input_schema=subgraph.builder.input_schema)
        builder.add_edge(name, "credit")
    builder.add_edge(START, "choose")
    builder.add_conditional_edges("choose", _whose_turn, list(members))
    builder.add_conditional_edges("credit", after_validate, {"again": "choose", END: END})
    return builder.compile()


def _whose_turn(state: PortfolioState) -> str:
    return state["turn"]


def options_of(session: Session) -> PortfolioOptions:
    """The run's options, whoever's turn it is."""
    options = session.settings.search_options()
    assert isinstance(options, PortfolioOptions)
    return options


async def choose(session: Session, state: PortfolioState) -> Update:
    """Give the next turn to a member, and let it see as many of the archive's prompts as its pool holds."""
    options, turns = options_of(session), session.turns_before(state["step"])
    iteration = state["iteration"] + 1
    chosen = next_member(
        options.chooser,
        options.sharing,
        available(options, turns, state["champion"]),
        pulls(session, turns, state["champion"]),
        course(session, state["seed_prompt"]),
        session.generator(iteration, "turn", len(turns)),
    )
    row = Turn(session.run.id, len(turns), chosen.member, iteration, state["step"], state["champion"], chosen.chance)
    session.take_turn(row)
    session.emit("turn", iteration=iteration, strategy=chosen.member, chance=chosen.chance)
    contenders = [*state["accepted"], *state.get("archive", []), *state["pool"], *judged(session, turns)]
    archive = best_prompts(session, contenders, state["champion"])
    stays = turns and turns[-1].strategy == chosen.member  # with the pool as it left it
    pool = state["pool"] if stays else archive[: options.of_member(chosen.member).pool]
    return {"turn": chosen.member, "archive": archive, "pool": pool}


async def credit(session: Session, state: PortfolioState) -> Update:
    """See how the turn ended, what it gained, and whether another one follows."""
    options, turns = options_of(session), session.turns_before(state["step"])
    ended = "" if state["stop"] == iterations_done(1) else state["stop"]
    turns[-1] = replace(turns[-1], ended=ended)
    session.take_turn(turns[-1])
    pull = pulls(session, turns, state["champion"])[-1]
    session.emit(
        "turn_over", iteration=state["iteration"], strategy=pull.member, gain=pull.gain, calls=pull.calls, ended=ended
    )
    if ended in (SPENT, NO_ERRORS):
        stop = ended
    elif options.iterations is not None and state["iteration"] >= options.iterations:
        stop = iterations_done(options.iterations)
    else:
        stop = "" if available(options, turns, state["champion"]) else ended or "no member has a turn left"
    return {"turn": "", "stop": stop}


def available(options: PortfolioOptions, turns: Sequence[Turn], champion: str) -> list[str]:
    """The members that may have the next turn: not those that had all of theirs, nor those that knew no further with
    this champion."""
    after = dict(zip((t.index for t in turns), [*(t.champion_id for t in turns[1:]), champion], strict=False))
    found = []
    for member in options.sharing:
        own = [t for t in turns if t.strategy == member]
        limit = options.of_member(member).iterations
        done = limit is not None and len(own) >= limit
        if not done and not (own and own[-1].ended and after[own[-1].index] == champion):
            found.append(member)
    return found


def pulls(session: Session, turns: Sequence[Turn], champion: str) -> list[Pull]:
    """What each turn gained and cost, by all that is measured now: the shrunken estimate of the prompt that led after
    it, less that of the one that led before."""
    led = [*(turn.champion_id for turn in turns), champion]
    found = {i: e.estimate for i, e in shrunken_estimates(measured(session, led)).items()}
    calls, ends = session.evaluator.calls_by_step(), [*(turn.step for turn in turns[1:]), None][: len(turns)]
    return [
        Pull(
            turn.strategy,
            found[after] - found[turn.champion_id] if {after, turn.champion_id} <= found.keys() else 0.0,
            sum(n for at, n in calls.items() if turn.step <= at and (end is None or at < end)),
            turn.chance,
        )
        for turn, after, end in zip(turns, led[1:], ends, strict=True)
    ]


def course(session: Session, seed_prompt: str) -> Course:
    """The calls of the whole search, and what could be gained on the seed prompt."""
    limit = session.ledger.budget.target_calls or DEFAULT_CALLS
    proof = 2 * len(session.task.test) if session.settings.certify else 0
    return Course(max(1, limit - proof), 1.0 - session.standing(seed_prompt)["score"])


def judged(session: Session, turns: Sequence[Turn]) -> list[str]:
    """The candidates of the last turn that were measured."""
    return [d.prompt_id for d in session.decisions_of(turns[-1].iteration)] if turns else []


STRATEGY = Strategy(
    build,
    PortfolioOptions,
    {"even": Preset({"chooser": "round-robin"})},
)
