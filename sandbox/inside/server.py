"""The process of one table: forks one worker for every run over it. Runs inside the sandbox, confined.

It was itself forked, when the table came, from a process that has pandas loaded and has never seen any other table. It
is started with a socket, the *control*: first the table comes over it, then, for each run, a header (kind, length) with
three descriptors: where the worker's output goes, where its results go, and the *watch*, a socket that belongs to this
one run; then the code. The parent kills the run by closing its side of the watch; this process answers on it how the
worker ended. It reads nothing that a worker writes. When the control closes it kills its workers and ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import struct
from typing import Any

from . import analysis, worker
from .plan import Plan

HEADER = struct.Struct(">Q")
_BYTES_PER_BYTE = 16
"""Memory that a table takes at most, by bytes of its JSON."""


class Server:
    """One table, and the workers that are running over it. `size` is of the process that it was forked from."""

    def __init__(self, control: socket.socket, plan: Plan, toolkit: Any, null: int, size: int | None) -> None:
        self.control = control
        self.plan = plan
        self.toolkit = toolkit
        self.null = null
        self.size = size
        self.table: Any = None
        self.workers: dict[int, socket.socket] = {}
        self.wake, write = _pipe()
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the control closes."""
        try:
            self._load()
            while True:
                ready = {descriptor for descriptor, _ in self.poll.poll()}
                # Kills first: what follows closes and opens descriptors, which changes what the numbers mean.
                for descriptor in ready - {self.control.fileno(), self.wake}:
                    self._end(descriptor)
                if self.wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        while os.read(self.wake, 4096):
                            pass
                    self._reap()
                if self.control.fileno() in ready:
                    self._command()
        except (EOFError, ConnectionError):
            return
        finally:
            for pid in self.workers:
                _kill(pid)

    def _load(self) -> None:
        data = _exactly(self.control, HEADER.unpack(_exactly(self.control, HEADER.size))[0])
        if self.size is not None:
            self.size += _BYTES_PER_BYTE * len(data)
        self.table = _table(data)
        # Else a worker's first collection would touch, and so copy, every page of the heap.
        gc.collect()
        gc.freeze()

    def _command(self) -> None:
        """Start one run. Raises EOFError where the control is closed."""
        head, descriptors, _, _ = socket.recv_fds(self.control, HEADER.size, 3)
        if not head:
            raise EOFError
        head += _exactly(self.control, HEADER.size - len(head))
        code = _exactly(self.control, HEADER.unpack(head)[0])
        self._run(code.decode("utf-8", "replace"), *descriptors)

    def _run(self, code: str, output: int, results: int, watch: int) -> None:
        """Fork the worker of one run."""
        channel = socket.socket(fileno=watch)
        try:
            if isinstance(self.table, str):
                raise ValueError(f"the table could not be loaded: {self.table}")
            own = os.getpid()
            pid = os.fork()
            if pid == 0:
                try:
                    job = worker.Job(
                        self.table, code, self.toolkit, self.null, output, results, own, self.size, self.plan
                    )
                    worker.live(job)
                except BaseException as error:  # before any given code
                    os.write(1, f"{type(error).__name__}: {error}".encode())
                finally:
                    os._exit(worker.FAILED)
        except (OSError, ValueError) as error:
            _tell(channel, {"refused": str(error)[:1000]})
            channel.close()
        else:
            self.workers[pid] = channel
            self.poll.register(channel, select.POLLIN)
        finally:
            os.close(output)
            os.close(results)

    def _end(self, descriptor: int) -> None:
        """End the run whose watch the parent has closed."""
        self.poll.unregister(descriptor)
        for pid, channel in self.workers.items():
            if channel.fileno() == descriptor:
                _kill(pid)

    def _reap(self) -> None:
        """Tell the watches of the workers that have ended how they did."""
        for pid in list(self.workers):
            if hasattr(os, "waitid"):  # on macOS only from Python 3.13
                # Not waited for yet: as long as it is a zombie, its number and its group are its own.
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    continue
                _kill(pid)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done == 0:
                continue
            channel = self.workers.pop(pid)
            with contextlib.suppress(KeyError):
                self.poll.unregister(channel)
            _tell(channel, {"status": os.waitstatus_to_exitcode(status)})
            channel.close()


def _pipe() -> tuple[int, int]:
    if hasattr(os, "pipe2"):
        return os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)  # in one system call: a second one is not allowed any more
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends


def _table(data: bytes) -> Any:
    """The DataFrame, or why there is none."""
    try:
        return analysis.load(data)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _kill(pid: int) -> None:
    """A child and its process group, where there are such."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # where it has no group of its own yet
        os.kill(pid, signal.SIGKILL)


def _tell(channel: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        channel.send(json.dumps(message).encode() + b"\n")


def _exactly(channel: socket.socket, length: int) -> bytes:
    """So many bytes. Raises EOFError where the other side closes before."""
    parts = bytearray()
    while len(parts) < length:
        part = channel.recv(min(1 << 20, length - len(parts)))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
