"""What a metric is, and how one is made from what a task file says."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, cast, get_type_hints

from ..errors import ModelError, TaskError, nearest
from .example import Example, Score
from .imports import import_object
from .text_metrics import FEEDBACK_LENGTH, Contains, Exact, Label, Regex, TokenF1, normal
from .value_metrics import JsonFields, Numeric

MetricSpec = str | Mapping[str, Any]
"""A metric by name, or as a mapping with its options."""


class Metric(Protocol):
    """Says how right one output is."""

    @property
    def name(self) -> str: ...

    def __call__(self, output: str, example: Example, /) -> Score: ...


AnyMetric = MetricSpec | Metric | Callable[[str, Example], Any]
"""Whatever `make_metric` understands."""


class MetricError(TaskError, ModelError):
    """A user's own metric failed on one output or returned no score.

    A ModelError too, so that an evaluation counts that score as missing and a run goes on.
    """


@dataclass(frozen=True)
class Own:
    """A user's function or metric `(output, example) -> float | Score`, its result checked."""

    function: Callable[[str, Example], Any]
    name: str

    def __call__(self, output: str, example: Example) -> Score:
        where = f"Metric '{self.name}' on example '{example.id}'"
        try:
            result = self.function(output, example)
        except Exception as error:  # own code may fail in any way
            raise MetricError(f"{where} failed: {type(error).__name__}: {error}") from error
        if inspect.iscoroutine(result):
            result.close()
            raise MetricError(f"{where} is a coroutine; a metric is a plain function.")
        value, feedback = (result.value, result.feedback) if isinstance(result, Score) else (result, "")
        try:
            number = float(value)
        except (TypeError, ValueError) as error:
            raise MetricError(f"{where} returned {value!r:.80}; it must return a number or a Score.") from error
        if not math.isfinite(number) or not 0.0 <= number <= 1.0:
            raise MetricError(f"{where} returned {number}; a score lies between 0 and 1.")
        return Score(number, str(feedback)[:FEEDBACK_LENGTH])


_BUILT_IN: dict[str, type[Any]] = {
    "exact": Exact,
    "label": Label,
    "numeric": Numeric,
    "contains": Contains,
    "regex": Regex,
    "f1": TokenF1,
    "json": JsonFields,
}


def metric_names() -> tuple[str, ...]:
    """The names of the built-in metrics."""
    return tuple(_BUILT_IN)


def make_metric(
    spec: AnyMetric,
    labels: Iterable[str] = (),
    *,
    folder: Path | None = None,
) -> Metric:
    """The metric that `spec` describes.

    `spec`: a built-in name; `{"name": ..., option: value}`; `"module:function"` or `{"function": "module:function"}`
    for an own one (looked for in `folder` first); or a ready Metric or function.
    `labels` are what `label` looks for. Raises TaskError naming what is wrong with it.
    """
    if not isinstance(spec, str | Mapping):
        if isinstance(spec, (Own, *_BUILT_IN.values())):
            return cast(Metric, spec)
        return _own(spec, getattr(spec, "name", getattr(spec, "__name__", "function")), {})
    options = {"function": spec} if isinstance(spec, str) and ":" in spec else spec
    options = {"name": options} if isinstance(options, str) else dict(options)
    if "function" in options:
        reference = str(options.pop("function"))
        return _own(import_object(reference, folder), reference, options)
    name = options.pop("name", None)
    if name is None:
        raise TaskError("The metric has no name; write metric: exact, or metric: {name: numeric, tolerance: 0.01}.")
    if not isinstance(name, str) or name not in _BUILT_IN:
        known = ", ".join(_BUILT_IN)
        raise TaskError(
            f"Unknown metric '{name}'.{nearest(str(name), _BUILT_IN)} Known: {known}, or your own as module:function."
        )
    return _built_in(name, options, tuple(labels))


def metric_kind(spec: AnyMetric) -> str:
    """The name of the built-in metric that `spec` asks for; for an own one, its name or nothing."""
    if isinstance(spec, str):
        return spec
    return str(spec.get("name", "") if isinstance(spec, Mapping) else getattr(spec, "name", ""))


def expected_problem(metric: Metric, expected: Any) -> str:
    """Why `expected` can never be answered right under `metric`, in words; empty where it can."""
    check = getattr(metric.function if isinstance(metric, Own) else metric, "problem", None)
    return str(check(expected)) if callable(check) else ""


def _own(function: Any, name: str, options: dict[str, Any]) -> Metric:
    if not callable(function):
        raise TaskError(f"Metric '{name}' is not a function.")
    shown = options.pop("name", name)
    _no_more(shown, options, ("function", "name"))
    return Own(function, str(shown))


def _built_in(name: str, options: dict[str, Any], labels: tuple[str, ...]) -> Metric:
    kind = _BUILT_IN[name]
    allowed = {field.name: field for field in fields(kind) if field.name not in ("name", "labels")}
    _no_more(name, {key: value for key, value in options.items() if key not in allowed}, allowed)
    hints = get_type_hints(kind)
    checked = {key: _option(name, key, value, hints[key]) for key, value in options.items()}
    if kind is Label:
        if len(labels) < 2:
            raise TaskError("Metric 'label' needs at least two labels; give labels: [...] or another metric.")
        if not all(map(normal, labels)):
            raise TaskError("Metric 'label': a label has neither a letter nor a digit to be found by; rename it.")
        return Label(labels, **checked)
    return kind(**checked)


def _option(metric: str, key: str, value: Any, hint: Any) -> Any:
    """An option's value, checked against the type of the field it sets."""
    where = f"Metric '{metric}': option '{key}'"
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise TaskError(f"{where} must be a number of at least 0, not {value!r}.")
        return float(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise TaskError(f"{where} must be true or false, not {value!r}.")
        return value
    if hint == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise TaskError(f"{where} must be a list of names, not {value!r}.")
        return tuple(value)
    if key == "take" and value not in ("only", "last"):
        raise TaskError(f"{where} must be 'only' or 'last', not {value!r}.")
    if key == "pattern":
        try:
            re.compile(value)
        except (re.error, TypeError) as error:
            raise TaskError(f"{where} is not a regular expression: {error}") from error
    return value


def _no_more(metric: str, options: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for key in options:
        known = ", ".join(allowed) or "none"
        raise TaskError(f"Metric '{metric}' has no option '{key}'.{nearest(str(key), allowed)} Its options: {known}.")
