"""What a node of a run is: work on the run's session that may be run again after a crash, as if it never had been.

A strategy's author writes `async def work(session, state) -> Update` and gives it to `step`; opening and closing the
run, counting steps and forgetting what a crashed execution of the step had measured are done here, for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, get_type_hints

from ..errors import DiskFull, RunInterrupted
from ..traces.rows import RunStatus
from .held_run import close_session, flush_session
from .session import Session, open_session
from .state import Update

Work = Callable[[Session, Any], Awaitable[Update]]
Node = Callable[..., Awaitable[Update]]


def step(work: Work) -> Node:
    """The node that does `work` as one step of the run.

    What the step measured in an execution that was cut short is forgotten before it begins: the answers are there
    and paid, and it sees exactly what it saw the first time. What it stored is committed before it ends.
    """

    async def node(state: Mapping[str, Any]) -> Update:
        session = await open_session(state["run_id"])
        session.evaluator.begin(state["step"])
        session.turn = state.get("turn", "")
        return {"step": state["step"] + 1, **await work(session, state)}

    return closing(like(node, work))


def side(work: Work) -> Node:
    """The node that does `work` beside others of its kind, as a part of the step that follows them all.

    It must not measure: which of them would pay for a call would depend on time.
    """

    async def node(state: Mapping[str, Any]) -> Update:
        return await work(await open_session(state["run_id"]), state)

    return closing(like(node, work))


def closing(node: Node) -> Node:
    """The node, closing its run's session where it does not come to its end, and committing what it stored.

    Under a LangGraph server nobody else would: the run would stay marked as running and its lease be renewed.
    """

    @wraps(node)
    async def run(state: Any, *more: Any, **by_name: Any) -> Update:
        try:
            update = await node(state, *more, **by_name)
            # The checkpoint must never name what the store does not hold yet.
            await flush_session(update.get("run_id") or state.get("run_id", ""))
            return update
        except (asyncio.CancelledError, RunInterrupted):
            await close_session(state.get("run_id", ""), "interrupted")
            raise
        except Exception as error:
            status: RunStatus = "interrupted" if isinstance(error, DiskFull) else "failed"
            await close_session(state.get("run_id", ""), status, str(error))
            raise

    return run


def like(node: Node, work: Callable[..., Any]) -> Node:
    """The node under the work's name, with the state that the work wants: LangGraph reads it from the annotation."""
    node.__name__, node.__doc__ = work.__name__, work.__doc__
    node.__annotations__["state"] = get_type_hints(work)["state"]
    return node
