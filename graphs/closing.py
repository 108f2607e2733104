"""A node that fails or is cancelled lets go of its run, wherever it was started from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from .session import close_session
from .state import Update

Node = Callable[..., Awaitable[Update]]


def closing(node: Node) -> Node:
    """The node, closing its run's session where it does not come to its end.

    Under a LangGraph server nobody else would: the run would stay marked as running and its lease be renewed.
    """

    @wraps(node)
    async def run(state: Any, *more: Any, **by_name: Any) -> Update:
        try:
            return await node(state, *more, **by_name)
        except asyncio.CancelledError:
            await close_session(state.get("run_id", ""), "interrupted")
            raise
        except Exception as error:
            await close_session(state.get("run_id", ""), "failed", str(error))
            raise

    return run
