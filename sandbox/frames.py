"""Reads what a worker writes to its results channel, all of it hostile: bounded before it is parsed, never pickle."""

from __future__ import annotations

import json
from typing import Any

from .inside.plan import Limits
from .protocol import Finding
from .text import clean, clean_value

_HEADER = 5
_NAME, _NOTE, _ERROR = 200, 1_200, 3_000
_NODES = 500_000
"""Values in one finding: a megabyte of JSON can hold half a million, each of which takes far more than its bytes."""


class FrameError(Exception):
    """What arrived is not what a worker of ours writes, or is more than it may."""


class Frames:
    """One worker's frames, fed as they arrive: kind, length in four bytes, payload.

    `s`: confined, the code starts; `f`: a finding; `e`: the code's error; `d`: done, with the number of findings left
    out. Whatever else, too much of it, or what cannot be parsed raises FrameError, and what came before it stays.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.started = False
        self.done = False
        self.error: str | None = None
        self.findings: list[Finding] = []
        self.dropped = 0
        self._buffer = bytearray()
        self._total = 0
        self._names: dict[str, int] = {}

    def feed(self, data: bytes) -> None:
        self._total += len(data)
        if self._total > self.limits.total_bytes + 16_384:
            raise FrameError("too much was written to the results channel")
        self._buffer += data
        while len(self._buffer) >= _HEADER:
            length = int.from_bytes(self._buffer[1:_HEADER], "big")
            if length > self.limits.finding_bytes:
                raise FrameError("too much was written to the results channel at once")
            if len(self._buffer) < _HEADER + length:
                return
            kind, payload = bytes(self._buffer[:1]), bytes(self._buffer[_HEADER : _HEADER + length])
            del self._buffer[: _HEADER + length]
            self._take(kind, payload)

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == b"s":
            self.started = True
        elif kind == b"f":
            self._find(payload)
        elif kind == b"e":
            self.error = clean(payload.decode("utf-8", "replace"), _ERROR) or "an error without a message"
        elif kind == b"d":
            self.done = True
            self.dropped += int(payload) if payload.isdigit() and len(payload) < 10 else 0
        else:
            raise FrameError("what was written to the results channel is no finding")

    def _find(self, payload: bytes) -> None:
        if len(self.findings) >= self.limits.findings:
            self.dropped += 1
            return
        if sum(payload.count(mark) for mark in (b",", b"[", b"{")) > _NODES:
            raise FrameError("a finding of too many values")
        try:
            parsed: Any = json.loads(payload, parse_constant=lambda _: None)
            name, value, note = parsed
            value = clean_value(value)
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise FrameError("what was written to the results channel is no finding") from error
        if not isinstance(name, str) or not isinstance(note, str):
            raise FrameError("what was written to the results channel is no finding")
        self.findings.append(Finding(self._unique(clean(name, _NAME).strip() or "finding"), value, clean(note, _NOTE)))

    def _unique(self, name: str) -> str:
        taken = {finding.name for finding in self.findings}
        while name in taken:
            stem = name
            self._names[stem] = self._names.get(stem, 1) + 1
            candidate = f"{stem} ({self._names[stem]})"
            if candidate not in taken:
                return candidate
        return name
