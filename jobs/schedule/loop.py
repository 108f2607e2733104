"""Keeping schedules: a loop that fires what is due, each fire a batch of its own that survives restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ...errors import SageError
from ...settings import settings as installation
from ...traces.rows import ScheduleRow
from ...traces.store import RunStore
from ..batch.result import BatchOutcome
from ..batch.running import Stopping, run_batch
from ..batch.state import lock_path
from ..locks import locked
from .due import due, ended, seen
from .file import Schedule, Schedules, fire_batch

LONGEST_SLEEP = 30.0
"""Seconds: a clock that is set, or a machine that slept, is noticed after so long at most."""
INTERRUPTED = 75
Say = Callable[[str], None]


@dataclass
class Keeper:
    """Keeps the schedules of one file. `clock` is in seconds since 1970; `yes` agrees to what the jobs may cost."""

    schedules: Schedules
    say: Say
    yes: bool = False
    clock: Callable[[], float] = time.time
    stopping: Stopping = field(default_factory=Stopping)
    _rows: dict[str, ScheduleRow] = field(default_factory=dict)
    _under_way: dict[str, asyncio.Task[int]] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, *, once: bool = False) -> int:
        """Fire what is due until asked to stop, or `once`: what is due now. Returns an exit code.

        The worst of the fires' codes with `once`; 75 where a fire was interrupted. Raises Busy where another
        process keeps the same schedules.
        """
        name = self.schedules.name
        async with (
            locked(lock_path(f"schedules of {name}"), f"schedule {name}", wait=False, say=self.say),
            await RunStore.open(installation().home) as store,
        ):
            known = await store.schedules()
            for schedule in self.schedules.schedules:
                self._rows[schedule.name] = seen(schedule, known.get(schedule.name), self.clock())
                await store.save_schedule(self._rows[schedule.name])
            codes: list[int] = []
            while True:
                if not self.stopping.asked:
                    for schedule in self.schedules.schedules:
                        await self._look(schedule, store)
                codes += await self._ended()
                if not self._under_way and (once or self.stopping.asked):
                    return INTERRUPTED if INTERRUPTED in codes else max(codes, default=0) if once else 0
                await self._sleep()

    def wake(self) -> None:
        """Look again now: something happened (a signal)."""
        self._wake.set()

    async def _look(self, schedule: Schedule, store: RunStore) -> None:
        found = due(schedule, self._rows[schedule.name], self.clock(), under_way=schedule.name in self._under_way)
        if found.row != self._rows[schedule.name]:
            self._rows[schedule.name] = found.row
            await store.save_schedule(found.row)
        if found.note:
            self.say(f"{schedule.short}: {found.note}")
        if found.fire is not None:
            task = asyncio.create_task(self._fire(schedule, found.fire, store))
            task.add_done_callback(lambda _: self.wake())
            self._under_way[schedule.name] = task

    async def _fire(self, schedule: Schedule, fired: float, store: RunStore) -> int:
        def say(line: str) -> None:
            self.say(f"{schedule.short}: {line}")

        try:
            batch = await asyncio.to_thread(fire_batch, schedule, fired)
            outcome = await run_batch(batch, say=say, yes=self.yes, wait=True, stopping=self.stopping)
            code, words = outcome.exit_code, _words(outcome)
        except SageError as error:
            code, words = error.exit_code, str(error)
        except Exception as error:
            # Whatever a fire does, the other schedules are kept.
            code, words = 1, f"{type(error).__name__}: {error}"
        self._rows[schedule.name] = ended(self._rows[schedule.name], self.clock(), code, words)
        await store.save_schedule(self._rows[schedule.name])
        say(f"ended: {words}")
        return code

    async def _ended(self) -> list[int]:
        codes = []
        for name in [name for name, task in self._under_way.items() if task.done()]:
            codes.append(await self._under_way.pop(name))
        return codes

    async def _sleep(self) -> None:
        times = [row.next_at for row in self._rows.values() if row.next_at is not None]
        wait = min([LONGEST_SLEEP, *(max(0.01, at - self.clock()) for at in times if at > self.clock())])
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), wait)
        self._wake.clear()


def _words(outcome: BatchOutcome) -> str:
    states = [job.state for job in outcome.jobs]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
