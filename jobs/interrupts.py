"""Ctrl-C and SIGTERM: a run ends after the step in hand, the second time at once; a measurement ends at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ..errors import ProviderDown, QuotaExhausted, RunInterrupted

if TYPE_CHECKING:
    from langgraph.runtime import RunControl

    from .batch.running import Stopping

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(control: RunControl, say: Callable[[str], None]) -> Iterator[None]:
    """While it is open, a signal asks `control` to drain; the next one cancels the task that opened it.

    `say` is told what happens. A third signal ends the process as if nobody listened. Either way the run is left for
    `resume`.
    """
    task = asyncio.current_task()

    def stop() -> None:
        if not control.drain_requested:
            control.request_drain("asked to stop")
            say("stopping: the step in hand ends first, then the run stops. Again to stop at once.")
        elif task is not None:
            say("stopping at once")
            _let_go()
            task.cancel()

    _listen(stop)
    try:
        yield
    finally:
        _let_go()


@contextmanager
def stopped_by_signals(stopping: Stopping, say: Callable[[str], None], what: str) -> Iterator[None]:
    """While it is open, signals ask `stopping`: once, and the `what` in hand end after their step; twice, at once."""

    def stop() -> None:
        stopping()
        say(
            f"stopping: the {what} in hand end after their step. Again to stop at once."
            if stopping.asked == 1
            else "stopping at once"
        )

    _listen(stop)
    try:
        yield
    finally:
        _let_go()


def measured(measurement: Coroutine[object, object, T]) -> T:
    """The result of a measurement, which a signal ends at once; what was answered by then is kept.

    Raises RunInterrupted.
    """

    async def go() -> T:
        task = asyncio.current_task()
        assert task is not None
        _listen(task.cancel)
        return await measurement

    try:
        return asyncio.run(go())
    except ProviderDown as down:
        raise RunInterrupted(f"{down}. The same command goes on, and what was answered is free") from None
    except QuotaExhausted as error:
        raise QuotaExhausted(f"{error}. Then the same command goes on, and what was answered is free") from None
    except asyncio.CancelledError:
        raise RunInterrupted("stopped; the same command goes on, and what was answered is free") from None


def _listen(stop: Callable[[], object]) -> None:
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _let_go() -> None:
    for number in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
