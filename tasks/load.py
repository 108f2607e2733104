"""Loading a task from wherever it is: the built-in library, a task.yaml, a bare data file, or benchmark data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import TaskError, nearest
from ..settings import settings
from .assemble import Parts, assemble
from .benchmarks import benchmark_names, benchmark_parts, is_benchmark
from .fields import Placed, to_examples
from .files import DATA_SUFFIXES, read_rows
from .guess import guess
from .labels import labels_problem
from .metrics import AnyMetric, make_metric
from .seed_prompt import SeedPrompt, check_locked, check_placeholders, make_seed_prompt
from .shuffle import shuffled
from .splits import SPLITS
from .task import Task
from .yaml_file import TASK_FILE, read_task_file

_LIBRARY = Path(__file__).parent / "library"


def library_names() -> tuple[str, ...]:
    """The names of the built-in tasks, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _LIBRARY.glob(f"*/{TASK_FILE}")))


def load_task(
    source: str | Path | Task,
    *,
    input: str | None = None,
    expected: str | None = None,
    metric: AnyMetric | None = None,
    labels: Iterable[str] | None = None,
    seed_prompt: SeedPrompt | None = None,
    data: str | Path | None = None,
    shuffle_labels: int | None = None,
) -> Task:
    """The task that `source` names, checked as a whole.

    `source`, tried in this order: a Task (returned as it is, but for `metric`, `labels`, `seed_prompt`); the name of a
    built-in task; `bbh:NAME` and other benchmarks, read from `data` or the folder that SAGE_DATA names; a task.yaml or
    a folder that holds one; a .jsonl, .csv, .tsv or .parquet file, for which whatever the keywords leave open is
    chosen as `sage-spo init` would. The keywords override what a task.yaml says; `input` and `expected` name fields.
    `shuffle_labels` permutes the expected answers by that seed: a null control in which nothing can be learned.

    Raises TaskError naming file, line and field for anything that cannot be used.
    """
    changes = {"metric": metric, "labels": _labels(labels), "seed_prompt": seed_prompt}
    changes = {name: value for name, value in changes.items() if value is not None}
    if isinstance(source, Task):
        _no_fields(input, expected, "a task that is already made")
        task = _changed(source, **changes)
    else:
        parts = _parts(source, input, expected, Path(data).expanduser() if data is not None else None, changes)
        places = {name: place for name, place in parts.places.items() if name not in changes}
        task = assemble(replace(parts, **changes, places=places))
    return task if shuffle_labels is None else shuffled(task, shuffle_labels)


def task_source(source: str | Path) -> str:
    """What `source` names, in a form that can be stored: files by their absolute path, for any working folder.

    Raises TaskError for a path that cannot be looked at.
    """
    if isinstance(source, str) and (not source or source in library_names() or is_benchmark(source)):
        return source
    path = Path(source).expanduser()
    return str(path.absolute()) if _exists(path) else str(source)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # no right to look there, a name that is too long
        raise TaskError(f"{str(path)[:200]} cannot be read: {error.strerror or error}") from error


def _labels(given: Iterable[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    if isinstance(given, str):
        raise TaskError(f"labels: give a list of texts, not the text {given!r:.80}.")
    labels = tuple(given)
    if problem := labels_problem(labels):
        raise TaskError(f"labels: {problem}.")
    return labels


def _parts(
    source: str | Path, input: str | None, expected: str | None, data: Path | None, known: Mapping[str, Any]
) -> Parts:
    if isinstance(source, str) and source in library_names():
        _no_fields(input, expected, "a built-in task")
        return _from_yaml(_LIBRARY / source / TASK_FILE, None, None)
    if isinstance(source, str) and is_benchmark(source):
        _no_fields(input, expected, "a benchmark")
        return benchmark_parts(source, data or settings().data)
    if not str(source):
        raise _no_such("")
    path = Path(source).expanduser()
    exists = _exists(path)
    if path.is_dir():
        if not (path / TASK_FILE).is_file():
            raise TaskError(f"Folder {path} holds no {TASK_FILE}; `sage-spo init FILE` writes one for a data file.")
        return _from_yaml(path / TASK_FILE, input, expected)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _from_yaml(path, input, expected)
    if path.suffix.lower() in DATA_SUFFIXES:
        return _from_data(path, input, expected, known)
    if exists:
        suffixes = ", ".join(DATA_SUFFIXES)
        raise TaskError(f"{path} is no task: a task is a {TASK_FILE}, a folder holding one, or data ({suffixes}).")
    raise _no_such(str(source))


def _no_such(name: str) -> TaskError:
    if "/" in name or "\\" in name:
        return TaskError(f"No such file: {name}")
    known = (*library_names(), *benchmark_names())
    return TaskError(
        f"No such task: '{name}'.{nearest(name, known)} Built-in: {', '.join(library_names())}; "
        f"benchmarks: {', '.join(benchmark_names())}; or give a task.yaml or a data file."
    )


def _no_fields(input: str | None, expected: str | None, what: str) -> None:
    if input is not None or expected is not None:
        raise TaskError(f"input= and expected= name the fields of a data file; they mean nothing for {what}.")


def _changed(
    task: Task,
    *,
    metric: AnyMetric | None = None,
    labels: tuple[str, ...] | None = None,
    seed_prompt: SeedPrompt | None = None,
) -> Task:
    """A made task with another metric, other labels or another seed prompt."""
    if labels is not None:
        metric = "label" if metric is None and task.metric.name == "label" else metric
        choices = labels if task.output.choices == task.labels else task.output.choices
        task = replace(task, labels=labels, output=replace(task.output, choices=choices))
    if metric is not None:
        task = replace(task, metric=make_metric(metric, task.labels))
    if seed_prompt is not None:
        task = replace(task, seed_prompt=make_seed_prompt(seed_prompt))
        check_placeholders(task.seed_prompt, [Placed(one, f"task '{task.name}'") for one in task.everything])
        check_locked(task.locked, task.seed_prompt)
    return task


def _from_yaml(path: Path, input: str | None, expected: str | None) -> Parts:
    file, places = read_task_file(path)
    folder = path.parent
    named = {"input": input, "expected": expected}
    fields = file.fields.model_copy(update={role: name for role, name in named.items() if name is not None})

    def examples(name: str) -> tuple[Placed, ...]:
        return to_examples(read_rows(folder / name), fields)

    files = file.examples
    return Parts(
        name=file.name,
        description=file.description,
        seed_prompt=file.seed_prompt,
        examples=examples(files) if isinstance(files, str) else (),
        splits=None if isinstance(files, str) else {split: examples(getattr(files, split)) for split in SPLITS},
        metric=file.metric,
        labels=file.labels,
        choices=file.output.choices,
        max_tokens=file.output.max_tokens,
        temperature=file.output.temperature,
        preserve=examples(file.preserve) if file.preserve else (),
        shares=file.split,
        locked=file.locked,
        folder=folder,
        places=places,
    )


def _from_data(path: Path, input: str | None, expected: str | None, known: Mapping[str, Any]) -> Parts:
    guessed = guess(
        path.name,
        read_rows(path),
        input=input,
        expected=expected,
        metric=known.get("metric"),
        labels=known.get("labels"),
    )
    return Parts(
        name=path.stem,
        seed_prompt=guessed.seed_prompt,
        examples=guessed.examples,
        metric=guessed.metric,
        labels=guessed.labels or None,
        choices=guessed.choices,
        max_tokens=guessed.max_tokens,
        folder=path.parent,
    )
