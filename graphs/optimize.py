"""The outer machine of every run: prepare → pre-flight (→ meta start) → a strategy's search → certify → publish."""

from __future__ import annotations

from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from ..errors import BudgetExceeded, BudgetTooSmall, ModelError
from ..evaluation.certify import Certificate, certify
from ..evaluation.evaluator import Job
from ..evaluation.preflight import take_first_look
from ..evaluation.shrinkage import shrunken_estimates
from ..evaluation.spending import spent_alpha
from .meta_start import meta_start
from .outcome import outcome
from .registry import strategy, usable
from .search_loop import leader
from .session import Session, open_session
from .start import ensure_run
from .state import DEFAULT_STRATEGY, Context, Graph, OptimizeInput, OptimizeOutput, RunState, TaskInput, Update
from .steps import closing, step

RECURSION_LIMIT = 100_000


def build(checkpointer: Any = None, only: str | None = None) -> Graph:
    """The whole graph, every registered strategy a subgraph of it, or `only` the one of that name."""
    form = TaskInput if only else OptimizeInput
    offered = {only: strategy(only).build()} if only else usable()
    builder = StateGraph(RunState, context_schema=Context, input_schema=form, output_schema=OptimizeOutput)

    async def begin(state: RunState, runtime: Runtime[Context]) -> Update:
        return await prepare(state, runtime, only)

    builder.add_node("prepare", closing(begin))
    builder.add_node("preflight", step(preflight))
    builder.add_node("meta_start", step(meta_start))
    for name, subgraph in offered.items():
        builder.add_node(name, subgraph)
        builder.add_edge(name, "certify")
    builder.add_node("certify", step(certify_winner))
    builder.add_node("publish", step(publish))
    builder.add_edge(START, "prepare")
    builder.add_conditional_edges("prepare", _after_prepare)
    builder.add_conditional_edges("preflight", _after_preflight, ["publish", "meta_start", *offered])
    builder.add_conditional_edges("meta_start", _after_meta_start, ["certify", *offered])
    builder.add_edge("certify", "publish")
    builder.add_edge("publish", END)
    return builder.compile(checkpointer=checkpointer, name=only or "optimize").with_config(
        recursion_limit=RECURSION_LIMIT
    )


def _after_prepare(state: RunState) -> Literal["preflight", "publish"]:
    return "publish" if state["stop"] else "preflight"


def _after_preflight(state: RunState) -> str:
    if state["stop"]:
        return "publish"
    return "meta_start" if state.get("init") == "meta" else state.get("strategy", DEFAULT_STRATEGY)


def _after_meta_start(state: RunState) -> str:
    return "certify" if state["stop"] else state.get("strategy", DEFAULT_STRATEGY)


async def prepare(state: RunState, runtime: Runtime[Context], only: str | None = None) -> Update:
    """Open the run (make it, where LangGraph Studio starts one), and say what the budget buys, without a call."""
    run_id = await ensure_run(state, runtime, only)
    session = await open_session(run_id)
    name = session.settings.strategy
    strategy(name)
    seed = session.keep(session.task.seed_prompt, 0)
    update: Update = {
        "run_id": run_id,
        "task": session.settings.task,
        "strategy": name,
        "step": 1,
        "iteration": 0,
        "proposed": 0,
        "turn": "",
        "init": session.options.init,
        "seed_prompt": seed,
        "champion": seed,
        "accepted": [seed],
        "pool": [seed],
        "candidates": [],
        "flip_rate": 0.0,
        "decoding": "",
        "stop": "",
        "verdict": "",
    }
    uses = len(await session.store.test_uses(session.task.test_key))
    try:
        planned = session.settings.plan(session.task, session.evaluator.target, session.panels, uses)
    except BudgetTooSmall as error:
        session.emit("budget_too_small", message=str(error))
        return {**update, "stop": str(error), "verdict": "budget too small"}
    if uses:
        planned.notes.append(
            f"This test split was used {uses} times before; its error rate is now {planned.alpha:.4f} (of 0.05)."
        )
    session.emit(
        "plan",
        sizes=planned.sizes,
        certification=planned.certification,
        search=planned.search if planned.search != float("inf") else None,
        smallest_gain=planned.smallest_gain if planned.smallest_gain != float("inf") else None,
        alpha=planned.alpha,
        notes=planned.notes,
        provider=session.evaluator.target.name,
    )
    return update


async def preflight(session: Session, state: RunState) -> Update:
    """Measure the seed prompt: where it stands, whether answers flip, which labels look wrong."""
    try:
        look = await take_first_look(session.evaluator, session.panels)
    except BudgetExceeded as stop:
        return {"stop": str(stop), "verdict": "inconclusive"}
    if look.n == 0:
        raise ModelError(f"no call to {session.evaluator.target.name} succeeded: {session.calls.trouble}")
    session.emit(
        "first_look",
        score=look.score,
        n=look.n,
        missing=look.missing,
        flip_rate=look.flip_rate,
        headroom=look.headroom,
        suspicious=look.suspicious,
        decoding=look.decoding,
    )
    return {"flip_rate": look.flip_rate, "decoding": look.decoding}


async def certify_winner(session: Session, state: RunState) -> Update:
    """Measure seed and winner on the untouched test split, once."""
    winner = leader(session, state["accepted"], state["champion"])
    update: Update = {"champion": winner}
    if winner == state["seed_prompt"]:
        return {**update, "verdict": "unchanged"}
    if not session.settings.certify:
        return {**update, "verdict": "not tested"}
    session.emit("certifying", prompt=winner, examples=len(session.task.test))
    jobs = [Job(session.prompt(i), session.task.test, "test") for i in (state["seed_prompt"], winner)]
    try:
        measured = await session.evaluator.measure(*jobs, role="certification")
    except BudgetExceeded:
        measured = 0
    if measured < len(jobs):
        return {**update, "verdict": "inconclusive"}
    use = await session.store.use_test(session.task.test_key, session.run.id)
    certificate = certificate_of(session, state["seed_prompt"], winner, use)
    return {**update, "verdict": certificate.verdict}


async def publish(session: Session, state: RunState) -> Update:
    """Write the result into the run store and close the run."""
    certificate, use = None, 0
    tested = state["verdict"] in ("improved", "harmed", "not certified", "inconclusive")
    if tested and session.evaluator.scores(state["champion"], session.task.test):
        use = await session.store.use_test(session.task.test_key, session.run.id)
        certificate = certificate_of(session, state["seed_prompt"], state["champion"], use)
    scores = session.evaluator.all_scores(("search", "holdout"), [*state["accepted"], *state["pool"]])
    estimate = shrunken_estimates({i: s for i, s in scores.items() if s}).get(state["champion"])
    result = outcome(session, state, certificate, use, estimate.estimate if estimate else None)
    await session.store.update_run(
        session.run.id, status="finished", result=result.model_dump(mode="json"), seconds=session.ledger.seconds
    )
    session.emit("finished", verdict=result.verdict, gain=result.gain, p=result.p, spend=result.spend["spent"])
    await session.aclose()
    return {"verdict": result.verdict}


def certificate_of(session: Session, seed_prompt: str, winner: str, use: int) -> Certificate:
    """The certificate for this run's scores on the test split, at the error rate of its `use`-th use."""
    scores = session.evaluator.scores
    return certify(
        scores(seed_prompt, session.task.test),
        scores(winner, session.task.test),
        alpha=spent_alpha(use),
        rng=session.generator("certify"),
    )


graph = build()
sage = build(only="sage")
auto = build(only="auto")
