"""Running a batch: its jobs in order, some at a time, within their budgets, going on where an earlier call stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import BudgetTooSmall, SageError, UsageError
from ...evaluation.budget import Budget
from ...traces.rows import Run
from ..commands_runs import prompt_of
from ..locks import locked
from ..output import counted
from .file import Batch, Job
from .plan import State, grant, hopeless, left, next_job, raised
from .process import Ended, JobProcess
from .result import BatchOutcome, JobOutcome, result_code, result_fields, spent_of, whole_code
from .state import BatchState, Kept, lock_path, runs_of, spent_so_far

INTERRUPTED = 75
TOO_SMALL = 3
Say = Callable[[str], None]


@dataclass
class Stopping:
    """Asks a batch to stop: once, and the jobs in hand end after their step; twice, and they end at once."""

    asked: int = 0
    processes: set[JobProcess] = field(default_factory=set)

    def __call__(self) -> None:
        self.asked += 1
        for process in self.processes:
            process.stop()


async def run_batch(
    batch: Batch, *, say: Say, yes: bool = False, wait: bool = False, stopping: Stopping | None = None
) -> BatchOutcome:
    """Do what is left to do of a batch, and say how it stands.

    `say` gets a line whenever something happens. `yes` agrees to any cost; `wait` waits for another process that
    works on the same batch. Raises Busy where there is one, and whatever is wrong with a job before anything is
    spent, as an error that names file and job.
    """
    stopping = stopping or Stopping()
    lock = locked(lock_path(batch.name), f"batch {batch.name}", wait=wait, say=say, stopped=lambda: stopping.asked > 0)
    async with lock:
        made = _Running(batch, say, yes, stopping, BatchState(batch.name), await runs_of(batch))
        await asyncio.to_thread(made.check)
        return await made.to_the_end()


async def check_batch(batch: Batch, *, yes: bool = False) -> None:
    """Raises what is wrong with a batch's jobs, as an error that names file and job; nothing is spent."""
    made = _Running(batch, lambda line: None, yes, Stopping(), BatchState(batch.name), await runs_of(batch))
    await asyncio.to_thread(made.check)


class _Running:
    def __init__(
        self, batch: Batch, say: Say, yes: bool, stopping: Stopping, kept: BatchState, runs: dict[str, Run]
    ) -> None:
        self._batch, self._say, self._yes, self._stopping = batch, say, yes, stopping
        self._kept, self._runs = kept, runs
        self._needs: dict[str, int] = {}
        self._errors: dict[str, str] = {}
        self._codes: dict[str, int] = {}
        self._states: dict[str, State] = {job.name: self._standing(job) for job in batch.jobs}

    # -- what stands already ---------------------------------------------------------------------------------

    def _standing(self, job: Job) -> State:
        run = self._runs.get(job.name)
        if run is None or run.status != "finished" or not run.result:
            return "waiting"
        code = self._codes[job.name] = result_code(run)
        if code == TOO_SMALL and _text(job.budget) != self._kept[job.name].declared:
            return "waiting"
        return "failed" if code else "done"

    def _alias(self, job: Job) -> str:
        return f"{self._batch.name}/{job.name}"

    def _granted(self, job: Job) -> Budget | None:
        """What a job that has begun was given; None where it has not."""
        run = self._runs.get(job.name)
        if run is None:
            return None
        kept = self._kept[job.name].granted if job.name in self._kept else run.settings.get("budget")
        return Budget.parse(kept)

    def _held(self, but: Job) -> list[dict[str, float]]:
        """What the other jobs have spent, or have reserved as long as they may go on."""
        found = []
        for job in (job for job in self._batch.jobs if job is not but):
            run = self._runs.get(job.name)
            if self._states[job.name] == "running":
                found.append(Budget.parse(self._kept[job.name].granted).limits())
            elif run is not None and run.status == "finished":
                found.append(spent_of(run))
            elif run is not None:
                found.append((self._granted(job) or Budget()).limits())
        return found

    def _own(self, job: Job) -> Budget:
        """The job's own budget; of one whose calls are certain, those where the file limits none."""
        limits, needed = job.budget.limits(), self._needs.get(job.name)
        if needed is not None and self._batch.budget.target_calls is not None:
            limits.setdefault("target_calls", needed)
        return Budget.parse(limits)

    def _prompts(self, job: Job) -> dict[str, Path] | None:
        """Files with the prompts of earlier jobs, by option; None where one has not been found yet."""
        found = {}
        for option, other in job.prompts.items():
            if self._states[other] != "done" or other not in self._runs:
                return None
            path = found[option] = self._kept.folder / f"{other}.prompt.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(prompt_of(self._runs[other]), encoding="utf-8")
        return found

    # -- before anything is spent ----------------------------------------------------------------------------

    def check(self) -> None:
        """Raises what is wrong with the first job that cannot be, naming file, line and job."""
        for job in self._batch.jobs:
            budget = self._expected(job)
            prompts = self._prompts(job)
            call = job.call(run=self._alias(job), budget=budget, prompts=prompts or {})
            options = job.kind.parsed([*call, *(["--yes"] if self._yes else [])])
            try:
                # The command's own options are all there; of a prompt that is still to be found nothing is known.
                needed = job.kind.check(options, self._alias(job))
            except BudgetTooSmall as error:
                if job.budget.unlimited:
                    continue  # it may be given more, once others leave something over
                raise BudgetTooSmall(f"{job.where}: job '{job.name}': {error}") from error
            except SageError as error:
                raise UsageError(f"{job.where}: job '{job.name}': {_words(error, self._alias(job))}") from error
            if needed is not None:
                self._needs[job.name] = needed

    def _expected(self, job: Job) -> Budget:
        """What a job will be given as far as that can be told beforehand."""
        granted = self._granted(job)
        if granted is not None:
            return granted if self._kept[job.name].declared == _text(job.budget) else job.budget
        if not job.budget.unlimited or job.kind.name != "optimize":
            return job.budget
        share = grant(job.budget, self._batch.budget.limits(), unstarted=len(self._batch.jobs), others_run=False)
        return share.budget or job.budget

    # -- running ---------------------------------------------------------------------------------------------

    async def to_the_end(self) -> BatchOutcome:
        """Run what is left to run; how the batch stands then."""
        todo = sum(state == "waiting" for state in self._states.values())
        self._say(f"batch {self._batch.name}: {counted(len(self._batch.jobs), 'job')}, {todo} to do")
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._skip()
                while len(under_way) < self._batch.parallel and not self._stopping.asked:
                    job = next_job(self._batch.jobs, self._states)
                    if job is None:
                        break
                    budget = self._budget_for(job, others_run=bool(under_way))
                    if budget is None and self._states[job.name] == "waiting":
                        break  # it waits for what the others leave over
                    if budget is not None:
                        self._states[job.name] = "running"
                        self._kept[job.name] = Kept(declared=_text(job.budget), granted=_text(budget))
                        under_way.add(asyncio.create_task(self._run(job, budget)))
                    self._skip()
                if not under_way:
                    return await self._outcome()
                ended, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
        finally:
            for task in under_way:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def _skip(self) -> None:
        for job, other in hopeless(self._batch.jobs, self._states):
            self._states[job.name] = "skipped"
            self._errors[job.name] = f"job {other} did not succeed"
            self._say(f"{job.name}: skipped, as job {other} did not succeed")

    def _budget_for(self, job: Job, *, others_run: bool) -> Budget | None:
        """What a job may spend now; None where it has to wait, or has failed for want of it."""
        remaining = left(self._batch.budget, self._held(job))
        granted = self._granted(job)
        if granted is not None:
            before = Budget.parse(self._kept[job.name].declared)
            free = {unit: amount - granted.limits().get(unit, 0.0) for unit, amount in remaining.items()}
            budget = raised(job.budget, before, granted, free)
            if budget is None:
                self._starved(job)
            return budget
        unstarted = sum(
            self._states[other.name] == "waiting" and other.name not in self._runs for other in self._batch.jobs
        )
        share = grant(self._own(job), remaining, unstarted=max(1, unstarted), others_run=others_run)
        if share.budget is None and not share.wait:
            self._starved(job)
        return share.budget

    def _starved(self, job: Job) -> None:
        self._states[job.name] = "failed"
        self._codes[job.name] = TOO_SMALL
        self._errors[job.name] = "nothing is left of the shared budget"
        self._say(f"{job.name}: failed, nothing is left of the shared budget")

    async def _run(self, job: Job, budget: Budget) -> None:
        process = JobProcess(lambda line: self._say(f"{job.name}: {line}"))
        self._stopping.processes.add(process)
        prompts = await asyncio.to_thread(self._prompts, job)
        arguments = [job.kind.name, *job.call(run=self._alias(job), budget=budget, prompts=prompts or {}), "--json"]
        try:
            ended = await process.run([*arguments, "--yes"] if self._yes else arguments)
        finally:
            self._stopping.processes.discard(process)
        found = await runs_of(self._batch)
        if job.name in found:
            self._runs[job.name] = found[job.name]
        self._settle(job, ended)

    def _settle(self, job: Job, ended: Ended) -> None:
        kept, run = self._kept[job.name], self._runs.get(job.name)
        error = ended.error or (f"its process was killed by signal {-ended.code}" if ended.code < 0 else "")
        if ended.code == 0:
            state: State = "done"
        elif ended.code == INTERRUPTED or (ended.code < 0 and self._stopping.asked):
            state, error = "interrupted", "" if self._stopping.asked else ended.last
        else:
            state = "failed"
        if state == "failed" and not error and run is not None and run.error:
            error = run.error
        self._states[job.name], self._codes[job.name] = state, ended.code
        self._errors[job.name] = error if state != "done" else ""
        self._kept[job.name] = kept.model_copy(update={"error": self._errors[job.name]})
        self._say(f"{job.name}: {state}" + (f", {error}" if error else ""))

    # -- what came of it -------------------------------------------------------------------------------------

    async def _outcome(self) -> BatchOutcome:
        spent_of_runs = await spent_so_far([run for run in self._runs.values() if not spent_of(run)])
        jobs = [self._job_outcome(job, spent_of_runs) for job in self._batch.jobs]
        units = self._batch.budget.limits()
        spent = {unit: sum(job.spent.get(unit, 0.0) for job in jobs) for unit in units}
        return BatchOutcome(
            batch=self._batch.name,
            file=str(self._batch.path),
            jobs=jobs,
            limits=units,
            spent=spent,
            exit_code=whole_code(jobs),
        )

    def _job_outcome(self, job: Job, spent: Mapping[str, dict[str, float]]) -> JobOutcome:
        state, run = self._states[job.name], self._runs.get(job.name)
        ran = state in ("done", "failed")
        granted = self._granted(job) or Budget()
        return JobOutcome(
            name=job.name,
            kind=job.kind.name,
            state=state,
            run=self._alias(job),
            exit_code=self._codes.get(job.name) if ran else None,
            limits=granted.limits(),
            error=self._errors.get(job.name, self._kept[job.name].error if state == "waiting" else ""),
            spent={} if run is None else spent_of(run) or spent[run.id],
            **result_fields(run),
        )


def _text(budget: Budget) -> str:
    return "" if budget.unlimited else str(budget)


def _words(error: SageError, alias: str) -> str:
    """An error of a command as a batch says it: a job that was changed is another job."""
    text = str(error)
    if not text.startswith(f"--run: run '{alias}'"):
        return text
    changed = text.removeprefix(f"--run: run '{alias}' ").partition(" Call it as before")[0]
    return f"it was changed since it began: it {changed} Give the job another name, or change it back."
