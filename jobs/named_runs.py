"""`--run NAME` given again: the same run goes on or shows its result, and nothing that defines it may differ."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from ..errors import UsageError
from ..evaluation.budget import Budget
from ..graphs.run_settings import CHANGES, RunSettings
from ..settings import settings as installation
from ..traces.rows import Run, is_search
from ..traces.store import RunStore
from .locks import locked

State = Literal["new", "goes on", "finished"]
"""What the run of a name is for a command that is given again."""
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")


@dataclass(frozen=True)
class KnownRun:
    """A run that stands in the store, and the settings that it is called with now.

    `grown`: whether its budget is larger than before. `again`: whether it begins anew, because it ended before its
    first call. `note`: what a person should know.
    """

    run: Run
    settings: RunSettings
    grown: bool = False
    again: bool = False
    note: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether there is anything left to do."""
        return self.again or self.run.status != "finished"

    @property
    def costs_more(self) -> bool:
        """Whether it may cost more than was agreed on when it was made."""
        return self.grown and self.goes_on


def would_run(name: str | None, state: State) -> str:
    """What a dry run says of the run, such as `run nightly, would go on`."""
    words = {"new": "new", "goes on": "would go on", "finished": "finished: would only show its result"}[state]
    return f"run {name}, {words}" if name else words


def is_name(name: str) -> bool:
    """Whether a run can be called that; parts between slashes are for batches and schedules."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raises UsageError where no run can be called that."""
    if not is_name(name):
        raise UsageError(f"--run: a name is made of letters, digits and '-', '_', '.', not '{name}'")


async def known_run(name: str, settings: RunSettings) -> KnownRun | None:
    """The run of that name, ready for `take_up`; None where there is none yet.

    Raises UsageError naming the setting where it was made with others than these.
    """
    run = await named(name)
    if run is None:
        return None
    if not is_search(run.strategy):
        raise UsageError(f"--run: '{name}' is the name of a measurement or peer ({run.strategy}); choose another name")
    stored = RunSettings.model_validate(run.settings)
    for setting, before, now in _differences(stored, settings):
        raise _conflict(name, setting, before, now)
    grown = _grown(name, stored.limits(), settings.limits())
    if run.status != "finished" or not run.result:
        return KnownRun(run, settings, grown)
    if not grown:
        return KnownRun(run, settings)
    if run.result.get("verdict") == "budget too small":
        return KnownRun(run, settings, grown, again=True)
    note = (
        f"The budget was raised, but run {name} is finished: its test split has been looked at, so that it does not "
        "go on. For a longer search choose another name."
    )
    return KnownRun(run, settings, grown, note=note)


async def take_up(known: KnownRun) -> None:
    """Store what may change of the settings of a run that is to go on."""
    if not known.goes_on:
        return
    changes: dict[str, Any] = {"settings": known.settings.model_dump(mode="json")}
    if known.again:
        changes |= {"status": "created", "result": None}
    async with await RunStore.open(installation().home) as store:
        await store.update_run(known.run.id, **changes)


async def known_measurement(name: str, kind: str, settings: Mapping[str, Any]) -> Run | None:
    """The measurement of that name and kind; None where there is none yet.

    Raises UsageError naming the setting where it was made with others than these; its budget may grow.
    """
    run = await named(name)
    if run is None:
        return None
    if run.strategy != kind:
        raise UsageError(f"--run: '{name}' is the name of another run ({run.strategy}); choose another name")
    for setting, now in settings.items():
        before = run.settings.get(setting, now)
        if setting == "budget":
            _grown(name, Budget.parse(before), Budget.parse(now))
        elif before != now:
            raise _conflict(name, setting, before, now)
    return run


def new_name(kind: str) -> str:
    """A name for a measurement that was given none."""
    return f"{kind}-{uuid.uuid4().hex[:8]}"


async def created_measurement(name: str, task: str, kind: str, settings: Mapping[str, Any]) -> Run:
    """The measurement's own row, put into the store so that its name is taken from the beginning."""
    run = Run(str(uuid.uuid4()), name, task, kind, dict(settings))
    async with await RunStore.open(installation().home) as store:
        await store.create_run(run)
    return run


def measuring_alone(name: str, what: str, say: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
    """While it is open, no other process works on the measurement of that name. Raises Busy where one does."""
    path = installation().home.expanduser() / "comparisons" / f"{name.replace('/', '~')}.lock"
    return locked(path, f"{what} {name}", wait=False, say=say, way_out="")


async def named(name: str) -> Run | None:
    """The run that has exactly this name. Raises UsageError where no run can be called that."""
    check_name(name)
    async with await RunStore.open(installation().home) as store:
        return next((run for run in await store.runs() if run.alias == name), None)


def _differences(stored: RunSettings, given: RunSettings) -> list[tuple[str, Any, Any]]:
    """What defines the run and differs: name, stored and given value."""
    found: list[tuple[str, Any, Any]] = []
    for field in (field for field, change in CHANGES.items() if change == "defining"):
        before, now = getattr(stored, field), getattr(given, field)
        if before == now or (field == "task_key" and not (before and now)):
            continue
        if field == "options" and stored.strategy == given.strategy:
            before, now = _dumped(stored.search_options()), _dumped(given.search_options())
        if isinstance(before, dict):
            names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            found += [(f"{field} {name}", before.get(name), now.get(name)) for name in names]
        else:
            found.append((field, before, now))
    return found


def _dumped(options: BaseModel) -> dict[str, Any]:
    return options.model_dump(mode="json")


def _grown(name: str, before: Budget, now: Budget) -> bool:
    """Whether a budget is larger. Raises UsageError where any of its limits is smaller."""
    stored, given = before.limits(), now.limits()
    for unit, limit in given.items():
        if limit < stored.get(unit, float("inf")):
            raise _conflict(name, f"budget {unit}", stored.get(unit), limit)
    return given != stored


def _conflict(name: str, setting: str, before: Any, now: Any) -> UsageError:
    if setting == "task_key":
        return UsageError(
            f"--run: run '{name}' was made with another task: the content of its files has changed. {_WAY_OUT}"
        )
    words = f"was made with {setting} = {_shown(before)}, and is called with {_shown(now)}"
    return UsageError(f"--run: run '{name}' {words}. {_WAY_OUT}")


_WAY_OUT = "Call it as before, or choose another name."


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = " ".join(str(value).split())
    return text if len(text) <= 80 else text[:79] + "…"
