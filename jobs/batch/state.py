"""What a batch keeps of its own: what each job was given to spend, and why its last try failed.

Everything else stands in the run store under the jobs' names. One JSON file in `SAGE_HOME/batches`, written before a
job starts, so that a reservation survives a kill.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import StoreError
from ...evaluation.budget import Budget
from ...evaluation.ledger import Ledger
from ...settings import settings as installation
from ...traces.home import unwritable, whole_file, writable_folder
from ...traces.rows import Run
from ...traces.store import RunStore
from .file import Batch
from .result import SPENT


class Kept(BaseModel):
    """One job: its budget as the file named it and as it was granted, and the error of its last try."""

    model_config = ConfigDict(frozen=True)

    declared: str = ""
    granted: str = ""
    error: str = ""


class _Kept(BaseModel):
    schema_version: int = 1
    jobs: dict[str, Kept] = {}


class BatchState:
    """The file of one batch, by job."""

    def __init__(self, name: str) -> None:
        self.folder = installation().home.expanduser() / "batches" / Path(name)
        self._path = self.folder / "jobs.json"
        self._kept = self._read()

    def __contains__(self, job: object) -> bool:
        return job in self._kept.jobs

    def __getitem__(self, job: str) -> Kept:
        return self._kept.jobs.get(job) or Kept()

    def __setitem__(self, job: str, kept: Kept) -> None:
        self._kept.jobs[job] = kept
        writable_folder(self.folder)
        try:
            with whole_file(self._path) as file:
                file.write(self._kept.model_dump_json(indent=1).encode())
        except OSError as error:
            raise unwritable(self._path, error.strerror or str(error)) from error

    def _read(self) -> _Kept:
        try:
            return _Kept.model_validate_json(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return _Kept()
        except (OSError, UnicodeDecodeError, ValidationError) as error:
            first = str(error).splitlines()[0]
            raise StoreError(f"{self._path} cannot be read ({first}); move it away: runs keep their budgets") from error


def lock_path(name: str) -> Path:
    """The file whose lock says that a batch is under way."""
    return installation().home.expanduser() / "batches" / f"{name.replace('/', '~')}.lock"


async def runs_of(batch: Batch) -> dict[str, Run]:
    """The stored runs of a batch, by job."""
    async with await RunStore.open(installation().home) as store:
        return dict(_of(batch, await store.runs()))


async def spent_so_far(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """What each run has spent until now, by unit, whether it came to its end or not; by the run's id."""
    found = {}
    async with await RunStore.open(installation().home) as store:
        for run in runs:
            ledger = Ledger(Budget(), seconds_before=run.seconds)
            ledger.restore(await store.calls(run.id))
            ledger.restore_code([row.usd for row in await store.code_runs(run.id)])
            found[run.id] = {unit: amount for unit in SPENT if (amount := round(ledger.spent(unit), 6))}
    return found


def _of(batch: Batch, runs: list[Run]) -> Iterator[tuple[str, Run]]:
    by_alias = {run.alias: run for run in runs}
    for job in batch.jobs:
        run = by_alias.get(f"{batch.name}/{job.name}")
        if run is not None:
            yield job.name, run
