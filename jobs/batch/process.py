"""Running one job in a process of its own: what a crash of it ends, and what it costs, is itself alone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

LONGEST_LINE = 2**22
"""Bytes: a line of standard error beyond it is cut up."""


@dataclass(frozen=True)
class Ended:
    """How a job's process ended: its exit code (negative: the signal that killed it), its error line, if any, and the
    last line it said."""

    code: int
    error: str = ""
    last: str = ""


class JobProcess:
    """One job under way. `stop` asks it to end after its step, and the second time at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stops = 0

    async def run(self, arguments: Sequence[str]) -> Ended:
        """Run `sage-spo` with these arguments to its end; its progress goes to `say`, line by line."""
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sage_spo.jobs.batch.child",
            str(os.getpid()),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            # Ctrl-C reaches a whole group of processes: the batch hands it on, so that a job hears it once.
            start_new_session=True,
        )
        if self._stops:
            self.stop()
        error = line = ""
        try:
            async for line in self._lines(process):
                error = line.removeprefix("error: ") if line.startswith("error: ") else error
                self._say(line)
            return Ended(await process.wait(), error, line.removeprefix("error: "))
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            raise

    def stop(self) -> None:
        """Ask the process to stop."""
        self._stops += 1
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    @staticmethod
    async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
        assert process.stderr is not None
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:  # a line longer than the limit; what was read of it is gone
                continue
            if not line:
                return
            yield line.decode(errors="replace").rstrip()
