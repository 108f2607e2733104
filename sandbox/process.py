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
from typing import Any

from ..errors import SandboxError
from .isolation import ENVIRONMENT, Confinement, command
from .plan import Limits
from .table import Table

_HEADER = struct.Struct(">4sQ")
_TABLES = 4
"""Tables that the process keeps; a fifth takes the place of the one not used for longest."""
_END_SECONDS = 3.0


class ProcessGone(Exception):
    """The process has ended, before the run that was asked of it began."""


class Process:
    """A process that has pandas loaded and forks a worker per run. Raises SandboxError where it cannot be started."""

    def __init__(self, confinement: Confinement, limits: Limits) -> None:
        self._lock = threading.Lock()
        self._tables: OrderedDict[str, None] = OrderedDict()
        self._control, self._popen = _start(confinement, limits)
        self._control.settimeout(limits.start)

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def pid(self) -> int:
        return self._popen.pid

    def run(self, code: str, table: Table, output: int, results: int, watch: int) -> None:
        """Start a worker that writes to these descriptors; `watch` is its end of the run's own socket.

        Raises ProcessGone where the process is.
        """
        digest = table.digest.encode()
        with self._lock, _gone():
            if table.digest not in self._tables:
                self._send(b"load", digest + table.data)
                if len(self._tables) >= _TABLES:
                    oldest, _ = self._tables.popitem(last=False)
                    self._send(b"drop", oldest.encode())
            self._tables[table.digest] = None
            self._tables.move_to_end(table.digest)
            self._send(b"run ", digest + code.encode("utf-8", "replace"), output, results, watch)

    def _send(self, kind: bytes, payload: bytes, *descriptors: int) -> None:
        head = _HEADER.pack(kind, len(payload))
        sent = socket.send_fds(self._control, [head], descriptors) if descriptors else self._control.send(head)
        self._control.sendall(head[sent:])
        self._control.sendall(payload)

    def end(self) -> None:
        """Close the control, upon which the process kills its workers and ends; kill it if it doesn't."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        try:
            self._popen.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """At once; the kernel kills its workers with it."""
        self._popen.kill()
        self._popen.wait()
        self._control.close()


@contextlib.contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProcessGone(str(error)) from error


def probe(confinement: Confinement) -> str | None:
    """Start a process so confined and let it try what must be forbidden; None if all was, else what was not."""
    try:
        control, popen = _start(confinement, Limits(start=20.0), probe=True)
    except SandboxError as error:
        return str(error)
    control.close()
    popen.wait()
    return None


def _start(confinement: Confinement, limits: Limits, *, probe: bool = False) -> tuple[socket.socket, Any]:
    """The process, once it has said that it is confined and ready, and the control to it."""
    if not hasattr(os, "fork"):
        raise SandboxError("Analysis code needs a system that can fork (Linux, WSL); use --sandbox none here.")
    ours, theirs = socket.socketpair()
    # The file that the process must not be able to read; it tries before it says that it is ready.
    with tempfile.NamedTemporaryFile("w", prefix="sage-spo-") as forbidden, tempfile.TemporaryFile() as errors:
        forbidden.write("secret")
        forbidden.flush()
        try:
            with theirs:
                popen = subprocess.Popen(  # noqa: S603
                    command(confinement, forbidden.name, limits, probe=probe),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,  # Ctrl-C is for the parent, which then ends this in order
                )
        except OSError as error:
            ours.close()
            raise SandboxError(f"The sandbox ({confinement}) cannot be started: {error}.") from error
        why = _answer(ours, limits.start)
        if why is None:
            return ours, popen
        popen.kill()
        popen.wait()
        ours.close()
        errors.seek(0)
        said = errors.read(20_000).decode("utf-8", "replace").strip().splitlines()
    raise SandboxError(f"The sandbox ({confinement}) cannot be started: {why or (said or ['it ended at once'])[-1]}")


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
