"""The format of a jobs file, and reading one: every mistake is one line that names file, line, job and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import BudgetError, UsageError, nearest
from ...evaluation.budget import Budget
from ...tasks.files import read_text
from ...tasks.yaml_text import YamlText, parse_yaml
from ..named_runs import is_name
from .kinds import KINDS, PATHS, PROMPTS, Kind

OWN = ("name", "kind", "task", "after", "priority", "budget")
"""Fields that a job of any kind has."""
MOST_PARALLEL = 64


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    name: str | None = None
    defaults: dict[str, Any] = {}
    budget: str | dict[str, Any] | None = None
    parallel: int = Field(default=1, ge=1, le=MOST_PARALLEL, strict=True)
    jobs: list[dict[str, Any]] = Field(min_length=1)


@dataclass(frozen=True)
class Job:
    """One job. `arguments` are those of its command, without name, budget and prompts of other jobs.

    `after`: the jobs that must have succeeded before. `prompts`: options whose prompt an earlier job finds.
    `where` it stands, for messages; `order` is its place in the file.
    """

    name: str
    kind: Kind
    arguments: tuple[str, ...]
    after: tuple[str, ...] = ()
    priority: int = 0
    budget: Budget = field(default_factory=Budget)
    prompts: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    order: int = 0

    def call(self, *, run: str, budget: Budget, prompts: Mapping[str, Path]) -> list[str]:
        """The arguments of the job's command: named, with what it may spend and the prompts of earlier jobs."""
        found = [*self.arguments, "--run", run]
        found += [] if budget.unlimited else ["--budget", str(budget)]
        for option, path in prompts.items():
            found += [f"--{option.replace('_', '-')}", str(path)]
        return found


@dataclass(frozen=True)
class Batch:
    """A whole jobs file. Runs are named `name/job`; `budget` is shared by all jobs."""

    name: str
    path: Path
    budget: Budget
    parallel: int
    jobs: tuple[Job, ...]


def read_batch(path: Path) -> Batch:
    """The checked content of a jobs file. Raises UsageError naming file, line, job and field."""
    path = path.expanduser().absolute()
    parsed = parse_yaml(path.name, read_text(path))
    try:
        file = _File.model_validate(parsed.values)
    except ValidationError as error:
        raise UsageError(_complaint(parsed, error)) from None
    if file.name is None and not is_name(path.stem):
        raise UsageError(f"{path.name}: runs cannot be named after this file; give it a field name: of letters")
    name = path.stem if file.name is None else file.name
    if not is_name(name):
        raise UsageError(f"{parsed.where(['name'])}: name: letters, digits and '-', '_', '.', not '{name}'")
    _check_defaults(parsed, file.defaults)
    jobs = tuple(_Reader(parsed, path.parent, file.defaults, i, given).job() for i, given in enumerate(file.jobs))
    _check_names(parsed, jobs)
    _check_cycles(jobs)
    return Batch(name, path, _budget(file.budget, parsed.where(["budget"])), file.parallel, jobs)


def _complaint(parsed: YamlText, error: ValidationError) -> str:
    first = min(error.errors(), key=lambda one: (one["type"] != "extra_forbidden", len(one["loc"])))
    where, names = parsed.where(first["loc"]), [str(step) for step in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = _File.model_fields
        return f"{where}: unknown field '{names[-1]}'.{nearest(names[-1], known)} Known: {', '.join(known)}."
    if first["type"] == "missing":
        return f"{parsed.name}: field '{names[-1]}' is missing" + (": write version: 1" if names == ["version"] else "")
    return f"{where}: {'.'.join(names[:2])}: {first['msg'].removeprefix('Value error, ')}."


def _check_defaults(parsed: YamlText, defaults: Mapping[str, Any]) -> None:
    known = {"kind", "task", "priority", "budget", *(name for kind in KINDS.values() for name in kind.options)}
    for given in defaults:
        if _plain(given) not in known:
            hint = nearest(_plain(given), known)
            raise UsageError(f"{parsed.where(['defaults', given])}: defaults: unknown field '{given}'.{hint}")


def _check_names(parsed: YamlText, jobs: tuple[Job, ...]) -> None:
    seen: dict[str, Job] = {}
    for job in jobs:
        if job.name in seen:
            first = seen[job.name].where.rpartition(" ")[2]
            raise UsageError(f"{job.where}: job '{job.name}': there is another one of that name in line {first}")
        seen[job.name] = job
    for job in jobs:
        for other in job.after:
            if other not in seen:
                raise UsageError(
                    f"{job.where}: job '{job.name}': waits for job '{other}', which is not in the file."
                    f"{nearest(other, seen)}"
                )
        for option, other in job.prompts.items():
            if seen[other].kind.name != "optimize":
                raise UsageError(
                    f"{job.where}: job '{job.name}': {option}: job '{other}' is of kind {seen[other].kind.name}, "
                    "which finds no prompt"
                )


def _check_cycles(jobs: tuple[Job, ...]) -> None:
    """Raises UsageError where a job waits for itself, over others or not."""
    by_name = {job.name: job for job in jobs}
    fine: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = [*path[path.index(name) :], name]
            job = by_name[name]
            raise UsageError(f"{job.where}: job '{name}': waits for itself: {' → '.join(circle)}")
        if name not in fine:
            for other in by_name[name].after:
                follow(other, (*path, name))
            fine.add(name)

    for job in jobs:
        follow(job.name, ())


def _budget(given: Any, where: str) -> Budget:
    try:
        return Budget.parse(given)
    except (BudgetError, AttributeError) as error:
        raise UsageError(f"{where}: {error if isinstance(error, BudgetError) else _BUDGET_FORM}") from None


_BUDGET_FORM = "budget: write usd=2,target_calls=1500, or a mapping of the same names"


def _plain(name: Any) -> str:
    """A field's name as a parameter's: both `base-url`, as on the command line, and `base_url` will do."""
    return str(name).replace("-", "_")


class _Reader:
    """Reads one job."""

    def __init__(
        self, parsed: YamlText, folder: Path, defaults: Mapping[str, Any], index: int, given: Mapping[str, Any]
    ) -> None:
        self._parsed, self._folder, self._index = parsed, folder, index
        self._given = {_plain(name): value for name, value in given.items()}
        self._written = {_plain(name): name for name in given}
        self._defaults = {_plain(name): value for name, value in defaults.items()}
        self._name = str(given.get("name", f"number {index + 1}"))

    def job(self) -> Job:
        """The job. Raises UsageError."""
        if "name" not in self._given:
            raise self._wrong("name", "field 'name' is missing")
        if not isinstance(self._given["name"], str | int) or not is_name(self._name) or "/" in self._name:
            raise self._wrong("name", f"name: letters, digits and '-', '_', '.', not '{self._name}'")
        kind = self._kind()
        values = {n: v for n, v in self._defaults.items() if n in OWN or n in kind.options} | self._given
        for name in values:
            if name not in OWN and name not in kind.options:
                known = (*OWN, *kind.options)
                shown = self._written.get(name, name)
                raise self._wrong(name, f"unknown field '{shown}' of kind {kind.name}.{nearest(name, known)}")
        if values.get("task") in (None, ""):
            raise self._wrong("task", "field 'task' is missing")
        prompts = {name: self._from(name, values[name]) for name in PROMPTS if isinstance(values.get(name), dict)}
        arguments = [self._task(values["task"])]
        for name in (name for name in kind.options if name in values and name not in prompts):
            arguments += self._arguments(name, kind.options[name], values[name])
        self._check_values(kind, arguments)
        return Job(
            name=self._name,
            kind=kind,
            arguments=tuple(arguments),
            after=tuple(dict.fromkeys([*self._after(values.get("after")), *prompts.values()])),
            priority=self._priority(values.get("priority", 0)),
            budget=_budget(values.get("budget"), f"{self._where('budget')}: job '{self._name}'"),
            prompts=prompts,
            where=self._where("name"),
            order=self._index,
        )

    def _kind(self) -> Kind:
        kind = self._given.get("kind", self._defaults.get("kind", "optimize"))
        if not isinstance(kind, str) or kind not in KINDS:
            hint = nearest(str(kind), KINDS)
            raise self._wrong("kind", f"kind: there is no '{kind}'.{hint} Known: {', '.join(KINDS)}")
        return KINDS[kind]

    def _task(self, task: Any) -> str:
        """The task as the command takes it: a file stands in the jobs file's folder, whoever calls from where."""
        from ...tasks.benchmarks import is_benchmark
        from ...tasks.load import library_names

        if not isinstance(task, str):
            raise self._wrong("task", f"task: a name or a file, not {task!r}")
        if task in library_names() or is_benchmark(task):
            return task
        looks_like_a_file = "/" in task or Path(task).suffix or (self._folder / task).exists()
        return str(self._folder / Path(task).expanduser()) if looks_like_a_file else task

    def _from(self, name: str, value: Mapping[str, Any]) -> str:
        if set(value) != {"from"} or not isinstance(value["from"], str):
            raise self._wrong(name, f"{name}: write a file's name, or {{from: JOB}}")
        return value["from"]

    def _after(self, value: Any) -> list[str]:
        names = [value] if isinstance(value, str) else value or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise self._wrong("after", "after: a job's name, or a list of names")
        return names

    def _priority(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong("priority", f"priority: a whole number, not {value!r}")
        return value

    def _arguments(self, name: str, option: Any, value: Any) -> list[str]:
        """An option as the command line has it."""
        flag = option.opts[0]
        if value is None:
            return []
        if option.is_flag:
            if not isinstance(value, bool):
                raise self._wrong(name, f"{name}: true or false, not {value!r}")
            return [flag] if value else list(option.secondary_opts[:1])
        if option.multiple:
            pairs = [f"{n}={v}" for n, v in value.items()] if isinstance(value, dict) else value
            if not isinstance(pairs, list):
                raise self._wrong(name, f"{name}: a mapping such as {{directions: 8}}, not {value!r}")
            return [part for pair in pairs for part in (flag, str(pair))]
        if isinstance(value, list):
            return [flag, ",".join(map(str, value))]
        if isinstance(value, dict | bool):
            raise self._wrong(name, f"{name}: a text or a number, not {value!r}")
        return [flag, str(self._folder / Path(str(value)).expanduser()) if name in PATHS else str(value)]

    def _check_values(self, kind: Kind, arguments: list[str]) -> None:
        try:
            kind.parsed(arguments)
        except typer.TyperException as error:
            _, quoted, rest = error.format_message().partition("Invalid value for '--")
            name, _, words = rest.partition("': ")
            field_name = _plain(name.partition("'")[0].split(" ")[0]) if quoted else "name"
            raise self._wrong(field_name, f"{field_name}: {words}" if quoted else error.format_message()) from None

    def _where(self, field_name: str) -> str:
        return self._parsed.where(["jobs", self._index, self._written.get(field_name, "name")])

    def _wrong(self, field_name: str, words: str) -> UsageError:
        return UsageError(f"{self._where(field_name)}: job '{self._name}': {words}")
