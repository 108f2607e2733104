"""One run, seen from the parent: starts a worker, drains what it writes, bounds its time, and kills it."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import selectors
import signal
import socket
import threading
import time
from typing import Any

from ..errors import SandboxError
from .frames import FrameError, Frames
from .inside.plan import Limits
from .process import Process, ProcessGone
from .protocol import Execution
from .table import Table
from .text import clean

_READ = 1 << 16
_KILL_SECONDS = 5.0
"""How long the process may take to report that a killed worker is gone, before it is killed itself."""
_DRAIN_SECONDS = 1.0
"""For what is still in the pipes when the worker is gone; only processes that `unsafe` code left keep them open."""


class Run:
    """Runs once: `execute` in a thread of its own, `cancel` from any other."""

    def __init__(self, code: str, table: Table, limits: Limits) -> None:
        self.code = code
        self.table = table
        self.limits = limits
        self.frames = Frames(limits)
        self.output = Output(limits.stdout)
        self.status: int | None = None
        self.why: str | None = None
        self._lock = threading.Lock()
        self._watch: socket.socket | None = None

    def cancel(self) -> None:
        """Kill the worker; `execute` returns when it is gone."""
        self.kill("cancelled")

    def kill(self, why: str) -> None:
        with self._lock:
            self.why = self.why or why
            if self._watch is not None:
                with contextlib.suppress(OSError):
                    self._watch.shutdown(socket.SHUT_WR)

    def execute(self, process: Process) -> Execution:
        """Raises ProcessGone where the process is, SandboxError where nothing could be run."""
        watch, theirs = socket.socketpair()
        output, output_end = os.pipe()
        results, results_end = os.pipe()
        with watch, os.fdopen(output, "rb", 0) as output_file, os.fdopen(results, "rb", 0) as results_file:
            try:
                process.run(self.code, self.table, output_end, results_end, theirs.fileno())
            finally:
                theirs.close()
                os.close(output_end)
                os.close(results_end)
            started = time.monotonic()
            with self._lock:
                self._watch = watch
            if self.why:
                self.kill(self.why)
            try:
                started = self._drain(process, watch, output_file.fileno(), results_file.fileno(), started)
            finally:
                with self._lock:
                    self._watch = None
        return self._execution(time.monotonic() - started)

    def _drain(self, process: Process, watch: socket.socket, output: int, results: int, started: float) -> float:
        """Read until the worker is gone and its pipes are empty. Returns when its code began."""
        deadline, killed = started + self.limits.start, False
        running = True
        with selectors.DefaultSelector() as selector:
            for channel in (watch, output, results):
                selector.register(channel, selectors.EVENT_READ)
            while selector.get_map():
                left = deadline - time.monotonic()
                if left <= 0:
                    if not running:
                        break
                    if killed:
                        process.kill()
                        running, deadline = False, time.monotonic() + _DRAIN_SECONDS
                        continue
                    self.kill(f"time limit of {self.limits.wall:g} s" if self.frames.started else "never started")
                if self.why and not killed and running:
                    killed, deadline = True, time.monotonic() + _KILL_SECONDS
                    continue
                # Woken now and then: a cancel shuts the watch down for writing, which wakes only the other side.
                for key, _ in selector.select(max(0.0, min(left, 0.25))):
                    if key.fileobj is watch:
                        self._ended(watch)
                        selector.unregister(watch)
                        running, deadline = False, time.monotonic() + _DRAIN_SECONDS
                        continue
                    data = os.read(key.fd, _READ)
                    if not data:
                        selector.unregister(key.fd)
                    elif key.fd == output:
                        self.output.feed(data)
                    else:
                        began = not self.frames.started
                        self._feed(data)
                        if began and self.frames.started and running and not killed:
                            started = time.monotonic()
                            deadline = started + self.limits.wall
        return started

    def _feed(self, data: bytes) -> None:
        if self.why:
            return
        try:
            self.frames.feed(data)
        except FrameError as error:
            self.kill(f"killed by the sandbox: {error}")

    def _ended(self, watch: socket.socket) -> None:
        """How the worker ended, as its parent says; nothing if that one is gone too."""
        said: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(watch.recv(4096))
        if "refused" in said:
            raise SandboxError(f"The analysis could not be run: {said['refused']}")
        self.status = said.get("status")

    def _execution(self, duration: float) -> Execution:
        if not self.frames.started and not self.why:
            if self.status is None:
                raise ProcessGone("it ended before the run began")
            said = clean(self.output.text().strip(), 500) or f"exit code {self.status}"
            raise SandboxError(f"The worker could not be confined, so nothing was run: {said}")
        if self.why == "never started":
            raise SandboxError(f"The worker was not ready after {self.limits.start:g} s; nothing was run.")
        return execution(self.frames, self.output, self.why, self.status, duration)


def execution(frames: Frames, output: Output, why: str | None, status: int | None, duration: float) -> Execution:
    """What a run left behind: `why` it was ended from outside, `status` its worker's exit code, None where unknown."""
    text = output.text()
    if frames.dropped:
        text += f"\n[{frames.dropped} further findings were dropped: too many, or too large in total]"
    error = why or _error(frames, status)
    return Execution(text, tuple(frames.findings), error, duration)


def _error(frames: Frames, status: int | None) -> str | None:
    if frames.error or frames.done:
        return frames.error
    if status is None:
        return "killed: the process of the sandbox ended"
    if status == -signal.SIGXCPU:
        return f"time limit of {frames.limits.cpu} s of computing"
    if status == -signal.SIGKILL:
        return "killed by the system: most likely for its memory, or for its computing time"
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})"
    return f"the code ended its process before its end (exit code {status})"


class Output:
    """What was printed: the first characters of it, however much there is."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept = ""
        self._cut = False

    def feed(self, data: bytes) -> None:
        # Twice the cap before cleaning, which can only shorten.
        if len(self._kept) < 2 * self._cap:
            self._kept += self._decoder.decode(data)
        else:
            self._cut = True

    def text(self) -> str:
        """Cleaned, with a last line that says so if there was more."""
        text = clean(self._kept)
        if len(text) > self._cap or self._cut:
            return f"{text[: self._cap]}\n[output cut at {self._cap:,} characters]"
        return text
