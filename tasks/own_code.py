"""Calling code of a user's own (an environment, a strategy), which may raise anything, hang, or return nonsense."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb
from typing import Any


async def answer(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns: a coroutine is awaited here, a plain function has a thread that can be left behind."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(outcome: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            outcome(value)

    def work() -> None:
        value: Any
        outcome: Callable[[Any], None]
        try:
            value, outcome = function(*arguments), done.set_result
        except StopIteration as error:  # which no future takes
            value = RuntimeError(f"StopIteration: {error}").with_traceback(error.__traceback__)
            outcome = done.set_exception
        except BaseException as error:
            value, outcome = error, done.set_exception
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, outcome, value)

    threading.Thread(target=work, name="own code", daemon=True).start()
    result = await done
    return await result if inspect.isawaitable(result) else result


def kind(value: object) -> str:
    """What was returned, in words for a message."""
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def place(error: Exception) -> str:
    """Where it was raised, ` (file, line n)`; empty where nothing tells."""
    frames = extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
