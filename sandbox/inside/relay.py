"""Runs a worker inside a hosted sandbox and says in printed lines what it writes. Runs there, in the notebook kernel.

A line is one letter and base64: `o` what the code printed, `r` frames of results, `e` the end, as JSON with the
worker's exit code `status` and, if it was ended from here, `why`. The parent takes all of it as hostile: code that it
did not write can reach this process too. The bounds here are only so that honest code costs little.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

_READ = 1 << 16
_AHEAD_SECONDS = 0.05
"""So long the code waits until it is said that it begins: it could end this process, and with it the word."""
_DRAIN_SECONDS = 1.0
"""For what is still in the pipes when the worker is gone and something that it started holds them open."""


def main(argument: str) -> None:
    """Run the worker of `request["command"]` after this interpreter, and relay it until it has ended."""
    request = json.loads(argument)
    output, output_end = os.pipe()
    results, results_end = os.pipe()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-s", "-B", *request["command"], str(results_end)],
        stdin=subprocess.PIPE,
        stdout=output_end,
        stderr=output_end,
        pass_fds=(results_end,),
        env=request["environment"],
        cwd="/",
        start_new_session=True,
    )
    os.close(output_end)
    os.close(results_end)
    try:
        why = _relay(process, {output: ("o", request["output"]), results: ("r", request["results"])}, request)
    finally:
        _kill(process)
        os.close(output)
        os.close(results)
    _say("e", json.dumps({"status": process.wait(), "why": why}).encode())


def _relay(process: subprocess.Popen[bytes], channels: dict[int, tuple[str, int]], request: dict[str, Any]) -> str:
    """Until the worker and its pipes are at their end, or its time is. Returns why it was ended, or nothing."""
    room = {descriptor: bytes_ for descriptor, (_, bytes_) in channels.items()}
    deadline, started, gone, why = time.monotonic() + request["start"], False, False, ""
    with selectors.DefaultSelector() as selector:
        for descriptor in channels:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map() or not gone:
            if not gone and process.poll() is not None:
                gone, deadline = True, time.monotonic() + _DRAIN_SECONDS
            if time.monotonic() > deadline:
                if gone:
                    break
                why = "time limit" if started else "never started"
                _kill(process)
                continue
            if not selector.get_map():
                time.sleep(0.01)
            for key, _ in selector.select(0.05):
                data = os.read(key.fd, _READ)
                if not data:
                    selector.unregister(key.fd)
                    continue
                letter = channels[key.fd][0]
                if letter == "r" and not started:
                    _say(letter, data)
                    _let_go(process)
                    started, deadline = True, time.monotonic() + request["wall"]
                    continue
                if room[key.fd] > 0:  # what is beyond is read all the same, so that nobody waits for it
                    _say(letter, data[: room[key.fd]])
                    room[key.fd] -= len(data)
    return why


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Let the code begin."""
    time.sleep(_AHEAD_SECONDS)
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin:
        process.stdin.write(b"\n")


def _say(letter: str, data: bytes) -> None:
    sys.stdout.write(f"{letter}{base64.b64encode(data).decode()}\n")  # in one piece, which `print` is not
    sys.stdout.flush()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
