"""Watching a run: plain lines, and in a terminal a display of budget, best prompt and what is tried now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .output import add, console, one_line, plain, short_id
from .progress_words import Narrator
from .sandbox_choice import UNSAFE

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

    def count(self, call: Mapping[str, Any], calls: int = 1) -> None:
        """Add one call, as the event `call` describes it, or the sum of several."""
        if call["role"] in ("target", "certification"):
            self.target_calls += calls
        elif call["role"] != "sandbox":
            self.agent_calls += calls
        self.tokens += call["tokens"]
        self.usd += call["usd"]


class Waiting:
    """How long calls still wait for the provider's rate limit."""

    def __init__(self) -> None:
        self._until = 0.0

    def note(self, seconds: float) -> None:
        """A call waits for so many seconds from now; 0: it goes on."""
        self._until = time.monotonic() + seconds

    def words(self) -> list[str]:
        """`waiting for the provider's rate limit, 12 s`; nothing for waits that nobody notices."""
        left = self._until - time.monotonic()
        return [f"waiting for the provider's rate limit, {left:.0f} s"] if left >= 1 else []


class Watching:
    """Lines on standard error, and in a terminal a display below them while it lasts. Use it as a context manager."""

    def __init__(self, out: Console | None = None) -> None:
        self._out = out or console(stderr=True)
        self._narrator = Narrator()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Print one line above the display."""
        style = "green" if "→ accepted" in line else ""
        style = "yellow" if line.startswith("mind:") or line.endswith("--patience") else style
        style = "bold red" if line.startswith(UNSAFE) else style
        # Without a terminal a line stays one line, whatever its length: for grep, and for logs.
        self._out.print(plain(line, style), soft_wrap=not self._out.is_terminal)

    def _start_display(self) -> None:
        if self._out.is_terminal:
            self._live = Live(get_renderable=self._display, console=self._out, refresh_per_second=4, transient=True)
            self._live.start()

    def _display(self) -> RenderableType:
        raise NotImplementedError


class Progress(Watching):
    """A listener for a run's events."""

    def __init__(self, spent: Spent | None = None, *, out: Console | None = None) -> None:
        super().__init__(out)
        self._spent = spent or Spent()
        self._waiting = Waiting()
        self._started = time.monotonic()
        self.run_id = ""
        self.name = ""
        self.down: set[str] = set()
        """Providers that do not answer now."""

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take note of an event and print what it means."""
        if event == "call":
            self._spent.count(fields)
        if event == "rate_limit":
            self._waiting.note(fields["seconds"])
        if event == "outage":
            self.down.add(fields["name"])
        if event == "outage_over":
            self.down.discard(fields["name"])
        if event == "created":
            self.run_id = fields["run_id"]
            self.name = fields.get("alias") or short_id(self.run_id)
        for line in self._narrator.lines(event, fields):
            self.say(line)
        if event == "created":
            self._start_display()

    def _display(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(no_wrap=True, width=NAME_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis")
        minutes = (self._spent.seconds + time.monotonic() - self._started) / 60
        used = asdict(self._spent) | {"minutes": minutes}
        limits = self._narrator.limits
        for name in (name for name in used if name in limits):
            words = name.replace("_", " ")
            table.add_row(plain(f"{words} left"), _bar(used[name], limits[name], whole=name not in ("usd", "minutes")))
        if not limits:
            add(table, "spent", f"{self._spent.target_calls:,} target calls, ${self._spent.usd:.4f}")
        if self._narrator.best:
            add(table, "best so far", self._narrator.best)
        trying = one_line(self._narrator.trying or "starting", None)
        trying = f"waiting for {', '.join(sorted(self.down))}" if self.down else trying
        doing = [trying, f"{minutes:.1f} min", *self._waiting.words()]
        add(table, "now", " · ".join(doing))
        return Group(Text(), table)


class Counting(Watching):
    """A listener for a measurement or a peer: a bar in a terminal, else a line when it starts."""

    def __init__(self, out: Console | None = None) -> None:
        super().__init__(out)
        self._done = 0
        self._of = 0
        self._waiting = Waiting()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take note of an event: `measuring` says how many calls there will be, `call` that one is done, `said` holds a
        line as it is."""
        if event == "measuring":
            self._of = fields["examples"]
            self._start_display()
            if self._live is None:
                self.say(f"run {short_id(fields['run_id'])}: measuring on {self._of} examples")
        self._done += event == "call"
        if event == "said":
            self.say(fields["line"])
        if event == "rate_limit":
            self._waiting.note(fields["seconds"])
        told = ("call_failed", "outage", "outage_over")
        for line in self._narrator.lines(event, fields) if event in told else ():
            self.say(line)

    def _display(self) -> RenderableType:
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self._of, completed=self._done, width=BAR_WIDTH)
        row.add_row(plain("measuring"), bar, plain(" · ".join([f"{self._done} of {self._of}", *self._waiting.words()])))
        return row


def _bar(used: float, limit: float, *, whole: bool) -> RenderableType:
    left = max(0.0, limit - used)
    row = Table.grid(padding=(0, 1))
    row.add_column(width=BAR_WIDTH)
    row.add_column(no_wrap=True)
    figures = f"{left:,.0f} of {limit:,.0f}" if whole else f"{left:.2f} of {limit:g}"
    row.add_row(ProgressBar(total=limit, completed=left, width=BAR_WIDTH), plain(figures))
    return row
