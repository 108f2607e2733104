"""Running a graph from its last checkpoint to its end, or to where it is stopped; the same for every kind of run."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl

from ..errors import DiskFull, RunInterrupted, StoreError
from ..graphs.held_run import close_session, waits_for_provider
from ..settings import settings as installation
from ..traces.home import disk_full
from ..traces.rows import RunStatus

LOOK_SECONDS = 0.2
"""How often a run that can be asked to stop is looked at."""

Close = Callable[[str, RunStatus, str | None], Awaitable[None]]
"""Closes the session of a run, by its id, with its status and why it ended so."""


async def drive_graph(
    run_id: str,
    build: Callable[[Any], CompiledStateGraph[Any, Any, Any, Any]],
    start: dict[str, Any],
    control: RunControl | None,
    *,
    close: Close = close_session,
    waits: Callable[[str], bool] = waits_for_provider,
) -> None:
    """Run the graph that `build` makes (given the checkpointer) from the run's last checkpoint, or from `start`.

    `waits`: whether calls of the run wait for a provider that is down. Raises RunInterrupted where `control` asked it
    to stop, and whatever the graph raises; its session is closed in any case.
    """
    home = installation().home
    config: RunnableConfig = {"configurable": {"thread_id": run_id}}
    status: RunStatus = "interrupted"
    error = None
    path = home / "checkpoints.sqlite"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        graph = build(saver)
        try:
            try:
                # As the run store: what is committed outlives the process, and no node waits for the disk.
                await saver.conn.execute("PRAGMA synchronous=NORMAL")
                # At the end no task is left: a run that is taken up there (see `named_runs`) begins anew. Not `next`:
                # it leaves out a task whose writes are stored while the checkpoint after it is not.
                begun = (await graph.aget_state(config)).tasks
            except sqlite3.Error as failure:
                raise disk_full(failure, path) or StoreError(
                    f"the checkpoints in {path} cannot be used: {failure}. Make the file writable, or move it "
                    "away: then a new one is made, and interrupted runs begin again (what was answered stays free)"
                ) from failure
            work = graph.ainvoke(None if begun else start, config, control=control, durability="sync")
            await (work if control is None else _drained(work, control, run_id, waits))
            status = "finished"
        except GraphDrained:
            raise _stopped(run_id) from None
        except (asyncio.CancelledError, RunInterrupted):
            raise
        except Exception as failure:
            full = failure if isinstance(failure, DiskFull) else disk_full(failure, home)
            status, error = "interrupted" if full else "failed", str(full or failure)
            if full is not None and full is not failure:
                raise full from failure
            raise
        finally:
            await close(run_id, status, error)


async def _drained(
    work: Coroutine[Any, Any, Any], control: RunControl, run_id: str, waits: Callable[[str], bool]
) -> None:
    """Await `work`, which ends after the step in hand where `control` asks for that. It does not wait for a provider
    that is down then: that could take as long as its patience. Raises RunInterrupted."""
    task = asyncio.create_task(work)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_SECONDS))[0]:
            if control.drain_requested and waits(run_id):
                raise _stopped(run_id)
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


def _stopped(run_id: str) -> RunInterrupted:
    return RunInterrupted(f"stopped; go on with: sage-spo resume {run_id}")
