"""Where things are printed, what tables look like, and making any text fit to be printed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..sandbox.text import CONTROLS, JOINERS

WIDEST = 100
"""Columns: beyond that lines become hard to read."""

# Everything that could move the cursor, change colours or hide text; line ends and tabs are dealt with apart.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_CONTROL = re.compile(f"[{CONTROLS}{JOINERS}]")


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
    """One JSON document on standard output, with control characters in its texts as escapes."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    print(_CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text))


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


def plain(text: str, style: str = "") -> Text:
    """`text` to be printed as it is: nothing in it is taken for markup or steers the terminal."""
    return Text(printable(text), style=style)


def add(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of `plain` texts."""
    table.add_row(*(plain(cell, style) for cell in cells))


def figures() -> Table:
    """A table of a name, a figure and a remark per line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=8, no_wrap=True)
    table.add_column(min_width=5, no_wrap=True)
    table.add_column(overflow="fold")
    return table


def facts() -> Table:
    """A table of a name and a sentence per line."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=8, no_wrap=True)
    table.add_column(overflow="fold")
    return table


def listing() -> Table:
    """A table with a line of headings and no frame; its columns are for the caller to add."""
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


def marked_lines() -> Table:
    """A table of a short mark and a text per line; long texts are wrapped behind the mark."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=3, justify="right")
    table.add_column(overflow="fold")
    return table


def bullets(notes: Sequence[str]) -> Table:
    """Sentences as a list."""
    table = marked_lines()
    for note in notes:
        add(table, "-", note)
    return table
