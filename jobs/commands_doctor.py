"""`doctor`: is everything there, and what to do where it is not."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from ..traces.result import SCHEMA_VERSION
from .options import JsonOption
from .output import print_json, printable, put

_STYLES = {"ok": "green", "missing": "bold red", "optional": "dim"}


def doctor(json: JsonOption = False) -> None:
    """Check this installation: Python, libraries, SAGE_HOME, the embedded model, keys, local model servers.

    Each line says ok, missing (with what to do) or optional. Keys are named, never shown. Exit code 1 where
    something is missing that the first command needs.
    """
    from .doctor import checks

    found = asyncio.run(checks())
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "checks": [asdict(check) for check in found]})
    else:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for check in found:
            style = _STYLES[check.state]
            table.add_row(Text(check.state, style=style), Text(check.name), Text(printable(check.remark), style=style))
        put(table)
    if any(check.state == "missing" for check in found):
        raise typer.Exit(1)
