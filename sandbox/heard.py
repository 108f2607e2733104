"""Reads the lines of a hosted sandbox's `relay`, all of them hostile: bounded before they are parsed."""

from __future__ import annotations

import base64
import binascii
import json
import signal

from .frames import FrameError, Frames
from .inside.plan import Limits
from .run import Output

_STATUSES = frozenset((*range(256), *(-each for each in signal.Signals)))
_LINE = 1 << 18
"""Characters; the relay's own lines are at most a third of it."""


class Heard:
    """What one run has said so far. Raises FrameError at too long a line and at what `Frames` refuses."""

    def __init__(self, limits: Limits) -> None:
        self.frames = Frames(limits)
        self.output = Output(limits.stdout)
        self.ended = False
        self.status: int | None = None
        self.why: str | None = None
        self._limits = limits
        self._rest = ""

    def feed(self, text: str) -> None:
        """Take in what was printed, in pieces of any size."""
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > _LINE:
            raise FrameError("too much was written to the results channel at once")
        for line in lines:
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            data = base64.b64decode(line[1:], validate=True)
        except (binascii.Error, ValueError):
            return  # what the kernel says on its own account
        if line.startswith("o"):
            self.output.feed(data)
        elif line.startswith("r"):
            self.frames.feed(data)
        elif line.startswith("e"):
            self._end(data)

    def _end(self, data: bytes) -> None:
        try:
            said = json.loads(data[:1000])
            status, why = said["status"], said["why"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        self.ended = True
        self.status = status if type(status) is int and status in _STATUSES else None
        if why == "time limit":
            self.why = f"time limit of {self._limits.wall:g} s"
        elif why == "never started":
            self.why = "never started"
