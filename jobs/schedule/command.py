"""`schedule`: jobs files at their times, on one machine."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import UsageError
from ...settings import settings as installation
from ..options import JsonOption
from ..output import add, counted, listing, one_line, print_json, put

if TYPE_CHECKING:
    from ...traces.rows import ScheduleRow
    from .file import Schedules


def schedule(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The schedules file (docs/batch.md).", show_default=False)
    ],
    once: Annotated[bool, typer.Option("--once", help="Fire what is due now and end; for cron.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only show when each schedule fires next.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to whatever the jobs may cost.")] = False,
    json: JsonOption = False,
) -> None:
    """Run jobs files at their times, until stopped.

    Every fire is a batch with runs of its own, named after its time. A restart, or kill -9, goes on with a fire that
    was under way. Fires that nobody was there for are made up for by one, or left out, as the file says.

    \b
    Examples:
      sage-spo schedule schedules.yaml
      sage-spo schedule schedules.yaml --list
      sage-spo schedule schedules.yaml --once

    SIGTERM ends it after the steps in hand. Exit codes: 0 stopped or nothing wrong, 2 the file cannot be used, 75 a
    fire was interrupted, or another process keeps the same schedules; with --once else the worst of its batches.
    """
    from .file import read_schedules

    if once and list_:
        raise UsageError("--once and --list: choose one of them")
    if json and not list_:
        raise UsageError("--json: for --list only; what came of a fire is in `sage-spo runs --json`")
    schedules = read_schedules(file)
    if list_:
        _list(schedules, json=json)
        return
    code = asyncio.run(_kept(schedules, once=once, yes=yes))
    if code:
        raise typer.Exit(code)


async def _kept(schedules: Schedules, *, once: bool, yes: bool) -> int:
    from ..progress import Watching
    from .loop import Keeper

    with Watching() as watching:
        keeper = Keeper(schedules, watching.say, yes=yes)

        def stop() -> None:
            keeper.stopping()
            keeper.wake()
            watching.say("stopping after the steps in hand" if keeper.stopping.asked == 1 else "stopping at once")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        if not once:
            watching.say(f"keeping {counted(len(schedules.schedules), 'schedule')} of {schedules.path}")
        return await keeper.run(once=once)


def _list(schedules: Schedules, *, json: bool) -> None:
    from ...traces.result import SCHEMA_VERSION
    from .due import seen

    rows = asyncio.run(_rows())
    now = time.time()
    entries: list[dict[str, Any]] = []
    for one in schedules.schedules:
        row = seen(one, rows.get(one.name), now)
        entries.append(
            {
                "name": one.short,
                "jobs": str(one.jobs),
                "times": str(one.times),
                "timezone": one.times.zone,
                "next": _when(row.next_at, one.times.zone),
                "firing": _when(row.firing_at, one.times.zone),
                "last": _when(row.last_at, one.times.zone),
                "last_code": row.last_code,
                "last_outcome": row.last_outcome,
            }
        )
    if json:
        print_json({"schema_version": SCHEMA_VERSION, "schedules": entries})
        return
    table = listing()
    for name in ("SCHEDULE", "WHEN", "NEXT", "LAST ENDED", "CODE"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for entry in entries:
        upcoming = "under way" if entry["firing"] else entry["next"] or "never again"
        code = "" if entry["last_code"] is None else str(entry["last_code"])
        add(table, one_line(entry["name"], 20), one_line(entry["times"], 24), upcoming, entry["last"] or "", code)
    put(table)


async def _rows() -> dict[str, ScheduleRow]:
    from ...traces.store import RunStore

    async with await RunStore.open(installation().home) as store:
        return await store.schedules()


def _when(moment: float | None, zone: str) -> str | None:
    from .times import time_zone

    if moment is None:
        return None
    return datetime.fromtimestamp(moment, time_zone(zone)).isoformat(sep=" ", timespec="seconds")
