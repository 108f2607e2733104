"""Work done at the same time inside one node, none of which outlives the node."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def at_once(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order. Where one fails the others are cancelled, and its error is raised when they have ended."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
