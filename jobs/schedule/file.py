"""The format of a schedules file, and reading one: every mistake is one line that names file, line and schedule."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import UsageError, nearest
from ...tasks.files import read_text
from ...tasks.yaml_text import YamlText, parse_yaml
from ..batch.file import Batch, read_batch
from ..named_runs import is_name
from .times import Times, seconds_of, time_zone

Missed = Literal["run_once", "skip"]
Overlap = Literal["skip", "wait"]
LEAST_SECONDS = 1.0


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    jobs: str
    cron: str | None = None
    every: str | float | None = None
    at: Any = None
    timezone: str | None = None
    missed: Missed | None = None
    grace: str | float | None = None
    overlap: Overlap | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    name: str | None = None
    timezone: str = "UTC"
    missed: Missed = "run_once"
    grace: str | float = "1m"
    overlap: Overlap = "skip"
    schedules: list[_Entry] = Field(min_length=1)


@dataclass(frozen=True)
class Schedule:
    """One schedule: when which jobs file is run.

    `name` is that of its row in the store, file and schedule. A fire that is late by more than `grace` seconds was
    missed: `run_once` makes up for all that were missed by one, `skip` leaves them out. `overlap`: whether a fire
    that comes due while the one before is under way waits for it or is left out.
    """

    name: str
    jobs: Path
    times: Times
    missed: Missed = "run_once"
    grace: float = 60.0
    overlap: Overlap = "skip"
    where: str = ""

    @property
    def short(self) -> str:
        """Its name in the file."""
        return self.name.rpartition("/")[2]

    @property
    def definition(self) -> str:
        """What its times come from; where that changes, the next time is found anew."""
        return f"{self.times} in {self.times.zone}"


@dataclass(frozen=True)
class Schedules:
    """A whole schedules file."""

    name: str
    path: Path
    schedules: tuple[Schedule, ...]


def read_schedules(path: Path) -> Schedules:
    """The checked content of a schedules file. Raises UsageError naming file, line, schedule and field.

    The jobs files must be there and readable as such.
    """
    path = path.expanduser().absolute()
    parsed = parse_yaml(path.name, read_text(path))
    try:
        file = _File.model_validate(parsed.values)
    except ValidationError as error:
        raise UsageError(_complaint(parsed, error)) from None
    name = file.name or path.stem
    if not is_name(name):
        raise UsageError(f"{parsed.where(['name'])}: name: letters, digits and '-', '_', '.', not '{name}'")
    found: dict[str, Schedule] = {}
    for index, entry in enumerate(file.schedules):
        schedule = _schedule(parsed, index, entry, file, f"{name}/{entry.name}", path.parent)
        if schedule.name in found:
            raise UsageError(f"{schedule.where}: there is another one of that name")
        found[schedule.name] = schedule
    return Schedules(name, path, tuple(found.values()))


def fire_batch(schedule: Schedule, fired: float) -> Batch:
    """The jobs of one fire: those of the file as it is now, as runs of their own named after the fire's time (UTC)."""
    batch = read_batch(schedule.jobs)
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(fired))
    return Batch(f"{schedule.name}/{when}", batch.path, batch.budget, batch.parallel, batch.jobs)


def _schedule(parsed: YamlText, index: int, entry: _Entry, file: _File, name: str, folder: Path) -> Schedule:
    def where(field: str) -> str:
        return f"{parsed.where(['schedules', index, field])}: schedule '{entry.name}'"

    if not is_name(entry.name) or "/" in entry.name:
        raise UsageError(f"{where('name')}: name: letters, digits and '-', '_', '.', not '{entry.name}'")
    given = [field for field in ("cron", "every", "at") if getattr(entry, field) is not None]
    if len(given) != 1:
        many = f"{' and '.join(given)} are too many" if given else "nothing says when"
        raise UsageError(f"{where(given[0] if given else 'name')}: {many}: give one of cron, every, at")
    zone_field = "timezone" if entry.timezone else "name"
    try:
        zone = entry.timezone or file.timezone
        time_zone(zone)
    except UsageError as error:
        place = where(zone_field) if entry.timezone else parsed.where(["timezone"])
        raise UsageError(f"{place}: {error}") from None
    try:
        every = _duration(entry.every, LEAST_SECONDS) if entry.every is not None else 0.0
        times = Times(entry.cron or "", every, "" if entry.at is None else str(entry.at), zone)
        times.check(time.time())
    except (UsageError, ValueError) as error:
        raise UsageError(f"{where(given[0])}: {given[0]}: {error}") from None
    try:
        grace = _duration(file.grace if entry.grace is None else entry.grace, 0.0)
    except ValueError as error:
        place = where("grace") if entry.grace is not None else parsed.where(["grace"])
        raise UsageError(f"{place}: grace: {error}") from None
    jobs = folder / Path(entry.jobs).expanduser()
    try:
        read_batch(jobs)
    except UsageError as error:
        raise UsageError(f"{where('jobs')}: {error}") from None
    missed, overlap = entry.missed or file.missed, entry.overlap or file.overlap
    return Schedule(name, jobs, times, missed, grace, overlap, where("name"))


def _duration(given: str | float, least: float) -> float:
    seconds = seconds_of(given)
    if not least <= seconds < float("inf"):
        raise ValueError(f"must be at least {least:g} s")
    return seconds


def _complaint(parsed: YamlText, error: ValidationError) -> str:
    first = min(error.errors(), key=lambda one: (one["type"] != "extra_forbidden", len(one["loc"])))
    loc = first["loc"]
    where = parsed.where(loc)
    known = _File.model_fields
    if len(loc) > 1 and loc[0] == "schedules" and isinstance(loc[1], int):
        given = parsed.values["schedules"][loc[1]]
        named = given.get("name", f"number {loc[1] + 1}") if isinstance(given, dict) else f"number {loc[1] + 1}"
        where, known = f"{where}: schedule '{named}'", _Entry.model_fields
    names = [str(step) for step in loc]
    last = next((name for name in reversed(names) if name in known), names[0])
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown field '{names[-1]}'.{nearest(names[-1], known)} Known: {', '.join(known)}."
    if first["type"] == "missing":
        return f"{where if len(loc) > 1 else parsed.name}: field '{last}' is missing."
    return f"{where}: {last}: {first['msg'].removeprefix('Value error, ')}."
