"""Searches as the run store holds them, for tests of what is done with runs afterwards: no search is run."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sage_spo.settings import settings as installation
from sage_spo.tasks.load import load_task
from sage_spo.tasks.prompt import Demo, Prompt
from sage_spo.tasks.task import Task
from sage_spo.traces.rows import Run, StoredPrompt
from sage_spo.traces.store import RunStore


async def store_search(
    name: str,
    prompts: Sequence[Prompt],
    *,
    task: str = "reviews",
    loaded: Task | None = None,
    strategy: str = "random",
    best: str | None = None,
    **settings: Any,
) -> Run:
    """A finished search of that name that has met these prompts, the first of them its seed."""
    key = (loaded or load_task(task)).key
    defaults: Mapping[str, Any] = {"task": task, "task_key": key, "target": "openai:fake", "base_url": None}
    result = {"best": {"id": best}} if best else None
    run = Run(str(uuid.uuid4()), name, task, strategy, {**defaults, **settings}, status="finished", result=result)
    async with await RunStore.open(installation().home) as store:
        await store.create_run(run)
        for place, prompt in enumerate(prompts):
            content = prompt.model_dump(mode="json", include={"components", "demos", "shown"})
            store.add(StoredPrompt(run.id, prompt.id, place, content, prompt.parents, prompt.origin))
    return run


def edited(seed: Prompt, count: int, *, tag: str = "", demos: Sequence[Demo] = ()) -> list[Prompt]:
    """The seed and so many edits of it, each of the prompt before; every second one is told the form."""
    found = [seed]
    for number in range(count):
        form = "Answer with one word." if number % 2 else "Think of the writer."
        text = f"{seed.system} {form} Note {tag}{number}."
        found.append(found[-1].edited(text=text, demos=tuple(demos), origin=f"edit {tag}{number}"))
    return found
