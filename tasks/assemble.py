"""Putting a task together from checked parts; what cannot be right is refused here, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import TaskError, nearest
from .example import Example
from .fields import Placed
from .labels import found_labels
from .metrics import AnyMetric, Metric, expected_problem, make_metric, metric_kind
from .seed_prompt import SeedPrompt, check_locked, check_placeholders, make_seed_prompt
from .splits import Shares, check_disjoint, check_sizes, split_examples
from .task import OutputOptions, Task


@dataclass(frozen=True)
class Parts:
    """What a task is made of, before the checks.

    `examples` are divided by `shares`, unless `splits` gives the three splits by name. `choices="labels"` stands for
    the task's labels. `folder` is where own metrics and prompt files are looked for.
    """

    name: str
    seed_prompt: SeedPrompt
    metric: AnyMetric
    examples: Sequence[Placed] = ()
    splits: Mapping[str, Sequence[Placed]] | None = None
    labels: tuple[str, ...] | None = None
    choices: str | tuple[str, ...] = ()
    max_tokens: int = 256
    temperature: float = 0.0
    preserve: Sequence[Placed] = ()
    shares: Shares = field(default_factory=Shares)
    locked: tuple[str, ...] = ()
    description: str = ""
    folder: Path | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    """Where a field of a task.yaml stands, by its name."""


def assemble(parts: Parts) -> Task:
    """The task made of `parts`.

    Raises TaskError when the metric, an expected answer, a split, a placeholder or a locked text cannot be right;
    where an example is at fault, the message names its file and line.
    """
    given = parts.splits
    everything = [one for group in given.values() for one in group] if given else list(parts.examples)
    labels = _labels(parts, everything)
    with _blamed(parts, "metric"):
        metric = make_metric(parts.metric, labels, folder=parts.folder)
    _check_expected(metric, [*everything, *parts.preserve])
    if given is not None:
        check_sizes(given)
    splits = given if given is not None else split_examples(everything, parts.shares)
    check_disjoint({**splits, "preserve": parts.preserve})
    with _blamed(parts, "seed_prompt"):
        prompt = make_seed_prompt(parts.seed_prompt, parts.folder)
        check_placeholders(prompt, [*everything, *parts.preserve])
    with _blamed(parts, "locked"):
        check_locked(parts.locked, prompt)
    return Task(
        name=parts.name,
        seed_prompt=prompt,
        search=_bare(splits["search"]),
        holdout=_bare(splits["holdout"]),
        test=_bare(splits["test"]),
        preserve=_bare(parts.preserve),
        metric=metric,
        labels=labels,
        output=OutputOptions(parts.max_tokens, _choices(parts.choices, labels), parts.temperature),
        locked=parts.locked,
        description=parts.description,
    )


@contextmanager
def _blamed(parts: Parts, name: str) -> Iterator[None]:
    """Puts the place of a task.yaml's field before what is wrong with it."""
    try:
        yield
    except TaskError as error:
        if name in parts.places:
            raise TaskError(f"{parts.places[name]}: {error}") from error
        raise


def _bare(placed: Iterable[Placed]) -> tuple[Example, ...]:
    return tuple(one.example for one in placed)


def _labels(parts: Parts, placed: Sequence[Placed]) -> tuple[str, ...]:
    """The labels given, else for the metric `label` those found in the examples, in alphabetical order."""
    if parts.labels is not None:
        return parts.labels
    if metric_kind(parts.metric) != "label" and parts.choices != "labels":
        return ()
    return found_labels(one.example.expected for one in placed)


def _choices(choices: str | tuple[str, ...], labels: tuple[str, ...]) -> tuple[str, ...]:
    if choices == "labels":
        return labels
    if isinstance(choices, str):
        raise TaskError(f"output.choices must be 'labels' or a list of answers, not '{choices}'.")
    return choices


def _check_expected(metric: Metric, placed: Iterable[Placed]) -> None:
    for one in placed:
        problem = expected_problem(metric, one.example.expected)
        if problem:
            labels = getattr(metric, "labels", ())
            hint = nearest(one.example.label, labels) if labels else ""
            raise TaskError(f"{one.where}: expected value of '{one.example.id}': {problem}.{hint}")
