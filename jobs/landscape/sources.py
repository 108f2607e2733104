"""The runs that a landscape is drawn from: found by their names, of one task and target, with the prompts they met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import StoreError, UsageError
from ...tasks.load import load_task
from ...tasks.prompt import Prompt
from ...tasks.task import Task
from ...traces.rows import PEER, Run, StoredPrompt, is_search
from ...traces.store import RunStore
from ..run_pages import run_name


@dataclass
class Met:
    """A prompt that at least one of the runs has met. `generation`: how many edits it is away from a run's seed, at
    least; `leads`: it is the seed prompt or the best one of a run; `runs`: in which runs it was met, by their places.
    """

    prompt: Prompt
    generation: int
    leads: bool = False
    runs: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """Runs of one task on one target, and the prompts that they met, by id."""

    runs: tuple[Run, ...]
    task: Task
    target: Any
    base_url: str | None
    prompts: Mapping[str, Met]

    @property
    def names(self) -> list[str]:
        """What to call the runs in a command."""
        return [run_name(run) for run in self.runs]

    @property
    def target_name(self) -> str:
        """The target as the runs' settings name it."""
        return str(self.runs[0].settings["target"])


async def find_sources(
    store: RunStore, names: Sequence[str], *, task: Task | None = None, target: Any = None
) -> Sources:
    """The runs of these names (ids, their beginnings, aliases; a comparison's name stands for the runs of its rows).

    `task` and `target` must be passed where the runs were started from Python with such objects. Raises StoreError for
    a run that there is not, UsageError for runs that have no prompts to compare: measurements, other tasks or targets,
    a task whose files have changed since.
    """
    if not names:
        raise UsageError("landscape: name at least one run; `sage-spo runs` lists them")
    runs: dict[str, Run] = {}
    for name in names:
        runs.update({run.id: run for run in await _meant(store, name)})
    found = tuple(runs.values())
    _check_alike(found)
    loaded = _task_of(found, task, target)
    first = found[0].settings
    prompts = await _prompts(store, found)
    return Sources(found, loaded, first["target"] if target is None else target, first.get("base_url"), prompts)


async def _meant(store: RunStore, name: str) -> list[Run]:
    run = await store.run(name)
    if run.strategy == "compare":
        begun = f"{run.alias}/"
        arms = [one for one in reversed(await store.runs()) if (one.alias or "").startswith(begun)]
        if not arms:
            raise StoreError(f"comparison {name} has no runs yet; go on with: {run.settings.get('command', 'compare')}")
        return arms
    if not is_search(run.strategy) and not run.strategy.startswith(PEER):
        raise UsageError(f"run {name} is no search ({run.strategy}) and has no prompts to draw a landscape from")
    return [run]


def _check_alike(runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.settings.get("task_key") != first.settings.get("task_key"):
            which = f"{run_name(first)} ({first.task}) and {run_name(run)} ({run.task})"
            raise UsageError(
                f"landscape: runs {which} are of different tasks (other examples, splits, seed prompt or metric); "
                "their scores cannot be compared: give runs of one task"
            )
        for setting in ("target", "base_url"):
            before, now = first.settings.get(setting), run.settings.get(setting)
            if before != now:
                raise UsageError(
                    f"landscape: run {run_name(first)} was made with {setting} = {before or 'none'}, run "
                    f"{run_name(run)} with {now or 'none'}; a landscape is one target's: give runs of one"
                )


def _task_of(runs: Sequence[Run], task: Task | None, target: Any) -> Task:
    """The task as it is now, which has to be the one that the runs were made with."""
    settings, name = runs[0].settings, run_name(runs[0])
    if settings.get("in_process") and task is None and target is None:
        raise UsageError(
            f"run {name} was started from Python with its own task or target; call sage_spo.landscape there, with them"
        )
    loaded = task or load_task(settings["task"], **settings.get("task_options", {}))
    stored = settings.get("task_key")
    if stored and loaded.key != stored:
        raise UsageError(
            f"landscape: task {loaded.name} is not what run {name} was made with: its examples, splits, seed prompt or "
            "metric have changed since. Restore its files, or search again and give the new run"
        )
    return loaded


async def _prompts(store: RunStore, runs: Sequence[Run]) -> dict[str, Met]:
    """Every prompt once, in the order in which the runs met them; of the least generation it has in any run."""
    found: dict[str, Met] = {}
    for place, run in enumerate(runs):
        stored = await store.prompts(run.id)
        best = ((run.result or {}).get("best") or {}).get("id")
        for prompt_id, row in stored.items():
            generation = _generation(row, stored)
            met = found.setdefault(prompt_id, Met(_prompt(row), generation))
            met.generation = min(met.generation, generation)
            met.leads |= generation == 0 or prompt_id == best
            met.runs.append(place)
    return found


def _prompt(row: StoredPrompt) -> Prompt:
    return Prompt.model_validate({**row.content, "parents": row.parents, "origin": row.origin})


def _generation(row: StoredPrompt, stored: Mapping[str, StoredPrompt]) -> int:
    """The number of edits on the shortest way from a prompt without a known parent."""
    level, seen, generation = {row.id}, {row.id}, 0
    while level:
        if any(not _known_parents(stored[one], stored) for one in level):
            return generation
        level = {parent for one in level for parent in _known_parents(stored[one], stored)} - seen
        seen |= level
        generation += 1
    return generation


def _known_parents(row: StoredPrompt, stored: Mapping[str, StoredPrompt]) -> list[str]:
    return [parent for parent in row.parents if parent in stored]
