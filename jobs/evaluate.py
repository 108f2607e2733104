"""Measuring one prompt on one split: a score with its interval, by label, with the failures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from ..agents.operators import predicted_label
from ..errors import BudgetTooSmall, UsageError, nearest
from ..evaluation.budget import Budget
from ..evaluation.evaluator import Job
from ..evaluation.intervals import mean_interval
from ..evaluation.outage import PATIENCE_MINUTES
from ..tasks.example import Example
from ..tasks.load import load_task
from ..tasks.prompt import Prompt
from ..tasks.targets import target_name
from ..tasks.task import SplitName, Task
from ..tasks.text_metrics import normal
from ..traces.rows import Record
from .evaluation_result import Evaluation, Failure, LabelScore
from .measuring import Listener, Measuring, measuring
from .named_runs import known_measurement
from .prompt_file import read_prompt

Split = Literal["search", "holdout", "test", "all"]
MOST_FAILURES = 20
MOST_LABELS = 50
"""With more different expected answers a table by label says nothing."""


def evaluate(
    task: str | Path | Task,
    prompt: str | Path | Prompt | None = None,
    *,
    target: Any = "local",
    split: str = "holdout",
    budget: str | Mapping[str, float] | Budget | None = None,
    **more: Any,
) -> Evaluation:
    """The score of `prompt` on one split of `task`, with its 95 % interval, by label, with failures.

    `prompt`: a Prompt, the path of a text or YAML file, or None for the task's seed prompt. `split`: `search`,
    `holdout`, `test` or `all`. To look at `test` is a use of it, and weakens what later runs can prove on it.
    `budget` defaults to the calls that it takes. For `more` see `aevaluate`.

    Raises UsageError for what the caller can mend, BudgetTooSmall before the first call.
    """
    return asyncio.run(aevaluate(task, prompt, target=target, split=split, budget=budget, **more))


async def aevaluate(
    task: str | Path | Task,
    prompt: str | Path | Prompt | None = None,
    *,
    target: Any = "local",
    split: str = "holdout",
    budget: str | Mapping[str, float] | Budget | None = None,
    base_url: str | None = None,
    concurrency: int | None = None,
    patience: float = PATIENCE_MINUTES,
    task_options: Mapping[str, Any] | None = None,
    run: str | None = None,
    listener: Listener | None = None,
) -> Evaluation:
    """`evaluate` for asynchronous code; cancelling it keeps the answers, so that the next time they are free.

    `base_url`: an OpenAI-compatible server for `openai:` models. `concurrency`: calls under way at once (None: as many
    as the provider bears). `patience`: minutes to wait for a provider that does not answer any more, before
    ProviderDown is raised. `task_options`: keywords of `load_task`. `run`: a name; measured once under that name, the
    stored result is given.
    `listener(event, fields)` is told of every call.
    """
    loaded = await asyncio.to_thread(load_task, task, **(task_options or {}))
    chosen = await asyncio.to_thread(chosen_prompt, loaded, prompt)
    parts = split_parts(loaded, split)
    needed = sum(len(examples) for _, examples in parts)
    limits = check_room(Budget.parse(budget), split, needed)
    name = str(task) if isinstance(task, (str, Path)) else task.name
    app = target_name(target)
    settings = measured_settings(loaded, chosen, limits, task=name, target=app, split=split, base_url=base_url)
    begun = await known_measurement(run, "evaluate", settings) if run else None
    if begun is not None and begun.status == "finished" and begun.result:
        return Evaluation.model_validate(begun.result)
    async with measuring(
        loaded,
        target,
        limits,
        strategy="evaluate",
        settings=settings,
        base_url=base_url,
        concurrency=concurrency,
        patience=patience,
        listener=listener,
        name=run,
        begun=begun,
    ) as opened:
        if listener is not None:
            listener("measuring", {"run_id": opened.run_id, "examples": needed})
        notes = []
        if "test" in {name for name, _ in parts}:
            uses = await opened.store.use_test(loaded.test_key, opened.run_id)
            notes.append(f"This was use {uses} of this test split; each use weakens what it can prove.")
        measured = await opened.evaluator.measure(*(Job(chosen, examples, name) for name, examples in parts))
        if measured < len(parts):
            notes.append(f"The budget was spent before the {parts[measured][0]} split.")
        evaluation = await _summed_up(opened, loaded, chosen, split, notes)
        await opened.finish(evaluation)
    return evaluation


def check_room(limits: Budget, split: str, needed: int) -> Budget:
    """The limits of a measurement: those given, else the calls it takes. Raises BudgetTooSmall."""
    if limits.target_calls is not None and limits.target_calls < needed:
        raise BudgetTooSmall(
            f"budget: target_calls={limits.target_calls} is too small: measuring '{split}' takes {needed} calls"
        )
    return Budget(target_calls=needed) if limits.unlimited else limits


def measured_settings(loaded: Task, prompt: Prompt, limits: Budget, **plain: Any) -> dict[str, Any]:
    """What is stored of a measurement's definition; `plain`: what is stored as it is."""
    return {**plain, "prompt": prompt.id, "task_key": loaded.key, "budget": str(limits)}


def chosen_prompt(task: Task, prompt: str | Path | Prompt | None) -> Prompt:
    """The prompt to measure: as given, read from a file, or the task's seed."""
    if prompt is None:
        return task.seed_prompt
    return prompt if isinstance(prompt, Prompt) else read_prompt(prompt)


def split_parts(task: Task, split: str) -> list[tuple[SplitName, Sequence[Example]]]:
    """The splits that a name stands for, with their examples. Raises UsageError for an unknown name."""
    if split not in get_args(Split):
        known = ", ".join(get_args(Split))
        raise UsageError(f"--split: there is no split '{split}'.{nearest(split, get_args(Split))} Known: {known}")
    names: tuple[SplitName, ...] = ("search", "holdout", "test")
    return [(name, task.examples(name)) for name in names if split in (name, "all")]


async def _summed_up(run: Measuring, task: Task, prompt: Prompt, split: str, notes: list[str]) -> Evaluation:
    records = run.evaluator.records(prompt.id)
    scored = [(r, r.score) for r in records if r.score is not None]
    scores = [score for _, score in scored]
    interval = mean_interval(scores) if scores else None
    failed = sorted(((r, s) for r, s in scored if s < 1.0), key=lambda one: one[1])
    known = await run.store.answers([r.key for r, _ in scored])
    ways = dict.fromkeys(answer.decoding for answer in known.values() if answer.decoding != "text")
    return Evaluation(
        run_id=run.run_id,
        task=task.name,
        split=split,
        target=run.evaluator.target.name,
        metric=task.metric.name,
        prompt=prompt.content(),
        score=sum(scores) / len(scores) if scores else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(scores),
        missing=len(records) - len(scores),
        failed=len(failed),
        by_label=_by_label(task, scored),
        failures=[_failure(task, record, score) for record, score in failed[:MOST_FAILURES]],
        decoding=", ".join(ways),
        spend=run.ledger.report(),
        notes=notes,
    )


def _by_label(task: Task, scored: Iterable[tuple[Record, float]]) -> list[LabelScore]:
    """One line per expected answer, where the answers are labels."""
    if not task.labels or len(task.labels) > MOST_LABELS:
        return []
    by_label: dict[str, list[float]] = {label: [] for label in task.labels}
    names = {normal(label): label for label in task.labels}
    said: Counter[str] = Counter()
    for record, score in scored:
        label = names.get(normal(task.example(record.example_id).label))
        if label is not None:
            by_label[label].append(score)
        said[predicted_label(record.output, task.labels)] += 1
    lines = []
    for label, scores in by_label.items():
        interval = mean_interval(scores) if scores else None
        lines.append(
            LabelScore(
                label=label,
                n=len(scores),
                score=sum(scores) / len(scores) if scores else 0.0,
                low=interval.low if interval else 0.0,
                high=interval.high if interval else 1.0,
                predicted=said[label],
            )
        )
    return lines


def _failure(task: Task, record: Record, score: float) -> Failure:
    example = task.example(record.example_id)
    return Failure(
        example_id=example.id,
        split=record.split,
        input=example.input,
        expected=example.label,
        output=record.output,
        score=score,
        feedback=record.feedback,
    )
