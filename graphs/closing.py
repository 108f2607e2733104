"""A node that fails or is cancelled lets go of its run, wherever it was started from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from ..errors import DiskFull, RunInterrupted
from .session import close_session, flush_session
from .state import Update

Node = Callable[..., Awaitable[Update]]


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
            status = "interrupted" if isinstance(error, DiskFull) else "failed"
            await close_session(state.get("run_id", ""), status, str(error))
            raise

    return run
