"""Running the arms of a comparison: each an optimisation in a process of its own, some at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from ...settings import settings as installation
from ...traces.rows import Run
from ...traces.store import RunStore
from ..batch.process import Ended, JobProcess
from ..batch.result import result_code
from ..batch.running import INTERRUPTED, Stopping
from ..output import one_line
from .call import Arm
from .result import ArmState

Say = Callable[[str], None]
LOOK_SECONDS = 1.0
TOLD = ("mind:", "WARNING")
"""How lines of a run begin that are worth telling while it is under way; so are those that end in `--patience`."""


@dataclass(frozen=True)
class Standing:
    """How an arm stands: its state, its stored run where it has one, and why it is not done, in a line."""

    state: ArmState
    run: Run | None = None
    error: str = ""


@dataclass
class Arms:
    """The arms of a comparison and how they stand.

    `silence`: minutes after which a run that says nothing has hung, and is ended.
    """

    arms: tuple[Arm, ...]
    say: Say
    stopping: Stopping
    parallel: int = 1
    silence: float = 60.0
    standings: dict[str, Standing] = field(default_factory=dict)

    async def run_all(self) -> dict[str, Standing]:
        """Run what is left to run, in order; how every arm stands then, by its name."""
        runs = await _runs_of(self.arms)
        self.standings = {arm.name: _before(runs.get(arm.name)) for arm in self.arms}
        left = [arm for arm in self.arms if self.standings[arm.name].state != "done"]
        if left:
            self.say(f"{len(self.arms)} runs, {len(left)} to do, {self.parallel} at a time")
        waiting = iter(left)

        async def work() -> None:
            for arm in waiting:
                if self.stopping.asked:
                    return
                await self._run(arm)

        workers = [asyncio.create_task(work()) for _ in range(min(self.parallel, len(left)))]
        try:
            for worker in workers:
                await worker
        finally:
            for worker in workers:
                worker.cancel()
                with suppress(asyncio.CancelledError):
                    await worker
        return self.standings

    async def _run(self, arm: Arm) -> None:
        self.say(f"{_words(arm)}: begun")
        ended = await self._ended(arm)
        run = (await _runs_of([arm])).get(arm.name)
        standing = self.standings[arm.name] = self._after(run, ended)
        done = sum(one.state == "done" for one in self.standings.values())
        what = standing.state if standing.run is None or standing.state != "done" else _found(standing.run)
        error = f": {standing.error}" if standing.error else ""
        self.say(f"{_words(arm)}: {what}{error} ({done} of {len(self.arms)} runs done)")

    async def _ended(self, arm: Arm) -> Ended:
        heard = [time.monotonic()]

        def listen(line: str) -> None:
            heard[0] = time.monotonic()
            if line.startswith(TOLD) or line.endswith("--patience"):
                self.say(f"{_words(arm)}: {line}")

        process = JobProcess(listen)
        self.stopping.processes.add(process)
        running = asyncio.create_task(process.run(arm.arguments))
        try:
            while not (await asyncio.wait([running], timeout=LOOK_SECONDS))[0]:
                if time.monotonic() - heard[0] > 60 * self.silence:
                    return Ended(1, f"it said nothing for {self.silence:g} minutes and was ended")
            return running.result()
        finally:
            self.stopping.processes.discard(process)
            running.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await running

    def _after(self, run: Run | None, ended: Ended) -> Standing:
        known = _before(run)
        if ended.code == 0 and known.state == "done":
            return known
        if ended.code == INTERRUPTED or (ended.code < 0 and self.stopping.asked):
            return Standing("interrupted", run, "" if self.stopping.asked else one_line(ended.last, 200))
        killed = f"its process was killed by signal {-ended.code}" if ended.code < 0 else ""
        stopped = str((run.result or {}).get("stop") or "") if run else ""
        reasons = (ended.error, killed, stopped, (run.error or "") if run else "", ended.last)
        reason = next((one for one in reasons if one), f"it ended with exit code {ended.code} and no result")
        return Standing("failed", run, one_line(reason, 200))


async def _runs_of(arms: Iterable[Arm]) -> dict[str, Run]:
    """The stored runs of the arms, by name."""
    async with await RunStore.open(installation().home) as store:
        known = {run.alias: run for run in await store.runs()}
    return {arm.name: known[arm.name] for arm in arms if arm.name in known}


def _before(run: Run | None) -> Standing:
    """How an arm stands by its stored run alone."""
    if run is None or run.status != "finished" or not run.result:
        return Standing("waiting", run)
    return Standing("waiting" if result_code(run) or "best" not in run.result else "done", run)


def _words(arm: Arm) -> str:
    return f"{arm.row.label}, seed {arm.seed}"


def _found(run: Run) -> str:
    result = run.result or {}
    same = (result.get("seed_prompt") or {}).get("id") == result["best"]["id"]
    return "done, no better prompt" if same else "done, with another prompt"
