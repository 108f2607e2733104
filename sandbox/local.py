"""The sandbox on the user's own machine: confined where something isolates, or plain for trusted code."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from ..errors import SandboxError
from .inside.plan import Limits
from .isolation import Confinement
from .process import Process, ProcessGone
from .protocol import Execution
from .run import Run
from .table import Table

CONCURRENT = 2


class LocalSandbox:
    """Runs each code in a worker of its own, forked from one process that is started at the first run.

    With a `confinement` that isolates, code that a model wrote may run here. Where it cannot be put in force, `run`
    raises SandboxError and nothing is run. At most two runs at a time; further ones wait. May be used from several
    threads and event loops.
    """

    most_billed = 0.0

    def __init__(self, name: str, confinement: Confinement, limits: Limits | None = None) -> None:
        self.name = name
        self.confinement = confinement
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._closed = False
        # Threads, not tasks: they belong to no event loop, and their number is the bound.
        self._threads = ThreadPoolExecutor(CONCURRENT, thread_name_prefix="sage-spo-sandbox")

    @property
    def isolated(self) -> bool:
        return self.confinement.isolates

    @property
    def pid(self) -> int | None:
        """Of the process that forks the workers, while there is one."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    async def run(self, code: str, table: Table) -> Execution:
        """See `Sandbox.run`. Cancelling it kills the worker before it returns."""
        if self._closed:
            raise SandboxError("This sandbox is closed.")
        run = Run(code, table, self.limits)
        future = self._threads.submit(self._execute, run)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            run.cancel()
            await _ended(future)
            raise

    def _execute(self, run: Run) -> Execution:
        process = self._running()
        try:
            return run.execute(process)
        except ProcessGone:
            # It crashed since it was looked at, and nothing has run: once more, with a new one.
            process.kill()
        try:
            return run.execute(self._running())
        except ProcessGone as error:
            raise SandboxError(f"The sandbox ({self.confinement}) ended and could not be restarted: {error}") from error

    def _running(self) -> Process:
        with self._lock:
            if self._closed:
                raise SandboxError("This sandbox is closed.")
            if self._process is None or not self._process.alive:
                self._process = Process(self.confinement, self.limits, CONCURRENT)
            return self._process

    async def aclose(self) -> None:
        """End the process and its workers; runs under way return with an error."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.end()


async def _ended(future: Future[Execution]) -> None:
    """Wait for a cancelled run's thread, a few milliseconds as a rule, so that nothing of it is left."""
    done, _ = await asyncio.wait([asyncio.wrap_future(future)])
    for each in done:
        if not each.cancelled():
            each.exception()  # looked at, so that nobody is told that it wasn't
