"""What a call of `compare` means: its rows, the runs that they take, and what is wrong with it before any of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import typer

from ...errors import BudgetTooSmall, SageError, UsageError, nearest
from ...evaluation.budget import Budget
from ...graphs.run_settings import RunSettings
from ...graphs.strategy import DEFAULT_PRESET
from ...tasks.example import Example
from ...tasks.halves import halves_of_test
from ...tasks.load import load_task, task_source
from ...tasks.targets import make_target
from ...tasks.task import Task
from ...traces.rows import Run
from ..batch.kinds import KINDS
from ..before import call_usd, survey
from ..named_runs import check_name, known_measurement, known_run
from ..optimize_call import TASK_OPTIONS, OptimizeCall, optimize_call
from ..options import task_options
from ..peers.run import check_peer
from .rows import Row, read_rows

MODELS = ("target", "agent", "base_url")
MORE = ("rule", "sandbox", "timeout", "concurrency", "patience", *TASK_OPTIONS)
"""Options of `optimize` that all runs of a comparison share, beside the models and the budget."""
FREE = ("timeout", "concurrency", "patience")
"""Of these, what may differ when a comparison is called again."""


@dataclass(frozen=True)
class Arm:
    """One run of a comparison: a row with a seed. `arguments` are those of `sage-spo`."""

    row: Row
    seed: int
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Before:
    """What is known before anything is spent: the stored row of the comparison, if it has begun, and the most that
    all of it may cost in US dollars (inf: nothing limits it, None: a price is unknown, or runs have begun already)."""

    begun: Run | None
    most_usd: float | None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, and no run failed."""
        run = self.begun
        return run is not None and run.status == "finished" and bool(run.result) and run.result["exit_code"] == 0


@dataclass(frozen=True)
class CompareCall:
    """A comparison: `name` and the names below it are its runs'. `budget` is what every run may spend."""

    name: str
    source: str
    task: Task
    rows: tuple[Row, ...]
    seeds: int
    budget: Budget
    preset: str
    options: Mapping[str, Any]

    @cached_property
    def halves(self) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
        """The half of the test split that compares, and the one that certifies."""
        return halves_of_test(self.task)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Every run, seed by seed: what is there after an interruption can be compared already."""
        return tuple(self._arm(row, seed) for seed in range(self.seeds) for row in self.rows)

    @property
    def settings(self) -> dict[str, Any]:
        """What defines the comparison, as it is stored with it. Its budget may not grow: some runs have spent it."""
        shared = {name: _plain(value) for name, value in self.options.items() if name not in FREE}
        return shared | {
            "task": self.source,
            "task_key": self.task.key,
            "strategies": [row.label for row in self.rows if not row.peer],
            "peers": [row.strategy for row in self.rows if row.peer],
            "seeds": self.seeds,
            "budget of each run": str(self.budget),
        }

    @property
    def command(self) -> str:
        """The command that goes on with the comparison, or shows it again."""
        strategies = ",".join(row.label for row in self.rows if not row.peer)
        peers = ",".join(row.strategy for row in self.rows if row.peer)
        options = {"strategies": strategies or None, "seeds": self.seeds, "peers": peers or None}
        options |= {"budget": str(self.budget), **self.options, "run": self.name}
        return shlex.join(["sage-spo", "compare", self.source, *_arguments(options)])

    def _arm(self, row: Row, seed: int) -> Arm:
        name = f"{self.name}/{row.arm(seed)}"
        own = {"seed": seed, "run": name, "budget": str(self.budget), "cache_scope": name}
        if row.peer:
            command = ["peer", row.strategy, self.source]
            shared = {n: self.options.get(n) for n in (*MODELS, "concurrency", "patience", *TASK_OPTIONS)}
            return Arm(row, seed, name, (*command, *_arguments({**own, **shared}), "--json"))
        own |= {"strategy": row.strategy, "preset": row.preset, "option": row.options}
        arguments = _arguments({**own, **self.options, "rule": [*self.options.get("rule", ()), *row.rules]})
        return Arm(row, seed, name, ("optimize", self.source, *arguments, "--no-certify", "--yes", "--json"))

    async def check(self) -> Before:
        """Everything that can be refused before a call, of all runs. Raises SageError naming option or row."""
        begun = await known_measurement(self.name, "compare", self.settings)
        bounds = []
        for row in self.rows:
            try:
                bounds.append(await (self._peer_bound() if row.peer else self._bound(row)))
            except SageError as error:
                kind = BudgetTooSmall if isinstance(error, BudgetTooSmall) else UsageError
                raise kind(f"--{'peers' if row.peer else 'strategies'}: {row.label}: {error}") from error
        return Before(begun, self._most(bounds))

    async def _bound(self, row: Row) -> float | None:
        """The most that a run of a strategy may cost; what has begun is only held against how it was made."""
        arms = [arm for arm in self.arms if arm.row == row]
        call = _parsed(arms[0])
        runs = [call.settings.model_copy(update={"seed": arm.seed, "cache_scope": arm.name}) for arm in arms]
        known = [await known_run(arm.name, settings) for arm, settings in zip(arms, runs, strict=True)]
        return None if all(known) else (await survey(call.task, call.settings)).most_usd

    async def _peer_bound(self) -> float | None:
        models = {name: self.options.get(name) for name in ("agent", "base_url")}
        return await check_peer(self.task, self.budget, target=self.options["target"], **models)

    def _most(self, bounds: Sequence[float | None]) -> float | None:
        """The most that all may cost: every run, by the bounds of the rows, and the measurements on the test split."""
        target = make_target(self.options["target"], self.task, self.options.get("base_url"))
        known = [bound for bound in bounds if bound is not None]
        if target.price is None or len(known) < len(bounds):
            return None
        compared, certified = self.halves
        calls = (1 + len(self.arms)) * len(compared) + 2 * len(certified)
        return self.seeds * sum(known) + calls * call_usd(self.task, target, target.price)


def compare_call(
    task: Any,
    strategies: Iterable[str] | str = (),
    *,
    name: str,
    seeds: int = 2,
    peers: Iterable[str] | str = (),
    budget: str | Mapping[str, float] | Budget | None = None,
    preset: str = DEFAULT_PRESET,
    **options: Any,
) -> CompareCall:
    """The comparison with these options (see `compare`). Raises UsageError for whatever the caller can mend."""
    unknown = next((option for option in options if option not in (*MODELS, *MORE)), None)
    if unknown is not None:
        known = (*MODELS, *MORE)
        raise UsageError(f"compare: unknown option '{unknown}'.{nearest(unknown, known)} Known: {', '.join(known)}")
    for what, value in (("task", task), *((option, options.get(option)) for option in ("target", "agent"))):
        if value is not None and not isinstance(value, str | Path):
            raise UsageError(
                f"{what}: a comparison's runs are processes of their own, which take names and files, not a Python "
                "object; write a task.yaml, or name a function as python:module:function"
            )
    check_name(name)
    if seeds < 1:
        raise UsageError(f"--seeds: {seeds} runs of each row; it takes 1 at least")
    rows = read_rows(strategies, peers, preset)
    source = task_source(task)
    options = {"target": "local", **{n: v for n, v in options.items() if v is not None}}
    loaded = load_task(source, **task_options(**{n: _option(n, options.get(n)) for n in TASK_OPTIONS}))
    plain = RunSettings(task=source, target=options["target"], budget=_text(Budget.parse(budget)))
    return CompareCall(name, source, loaded, rows, seeds, plain.limits(), preset, options)


def _parsed(arm: Arm) -> OptimizeCall:
    """The call of `optimize` that an arm is."""
    try:
        return optimize_call(KINDS["optimize"].parsed(list(arm.arguments[1:])))
    except typer.TyperException as error:
        raise UsageError(error.format_message()) from None


def _arguments(options: Mapping[str, Any]) -> list[str]:
    """Options by name as the command line has them; None and empty ones are left out."""
    found: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        if value is None or value in ("", (), []):
            continue
        if isinstance(value, list | tuple) and name != "labels":
            for one in value:
                found += [flag, str(one)]
        else:
            found += [flag, ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]
    return found


def _option(name: str, value: Any) -> Any:
    """A task option as `task_options` takes it."""
    if name == "labels" and isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return Path(value) if name in ("seed_prompt", "data") and value is not None else value


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _text(budget: Budget) -> str:
    return "" if budget.unlimited else str(budget)
