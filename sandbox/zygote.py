"""The process that has pandas loaded and forks one worker for every run. Runs inside the sandbox, confined first.

It is started with a socket as standard input, the *control*. Commands come over it as a header (kind, length), the
payload, and for `run` three descriptors: where the worker's output goes, where its results go, and the *watch*, a
socket that belongs to this one run. The parent kills the run by closing its side of the watch; this process answers
on it how the worker ended. It reads nothing that a worker writes. When the control closes, also because the parent
was killed, it kills its workers and ends.
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
import sys
from typing import Any

from . import analysis, worker
from .confine import confine, violations
from .plan import Plan

HEADER = struct.Struct(">4sQ")
DIGEST_LENGTH = 64


def main(argument: str) -> None:
    """Confine this process, say so on the control, and serve. Says why and ends where anything of that fails."""
    control = socket.socket(fileno=os.dup(0))
    try:
        plan = Plan.loads(argument)
        sys.path.extend(plan.packages)
        zygote = Zygote(control, plan)  # opens what it needs before it no longer can
        confine(plan)
        if broken := violations(plan):
            raise OSError(f"confinement does not hold: {', '.join(broken)}")
        if not plan.probe:
            zygote.prepare()
    except BaseException as error:
        control.sendall(json.dumps({"failed": f"{type(error).__name__}: {error}"[:2000]}).encode() + b"\n")
        os._exit(1)
    control.sendall(b'{"ready": true}\n')
    if not plan.probe:
        zygote.serve()
    os._exit(0)


class Zygote:
    """Tables by digest, and the workers that are running."""

    def __init__(self, control: socket.socket, plan: Plan) -> None:
        self.control = control
        self.plan = plan
        self.tables: dict[str, Any] = {}
        self.workers: dict[int, socket.socket] = {}
        self.toolkit: Any = None
        self.null = os.open(os.devnull, os.O_RDWR)
        os.dup2(self.null, 0)
        self.wake, write = socket.socketpair()
        self.wake.setblocking(False)
        write.setblocking(False)
        self._write = write  # kept open
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)
        # /proc is out of reach once confined; the descriptor goes on telling this process's size.
        self.size: int | None = None
        with contextlib.suppress(OSError):
            self.size = os.open("/proc/self/statm", os.O_RDONLY)

    def prepare(self) -> None:
        """Import what analyses use, so that workers share it."""
        import pandas as pd

        self.toolkit = analysis.prepare()
        sample = pd.DataFrame({"a": ["x", "y", "x"], "b": [1.0, None, 2.0], "c": [True, False, True]})
        sample.groupby("a").agg({"b": "mean", "c": "sum"}).to_dict("records")
        sample["a"].str.len().value_counts().to_dict()
        pd.crosstab(sample["a"], sample["c"]).describe().to_string()
        # Else a worker's first collection would touch, and so copy, every page of the heap.
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Until the control closes."""
        try:
            while True:
                ready = {descriptor for descriptor, _ in self.poll.poll()}
                # Kills first: what follows closes and opens descriptors, which changes what the numbers mean.
                for descriptor in ready - {self.control.fileno(), self.wake.fileno()}:
                    self.kill(descriptor)
                if self.wake.fileno() in ready:
                    with contextlib.suppress(BlockingIOError):
                        while self.wake.recv(4096):
                            pass
                    self.reap()
                if self.control.fileno() in ready and not self.command():
                    return
        finally:
            for pid in self.workers:
                _kill(pid)

    def command(self) -> bool:
        """Carry out one command; False where the control is closed."""
        try:
            head, descriptors, _, _ = socket.recv_fds(self.control, HEADER.size, 3)
            head += _exactly(self.control, HEADER.size - len(head)) if head else b""
            if not head:
                return False
            kind, length = HEADER.unpack(head)
            payload = _exactly(self.control, length)
        except (EOFError, ConnectionError):
            return False
        digest = payload[:DIGEST_LENGTH].decode()
        if kind == b"load":
            self.tables[digest] = _table(payload[DIGEST_LENGTH:])
        elif kind == b"drop":
            self.tables.pop(digest, None)
        elif kind == b"run ":
            self.run(digest, payload[DIGEST_LENGTH:].decode("utf-8", "replace"), *descriptors)
        return True

    def run(self, digest: str, code: str, output: int, results: int, watch: int) -> None:
        """Fork the worker of one run."""
        channel = socket.socket(fileno=watch)
        table = self.tables.get(digest, "it was never sent")
        try:
            if isinstance(table, str):
                raise ValueError(f"the table could not be loaded: {table}")
            own = os.getpid()
            pid = os.fork()
            if pid == 0:
                try:
                    self.tables.clear()  # the other tables are none of this run's business
                    worker.live(self._job(table, code, output, results, own))
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

    def _job(self, table: Any, code: str, output: int, results: int, parent: int) -> worker.Job:
        size = None
        if self.size is not None:
            size = int(os.pread(self.size, 200, 0).split()[0]) * os.sysconf("SC_PAGE_SIZE")
        return worker.Job(table, code, self.toolkit, self.null, output, results, parent, size, self.plan)

    def kill(self, descriptor: int) -> None:
        """End the run whose watch the parent has closed."""
        self.poll.unregister(descriptor)
        for pid, channel in self.workers.items():
            if channel.fileno() == descriptor:
                _kill(pid)

    def reap(self) -> None:
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


def _table(data: bytes) -> Any:
    """The DataFrame, or why there is none."""
    try:
        return analysis.load(data)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _kill(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # where it has no group of its own yet
        os.kill(pid, signal.SIGKILL)


def _tell(channel: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        channel.send(json.dumps(message).encode() + b"\n")


def _exactly(channel: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = channel.recv(min(1 << 20, length - len(parts)))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
