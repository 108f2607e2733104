"""Ctrl-C and SIGTERM: first a clean end after the step in hand, then an end at once. Both leave a run to resume."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langgraph.runtime import RunControl

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(control: RunControl, say: Callable[[str], None]) -> Iterator[None]:
    """While it is open, a signal asks `control` to drain; the next one cancels the task that opened it.

    `say` is told what happens. A third signal ends the process as if nobody listened.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def stop() -> None:
        if not control.drain_requested:
            control.request_drain("asked to stop")
            say("stopping: the step in hand ends first, then the run stops. Again to stop at once.")
        elif task is not None:
            say("stopping at once")
            _let_go(loop)
            task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        _let_go(loop)


def _let_go(loop: asyncio.AbstractEventLoop) -> None:
    for number in SIGNALS:
        loop.remove_signal_handler(number)
