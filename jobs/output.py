"""Where things are printed, and making any text fit to be printed."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from rich.console import Console, RenderableType

WIDEST = 100
"""Columns: beyond that lines become hard to read."""

# Everything that could move the cursor, change colours or hide text; line ends and tabs are dealt with apart.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def console(*, stderr: bool = False) -> Console:
    """A console on standard output (results) or standard error (progress, notices)."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if made.width > WIDEST:
        made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=WIDEST)
    return made


def put(*renderables: RenderableType) -> None:
    """Print on standard output, without the spaces with which tables fill their lines."""
    out = console()
    with out.capture() as captured:
        out.print(*renderables, sep="\n")
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def notice(text: str) -> None:
    """One plain line on standard error."""
    print(one_line(text, None), file=sys.stderr, flush=True)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


def printable(text: str) -> str:
    """`text` without control characters: what a model or a data file says must not steer the terminal."""
    return _CONTROL.sub("", _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\t", "    "))


def one_line(text: str, width: int | None = 60) -> str:
    """`text` on one line, cut to `width` characters where one is given."""
    flat = " ".join(printable(text.replace("\r", " ")).split())
    if width is None or len(flat) <= width:
        return flat
    return flat[: width - 1].rstrip() + "…"


def short_id(run_id: str) -> str:
    """The beginning of a run's id: enough to name it to any command."""
    return run_id[:8]


def counted(n: int, noun: str) -> str:
    """`1 candidate`, `6 candidates`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
