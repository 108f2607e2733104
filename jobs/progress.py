"""Watching a run: plain lines, and in a terminal a display of budget, best prompt and what is tried now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .output import console, one_line
from .progress_words import Narrator

NAME_WIDTH = len("target calls left")
BAR_WIDTH = 24


@dataclass
class Spent:
    """What a run has spent so far, counted call by call; on a resume it starts at what earlier processes spent."""

    target_calls: int = 0
    agent_calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0

    def count(self, call: Mapping[str, Any]) -> None:
        """Add one call, as the event `call` describes it."""
        if call["role"] in ("target", "certification"):
            self.target_calls += 1
        else:
            self.agent_calls += 1
        self.tokens += call["tokens"]
        self.usd += call["usd"]


class Progress:
    """A listener for a run's events. Use it as a context manager; everything goes to standard error."""

    def __init__(self, spent: Spent | None = None, *, out: Console | None = None) -> None:
        self._out = out or console(stderr=True)
        self._narrator = Narrator()
        self._spent = spent or Spent()
        self._started = time.monotonic()
        self._live: Live | None = None
        self.run_id = ""
        self.name = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take note of an event and print what it means."""
        if event == "call":
            self._spent.count(fields)
        if event == "created":
            self.run_id = fields["run_id"]
            self.name = fields.get("alias") or self.run_id[:8]
        for line in self._narrator.lines(event, fields):
            self.say(line)
        if event == "created" and self._out.is_terminal:
            self._live = Live(get_renderable=self._display, console=self._out, refresh_per_second=4, transient=True)
            self._live.start()

    def say(self, line: str) -> None:
        """Print one line above the display."""
        style = "green" if "→ accepted" in line else "yellow" if line.startswith("mind:") else ""
        # Without a terminal a line stays one line, whatever its length: for grep, and for logs.
        self._out.print(Text(line, style=style), soft_wrap=not self._out.is_terminal)

    def _display(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, width=NAME_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis")
        limits = self._narrator.limits
        minutes = (self._spent.seconds + time.monotonic() - self._started) / 60
        spent = {"target calls": self._spent.target_calls, "usd": self._spent.usd, "minutes": minutes}
        shown = [(n, spent[n], limits[n.replace(" ", "_")]) for n in spent if n.replace(" ", "_") in limits]
        for name, used, limit in shown:
            table.add_row(f"{name} left", _bar(name, used, limit))
        if not shown:
            table.add_row("spent", f"{self._spent.target_calls:,} target calls, ${self._spent.usd:.4f}")
        if self._narrator.best:
            table.add_row("best so far", self._narrator.best)
        table.add_row("now", one_line(self._narrator.trying or "starting", None) + f" · {minutes:.1f} min")
        return Group(Text(), table)


class Counting:
    """A listener for a measurement: a bar in a terminal, else a line when it starts. Standard error, too."""

    def __init__(self, out: Console | None = None) -> None:
        self._out = out or console(stderr=True)
        self._narrator = Narrator()
        self._live: Live | None = None
        self._done = 0
        self._of = 0

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take note of an event: `measuring` says how many calls there will be, `call` that one is done."""
        if event == "measuring":
            self._of = fields["examples"]
            if self._out.is_terminal:
                self._live = Live(get_renderable=self._display, console=self._out, refresh_per_second=4, transient=True)
                self._live.start()
            else:
                self._say(f"run {fields['run_id'][:8]}: measuring on {self._of} examples")
        self._done += event == "call"
        for line in self._narrator.lines(event, fields) if event == "call_failed" else ():
            self._say(line)

    def _say(self, line: str) -> None:
        self._out.print(Text(line), soft_wrap=not self._out.is_terminal)

    def _display(self) -> RenderableType:
        row = Table.grid(padding=(0, 1))
        row.add_row(
            "measuring",
            ProgressBar(total=self._of, completed=self._done, width=BAR_WIDTH),
            f"{self._done} of {self._of}",
        )
        return row


def _bar(name: str, used: float, limit: float) -> RenderableType:
    left = max(0.0, limit - used)
    row = Table.grid(padding=(0, 1))
    row.add_column(width=BAR_WIDTH)
    row.add_column(no_wrap=True)
    figures = f"{left:,.0f} of {limit:,.0f}" if name == "target calls" else f"{left:.2f} of {limit:g}"
    row.add_row(ProgressBar(total=limit, completed=left, width=BAR_WIDTH), figures)
    return row
