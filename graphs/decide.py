"""An agent that decides in sequence: warm start → domain → (choose → build → act → observe → learn), round after round.

Source: EXPO and EXPO-ES, arXiv 2502.00728. The meta-prompt of a round (task, instruction, past actions with their
values) is chosen by a bandit, adversarial because what a meta-prompt brings changes while the agent learns.
"""

from __future__ import annotations

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from ..errors import UsageError
from .decide_session import open_decide_session
from .decide_start import ensure_decide_run
from .decide_state import DecideContext, DecideInput, DecideOutput, DecideState
from .decide_steps import act, build, choose, decide_step, domain, learn, observe, publish, warm_start
from .state import Update
from .steps import closing

RECURSION_LIMIT = 1_000_000

DecideGraph = CompiledStateGraph[Any, DecideContext, Any, Any]


def build_decide(checkpointer: Any = None) -> DecideGraph:
    """The graph, compiled."""
    builder = StateGraph(
        DecideState, context_schema=DecideContext, input_schema=DecideInput, output_schema=DecideOutput
    )
    builder.add_node("prepare", closing(prepare))
    for work in (warm_start, domain, choose, build, act, observe, learn, publish):
        builder.add_node(work.__name__, decide_step(work))
    builder.add_edge(START, "prepare")
    builder.add_edge("prepare", "warm_start")
    builder.add_edge("warm_start", "domain")
    for name, following in (("domain", "choose"), ("choose", "build"), ("act", "observe")):
        builder.add_conditional_edges(name, _unless_stopped(following), [following, "publish"])
    builder.add_edge("build", "act")
    builder.add_edge("observe", "learn")
    builder.add_conditional_edges("learn", _after_round, ["choose", "publish"])
    builder.add_edge("publish", END)
    return builder.compile(checkpointer=checkpointer, name="decide").with_config(recursion_limit=RECURSION_LIMIT)


async def prepare(state: DecideState, runtime: Runtime[DecideContext]) -> Update:
    """Open the run (make it, where LangGraph Studio starts one) and its environment."""
    run_id = await ensure_decide_run(state, runtime)
    session = await open_decide_session(run_id)
    settings, how = session.settings, session.how
    if not how.agent and not session.listed:
        raise UsageError(
            f"method {settings.method} chooses among listed actions, and environment {settings.environment} lists none"
        )
    session.emit(
        "decide",
        environment=settings.environment,
        method=settings.method,
        rounds=session.length,
        agent=settings.agent if how.agent else None,
        embeddings=session.embeddings.name if session.embeddings else None,
    )
    return {
        "run_id": run_id,
        "environment": settings.environment,
        "method": settings.method,
        "round": 1,
        "last": session.length,
        "arm": 0,
        "probability": 1.0,
        "silent": 0,
        "stop": "",
        "verdict": "",
    }


def _unless_stopped(following: str) -> Any:
    def route(state: DecideState) -> str:
        return "publish" if state["stop"] else following

    return route


def _after_round(state: DecideState) -> str:
    return "publish" if state["stop"] or state["round"] > state["last"] else "choose"


graph = build_decide()
