"""The process of a peer: started with nothing of ours but a specification, watched, and ended with its whole group.

The specification goes to its standard input as JSON: url and token of the gateway, the seed prompt, train and valid
examples as {input, expected}, the budget in calls, the seed. What it says is untrusted: capped, cleaned, and only
the last line of its standard output is read, as JSON: {prompt, stop, versions}.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...sandbox.text import clean, clean_value
from ...traces.redact import redact
from ..output import one_line
from .gateway import Gateway
from .known import PeerError

KEPT = 1_000_000
"""Bytes of the end of what it says."""
SHOWN = 300
SILENT_SECONDS = 900.0
"""How long it may compute without asking anything, before it counts as hanging."""
ENDING_SECONDS = 60.0
"""How long it may take to end, once nothing more is answered."""
CHECK_SECONDS = 0.5
LAST_WORDS_SECONDS = 5.0
RUNNERS = Path(__file__).parent / "runners"


@dataclass(frozen=True)
class PeerAnswer:
    """What a peer ended with: its best prompt text, why it ended in its own words, the versions of its packages."""

    prompt: str
    stop: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Patience:
    """How long it may be silent, and how long its end may take (seconds)."""

    silent: float = SILENT_SECONDS
    ending: float = ENDING_SECONDS


async def run_process(
    name: str,
    python: Path,
    runner: Path,
    specification: Mapping[str, Any],
    gateway: Gateway,
    patience: Patience | None = None,
) -> PeerAnswer:
    """Run it to its end, which is also that of every process it has started.

    Raises PeerError, one line, where it ends with an error, says nothing sound or hangs; and whatever ended the run
    inside the gateway (a provider that is down, a full disk).
    """
    with TemporaryDirectory(prefix="sage-peer-") as folder:
        process = await asyncio.create_subprocess_exec(
            str(python),
            "-s",
            str(runner),
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(folder),
            cwd=folder,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        tails = [asyncio.create_task(_tail(stream)) for stream in (process.stdout, process.stderr)]
        watching = asyncio.create_task(_watched(name, gateway, patience or Patience()))
        ended = asyncio.create_task(_fed(process, json.dumps(dict(specification)).encode()))
        try:
            await asyncio.wait([ended, watching, gateway.failure], return_when=asyncio.FIRST_COMPLETED)
            if gateway.failure.done():
                gateway.failure.result()
            if watching.done():
                watching.result()
            _kill(process)  # what it may have left behind holds its pipes
            await asyncio.wait(tails, timeout=LAST_WORDS_SECONDS)
            said, complained = (task.result() if task.done() else b"" for task in tails)
        finally:
            _kill(process)
            for task in (*tails, watching, ended):
                task.cancel()
            await process.wait()
    return _answer(name, process.returncode or 0, _lines(said), _lines(complained))


async def _fed(process: asyncio.subprocess.Process, specification: bytes) -> None:
    """Returns when the process has ended."""
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(specification)
        await process.stdin.drain()
        process.stdin.close()
    await process.wait()


async def _watched(name: str, gateway: Gateway, patience: Patience) -> None:
    """Raises PeerError where it hangs, or does not end when nothing more is answered; else never returns."""
    gateway.last = time.monotonic()
    spent_at: float | None = None
    while True:
        await asyncio.sleep(min(CHECK_SECONDS, patience.silent, patience.ending))
        now = time.monotonic()
        if not gateway.under_way and now - gateway.last > patience.silent:
            raise PeerError(f"peer {name} hangs: it asked nothing for {patience.silent:g} seconds, and was stopped")
        spent_at = now if gateway.spent and spent_at is None else spent_at
        if spent_at is not None and now - spent_at > patience.ending:
            raise PeerError(
                f"peer {name} went on for {patience.ending:g} seconds after its budget was spent, and was stopped"
            )


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of what is said, however much it is."""
    kept = bytearray()
    while chunk := await stream.read(65_536):
        kept += chunk
        del kept[:-KEPT]
    return bytes(kept)


def _kill(process: asyncio.subprocess.Process) -> None:
    """End it and all of its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _environment(folder: str) -> dict[str, str]:
    """All that it gets to see: no key, no proxy, a folder of its own that goes with it."""
    return {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "",
        "OMP_NUM_THREADS": "1",
        "DSPY_CACHEDIR": folder,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }


def _lines(said: bytes) -> list[str]:
    return [line for line in said.decode(errors="replace").splitlines() if line.strip()]


def _answer(name: str, code: int, said: list[str], complained: list[str]) -> PeerAnswer:
    """The result in the last line. Raises PeerError where there is none."""
    if code:
        last = redact(one_line(complained[-1], SHOWN)) if complained else "it said nothing"
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise PeerError(f"peer {name} {how}: {last}")
    try:
        found = clean_value(json.loads(said[-1] if said else ""))
        prompt, stop, versions = found["prompt"], found["stop"], found["versions"]
        if not (isinstance(prompt, str) and isinstance(stop, str) and isinstance(versions, dict)):
            raise TypeError
    except (ValueError, RecursionError, TypeError, KeyError):
        last = redact(one_line(said[-1], 80)) if said else ""
        raise PeerError(f"peer {name} gave no result: the last line it printed is {last!r}") from None
    return PeerAnswer(
        clean(prompt), one_line(stop, SHOWN), {one_line(str(k), 60): one_line(str(v), 60) for k, v in versions.items()}
    )
