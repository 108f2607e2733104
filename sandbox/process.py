"""The parent's side of one confined process: start it, hand it tables, and start runs in it. Any thread may call."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxError
from .cgroups import Groups, make
from .inside.plan import PROBE_MEMORY, Limits
from .isolation import ENVIRONMENT, Confinement, command, plan_of
from .sweep import sweep
from .table import Table

_HEADER = struct.Struct(">Q")
_TABLES = 4
"""Tables that are kept, each by a process of its own; a fifth takes the place of the one not used for longest."""
_END_SECONDS = 3.0
_PREFIX = "sage-spo-secret-"
_TOGETHER = 4 << 30
"""Bytes that a cgroup allows for Python, pandas and the tables, on top of what the runs may use."""


class ProcessGone(Exception):
    """The process has ended, before the run that was asked of it began."""


class Process:
    """A process that has pandas loaded and forks a worker per run. Raises SandboxError where it cannot be started."""

    def __init__(self, confinement: Confinement, limits: Limits, concurrent: int) -> None:
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, socket.socket] = OrderedDict()
        self._started = _start(confinement, limits, memory=_TOGETHER + concurrent * limits.memory)
        self._started.control.settimeout(limits.start)
        self._seconds = limits.start

    @property
    def alive(self) -> bool:
        return self._started.popen.poll() is None

    @property
    def pid(self) -> int:
        return self._started.popen.pid

    def run(self, code: str, table: Table, output: int, results: int, watch: int) -> None:
        """Start a worker that writes to these descriptors; `watch` is its end of the run's own socket.

        Raises ProcessGone where the process is.
        """
        payload = code.encode("utf-8", "replace")
        with self._lock, _gone():
            control = self._tables.get(table.digest) or self._load(table)
            self._tables.move_to_end(table.digest)
            _send_fds(control, _HEADER.pack(len(payload)), output, results, watch)
            control.sendall(payload)

    def _load(self, table: Table) -> socket.socket:
        """A process for this table, and the control to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            _send_fds(self._started.control, b"t", theirs.fileno())
        ours.settimeout(self._seconds)
        self._tables[table.digest] = ours
        if len(self._tables) > _TABLES:
            self._tables.popitem(last=False)[1].close()  # upon which its process ends
        ours.sendall(_HEADER.pack(len(table.data)))
        ours.sendall(table.data)
        return ours

    def end(self) -> None:
        """Close the control, upon which the process kills its workers and ends; kill it if it doesn't."""
        self._close()
        try:
            self._started.popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._started.popen.kill()
            self._started.popen.wait()
        self._started.groups.remove()

    def kill(self) -> None:
        """At once; the kernel kills its workers with it."""
        self._started.popen.kill()
        self._started.popen.wait()
        self._close()
        self._started.groups.remove()

    def _close(self) -> None:
        for control in (self._started.control, *self._tables.values()):
            with contextlib.suppress(OSError):
                control.shutdown(socket.SHUT_RDWR)
            control.close()


def _send_fds(channel: socket.socket, data: bytes, *descriptors: int) -> None:
    sent = socket.send_fds(channel, [data], descriptors)
    channel.sendall(data[sent:])


@contextlib.contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProcessGone(str(error)) from error


def probe(confinement: Confinement) -> str | None:
    """Start a process so confined and let it try what must be forbidden; None if all was, else what was not."""
    try:
        started = _start(confinement, Limits(start=20.0), memory=PROBE_MEMORY, probe=True)
    except SandboxError as error:
        return str(error)
    started.control.close()
    started.popen.wait()
    started.groups.remove()
    return None


@dataclass(frozen=True, slots=True)
class _Started:
    control: socket.socket
    popen: subprocess.Popen[bytes]
    groups: Groups


def _start(confinement: Confinement, limits: Limits, *, memory: int, probe: bool = False) -> _Started:
    """The process, once it has said that it is confined and ready; `memory` in bytes is what a cgroup allows in all."""
    if not hasattr(os, "fork"):
        raise SandboxError("Analysis code needs a system that can fork (Linux, WSL); use --sandbox none here.")
    with contextlib.ExitStack() as undo:
        try:
            groups = make(memory) if "cgroup" in confinement.layers else Groups()
            undo.callback(groups.remove)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            sweep(Path(tempfile.gettempdir()), _PREFIX, Path.unlink)
            # The file that the process must not be able to read; it tries before it says that it is ready.
            with theirs, tempfile.NamedTemporaryFile("w", prefix=_PREFIX) as forbidden:
                forbidden.write("secret")
                forbidden.flush()
                plan = plan_of(confinement, limits, forbidden.name, groups.joins, probe=probe)
                with tempfile.TemporaryFile() as errors:
                    popen = subprocess.Popen(  # noqa: S603
                        command(plan),
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        stderr=errors,
                        env=ENVIRONMENT,
                        cwd="/",
                        start_new_session=True,  # Ctrl-C is for the parent, which then ends this in order
                    )
                    theirs.close()
                    undo.callback(popen.wait)
                    undo.callback(popen.kill)
                    why = _answer(ours, limits.start)
                    errors.seek(0)
                    said = errors.read(20_000).decode("utf-8", "replace").strip().splitlines()
        except (OSError, ValueError) as error:
            raise SandboxError(f"The sandbox ({confinement}) cannot be started: {error}.") from error
        if why is not None:
            why = why or (said or ["it ended at once"])[-1]
            raise SandboxError(f"The sandbox ({confinement}) cannot be started: {why}")
        undo.pop_all()
        return _Started(ours, popen, groups)


def _answer(control: socket.socket, seconds: float) -> str | None:
    """None when the process says that it is ready; else why not, empty where it says nothing."""
    control.settimeout(seconds)
    line = b""
    try:
        while not line.endswith(b"\n"):
            part = control.recv(4096)
            if not part:
                return ""
            line += part
        said = json.loads(line)
    except TimeoutError:
        return f"not ready after {seconds:g} s"
    except (OSError, ValueError):
        return ""
    return None if said.get("ready") else str(said.get("failed"))[:2000]
