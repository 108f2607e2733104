"""Runs an attack where nothing confines it, bounded in time and output, and whoever trusts what it wrote."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
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


def run(
    code: str, then: str, rows: Sequence[dict[str, Any]], folder: Path, inherited: Sequence[int], seconds: float
) -> Outcome:
    """The program in an ordinary process, which inherits `inherited` and is killed after `seconds`."""  # fmt: skip
    results, theirs = os.pipe()
    job = json.dumps({"code": code, "then": then, "rows": list(rows), "packages": sys.path})
    child = subprocess.Popen(
        [sys.executable, "-P", "-S", "-B", str(_FOLDER / "child.py"), str(theirs), job],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        pass_fds=(theirs, *inherited),
        start_new_session=True,
    )
    os.close(theirs)
    assert child.stdout is not None
    started = time.monotonic()
    kept = {child.stdout.fileno(): bytearray(), results: bytearray()}
    try:
        with selectors.DefaultSelector() as selector:
            for each in kept:
                selector.register(each, selectors.EVENT_READ)
            while time.monotonic() - started < seconds:
                for key, _ in selector.select(0.02):
                    data = os.read(key.fd, 1 << 20)
                    if not data:
                        selector.unregister(key.fd)
                    elif len(kept[key.fd]) < _CAP:
                        kept[key.fd] += data
                if child.poll() is not None and not selector.select(0):
                    break
                if not selector.get_map():
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.wait(max(0.0, started + seconds - time.monotonic()))
                    break
        status = child.poll()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        os.close(results)
    output, frames = map(bytes, kept.values())
    return Outcome(output, frames, status, time.monotonic() - started)


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
