"""`batch`: many jobs from one file, as often as it is called until they are done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..interrupts import stopped_by_signals
from ..options import JsonOption
from ..output import counted, print_json, put

if TYPE_CHECKING:
    from .file import Batch
    from .result import BatchOutcome


def batch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The jobs file (docs/batch.md).", show_default=False)],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait where another process works on this batch. Default: exit code 75.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look whether the file can be run.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to whatever the jobs may cost.")] = False,
    json: JsonOption = False,
) -> None:
    """Do the jobs of FILE that are not done yet, and show how all of them stand.

    Every job is a run named FILE/JOB: called again, it goes on where it was, and what is done shows its result without
    a call. A budget for the whole file is never overrun: a job reserves its own budget of it when it starts, or an
    equal share of what is left over the jobs not yet started, and what it leaves over goes back.

    \b
    Examples:
      sage-spo batch jobs.yaml
      sage-spo batch jobs.yaml --json
      15 2 * * * cd /srv/prompts && sage-spo batch jobs.yaml    (cron)

    Ctrl-C and SIGTERM: the jobs in hand end after their step. Exit codes: 0 all done, 1 a job failed or was skipped,
    2 the file cannot be run, 3 budgets too small, 75 interrupted, or under way in another process.
    """
    from .file import read_batch

    found = read_batch(file)
    if check:
        from .running import check_batch

        asyncio.run(check_batch(found, yes=yes))
        put(f"{found.path.name}: {counted(len(found.jobs), 'job')}, nothing wrong")
        return
    outcome = asyncio.run(watched(found, wait=wait, yes=yes))
    if json:
        print_json(outcome.model_dump(mode="json"))
    else:
        from .screen import batch_screen

        put(batch_screen(outcome))
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


async def watched(found: Batch, *, wait: bool, yes: bool) -> BatchOutcome:
    """Run a batch with lines on standard error; signals stop it so that it can be called again."""
    from ..progress import Watching
    from .running import Stopping, run_batch

    stopping = Stopping()
    with Watching() as watching, stopped_by_signals(stopping, watching.say, "jobs"):
        return await run_batch(found, say=watching.say, yes=yes, wait=wait, stopping=stopping)
