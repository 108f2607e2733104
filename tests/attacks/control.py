"""Runs an attack where nothing confines it, bounded in time and output, and whoever trusts what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_CAP = 64 << 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a control wrote and how it ended; `status` is None where it had to be killed after `seconds`."""

    stdout: bytes
    frames: bytes
    status: int | None
    seconds: float

    @property
    def findings(self) -> list[tuple[Any, Any]]:
        """Name and value of each readable finding."""
        found = []
        for kind, payload in self._payloads():
            if kind == b"f":
                with contextlib.suppress(ValueError, TypeError, RecursionError):
                    name, value, _ = json.loads(payload)
                    found.append((name, value))
        return found

    @property
    def error(self) -> str:
        """The errors that the program ended with, or the signal."""
        said = [payload.decode("utf-8", "replace") for kind, payload in self._payloads() if kind == b"e"]
        if self.status is not None and self.status < 0:
            said.append(signal.Signals(-self.status).name)
        return "; ".join(said)[:300]

    def _payloads(self) -> list[tuple[bytes, bytes]]:
        found, at = [], 0
        while at + 5 <= len(self.frames) and len(found) < 20_000:
            length = int.from_bytes(self.frames[at + 1 : at + 5], "big")
            found.append((self.frames[at : at + 1], self.frames[at + 5 : at + 5 + length]))
            at += 5 + length
        return found


class Controls:
    """Runs programs in ordinary processes, forked from one that inherits `inherited` and has pandas loaded."""

    def __init__(self, folder: Path, inherited: Sequence[int]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-S", "-B", str(_FOLDER / "child.py"), json.dumps(sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                pass_fds=inherited,
                start_new_session=True,
            )
        # Unbuffered, or the second answer may be read with the first and never show on the socket.
        self._answers = self._socket.makefile("rb", buffering=0)

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait()
        self._answers.close()
        self._socket.close()

    def run(self, code: str, then: str, rows: Sequence[dict[str, Any]], seconds: float) -> Outcome:
        """What the program did in an ordinary process that is killed after `seconds`."""
        output, output_end = os.pipe()
        results, results_end = os.pipe()
        job = json.dumps({"code": code, "then": then, "rows": list(rows)}).encode()
        with os.fdopen(output, "rb", 0), os.fdopen(results, "rb", 0):
            started = time.monotonic()
            socket.send_fds(self._socket, [len(job).to_bytes(8, "big")], [output_end, results_end])
            self._socket.sendall(job)
            os.close(output_end)
            os.close(results_end)
            pid = int(self._answers.readline())
            kept = {output: bytearray(), results: bytearray()}
            over = self._drain(kept, started + seconds)
            if not over:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = int(self._answers.readline())
        return Outcome(bytes(kept[output]), bytes(kept[results]), status if over else None, time.monotonic() - started)

    def _drain(self, kept: dict[int, bytearray], deadline: float) -> bool:
        """Read, bounded, until the process has ended, which the answer on the socket says; False if it has not."""
        with selectors.DefaultSelector() as selector:
            for each in (*kept, self._socket):
                selector.register(each, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = [key.fd for key, _ in selector.select(left)]
                for number in set(ready) & kept.keys():
                    data = os.read(number, 1 << 20)
                    if not data:
                        selector.unregister(number)
                    elif len(kept[number]) < _CAP:
                        kept[number] += data
                if ready == [self._socket.fileno()]:
                    return True
        return False


def harm(way: str, outcome: Outcome, seconds: float) -> str | None:
    """What a naive parent of this kind suffers by the outcome, None if nothing."""
    given = len(outcome.stdout).to_bytes(8, "big") + outcome.stdout + outcome.frames
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-B", str(_FOLDER / "naive.py"), way],
            input=given, capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "a naive parent hangs"
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"a naive parent died: {said[-1][:200] if said else done.returncode}" if done.returncode else None
