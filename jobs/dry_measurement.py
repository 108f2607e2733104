"""`evaluate --dry-run`: what a measurement would ask and cost at most, without a call and without a run."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.text import Text

from ..evaluation.budget import Budget, check_prices
from ..settings import settings as installation
from ..tasks.prompt import Prompt
from ..tasks.targets import make_target
from ..tasks.task import Task
from ..traces.result import SCHEMA_VERSION
from ..traces.store import RunStore
from .before import calls_usd
from .evaluate import check_room, measured_settings, split_parts
from .named_runs import State, known_measurement, would_run
from .output import add, facts, one_line
from .progress_words import who_sees


class DryMeasurement(BaseModel):
    """A measurement that was not made. `state` as in `DryRun`; of one that goes on, what was answered is free.

    `most_calls` are logical calls; `most_tokens` and `most_usd` count one attempt of each, and stop at the budget.
    `most_usd` is None where the price is unknown.
    """

    schema_version: int = SCHEMA_VERSION
    task: str
    metric: str
    split: str
    target: str
    base_url: str | None
    prompt: dict[str, str]
    run: str | None
    state: State
    sizes: dict[str, int]
    budget: dict[str, float]
    most_calls: dict[str, int]
    most_tokens: int
    most_usd: float | None
    test_uses: int


async def dry_measurement(
    task: Task,
    prompt: Prompt,
    *,
    split: str,
    target: str,
    base_url: str | None,
    budget: str | None,
    run: str | None,
) -> DryMeasurement:
    """What `evaluate` would do. Raises whatever it would refuse before its first call."""
    parts = split_parts(task, split)
    calls = [(prompt, example) for _, examples in parts for example in examples]
    limits = check_room(Budget.parse(budget), split, len(calls))
    settings = measured_settings(task, prompt, limits, task=task.name, target=target, split=split, base_url=base_url)
    begun = await known_measurement(run, "evaluate", settings) if run else None
    made = await asyncio.to_thread(make_target, target, task, base_url)
    check_prices(limits, {made.name: made.price})
    requests = [made.request(prompt, example) for prompt, example in calls]
    tokens = sum(request.max_input_tokens + request.max_output_tokens for request in requests)
    usd = calls_usd(made, calls)
    async with await RunStore.open(installation().home) as store:
        uses = len(await store.test_uses(task.test_key))
    return DryMeasurement(
        task=task.name,
        metric=task.metric.name,
        split=split,
        target=target,
        base_url=base_url,
        prompt=dict(prompt.components),
        run=run,
        state="new" if begun is None else "finished" if begun.status == "finished" else "goes on",
        sizes={name: len(examples) for name, examples in parts},
        budget=limits.limits(),
        most_calls={"target": len(calls)},
        most_tokens=tokens if limits.tokens is None else min(tokens, limits.tokens),
        most_usd=usd if usd is None or limits.usd is None else min(usd, limits.usd),
        test_uses=uses,
    )


def dry_measurement_screen(dry: DryMeasurement) -> RenderableType:
    """The whole screen: what would be measured, and at most how much of everything it takes."""
    table = facts()
    add(table, "Would run", f"{would_run(dry.run, dry.state)} · evaluate on {dry.target}")
    add(table, "Task", f"{dry.task}, scored by {dry.metric}: {', '.join(f'{n} {s}' for s, n in dry.sizes.items())}")
    for part, text in dry.prompt.items():
        add(table, "Prompt" if len(dry.prompt) == 1 else f"Prompt {part}", one_line(text, 300))
    add(table, "Target", who_sees(dry.target, dry.base_url).removeprefix("target: "))
    add(table, "Calls", f"at most {dry.most_calls['target']:,} target")
    add(table, "Tokens", f"at most {dry.most_tokens:,}")
    add(table, "Cost", _cost(dry.most_usd))
    if "test" in dry.sizes:
        add(table, "Mind", f"this would be use {dry.test_uses + 1} of the test split; each weakens what it can prove")
    return Group(table, Text(), Text("Nothing was asked, nothing was stored.", style="dim"))


def _cost(most_usd: float | None) -> str:
    if most_usd is None:
        return "the price is unknown (name it in a file that SAGE_PRICES points to)"
    return f"at most ${most_usd:.4f}" if most_usd else "nothing"
