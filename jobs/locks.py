"""One process at a time for a batch or a file of schedules: a lock of the operating system, which dies with it."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ..errors import RunInterrupted
from ..traces.home import unwritable, writable_folder

WAIT_SECONDS = 0.5


class Busy(RunInterrupted):
    """Another process works on it; nothing was done, and calling again later is all it takes (exit code 75)."""


@asynccontextmanager
async def locked(
    path: Path,
    what: str,
    *,
    wait: bool,
    say: Callable[[str], None],
    stopped: Callable[[], bool] = lambda: False,
    way_out: str = " (--wait waits for it)",
) -> AsyncIterator[None]:
    """Hold the lock on the file at `path` (made where it is not there); `what` it stands for, in words.

    Raises Busy while another process holds it, unless `wait`: then it waits, and says so, until `stopped`. Raises
    StoreError where the file cannot be written. `way_out` ends the message of Busy.
    """
    writable_folder(path.parent)
    try:
        file = path.open("a")
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
    with file:
        told = False
        while not _taken(file.fileno()):
            if stopped():
                raise RunInterrupted("stopped while waiting; nothing was done")
            if not wait:
                raise Busy(f"{what} is under way in another process; nothing was done{way_out}")
            if not told:
                say(f"waiting: {what} is under way in another process")
                told = True
            await asyncio.sleep(WAIT_SECONDS)
        yield


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
