"""Guessing from a data file alone what its task is: fields, metric, labels, a plain first prompt."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TaskError
from .fields import ID_FIELD, RESERVED, Fields, Placed, to_examples
from .files import Row
from .labels import found_labels
from .metrics import AnyMetric, MetricSpec, metric_kind
from .text_metrics import normal

# In order of preference.
_NOUNS = ("question", "message", "query", "sentence", "review", "utterance", "headline", "comment", "post", "email")
_NOUNS += ("request", "problem", "passage", "document", "article", "title", "description", "ticket")
_INPUT_NAMES = ("input", "text", "prompt", *_NOUNS, "body", "content", "context", "source")
_EXPECTED_NAMES = ("expected", "label", "answer", "target", "output", "expected_output", "gold", "reference", "ideal")
_EXPECTED_NAMES += ("category", "class", "queue", "intent", "sentiment", "topic", "completion", "response", "result")
_VAGUE_NAMES = ("tag", "type", "kind", "y")
_NUMBER = re.compile(r"[-+]?[$€£]?[\d,]*\.?\d+\s?%?")
MOST_LABELS = 20
_LABEL_WORDS = 5
_LABEL_LENGTH = 40
_LONG_ANSWER = 8
"""From so many words on average an answer is compared word by word and not as a whole."""


@dataclass(frozen=True)
class Guess:
    """What a data file seems to be. `reasons` says in words why, by the part of the task it explains."""

    fields: Fields
    examples: tuple[Placed, ...]
    metric: AnyMetric
    labels: tuple[str, ...]
    seed_prompt: str
    max_tokens: int
    choices: str | tuple[str, ...]
    reasons: dict[str, str]
    unsure: tuple[str, ...] = ()


def guess(
    name: str,
    rows: Sequence[Row],
    *,
    input: str | None = None,
    expected: str | None = None,
    metric: AnyMetric | None = None,
    labels: tuple[str, ...] | None = None,
) -> Guess:
    """The task that `rows` of the file `name` seem to hold; what is known already is given by keyword.

    Raises TaskError where the file has too few fields, or no usable examples.
    """
    reasons: dict[str, str] = {}
    unsure: list[str] = []
    fields = _fields(name, rows, input, expected, reasons, unsure)
    examples = to_examples(rows, fields)
    answers = [one.example.expected for one in examples]
    if metric is None and labels is not None:
        metric = "label"
    if metric is None:
        metric, labels = _metric(answers, reasons)
    elif labels is None and metric_kind(metric) == "label":
        labels = found_labels(answers)
    labels = labels or ()
    return Guess(
        fields=fields,
        examples=examples,
        metric=metric,
        labels=labels,
        seed_prompt=_seed_prompt(fields, metric, answers),
        max_tokens=_max_tokens(metric, answers),
        choices="labels" if labels else (),
        reasons=reasons,
        unsure=tuple(unsure),
    )


def _fields(
    name: str,
    rows: Sequence[Row],
    input: str | None,
    expected: str | None,
    reasons: dict[str, str],
    unsure: list[str],
) -> Fields:
    columns = {
        column: [row.values.get(column) for row in rows]
        for column in dict.fromkeys(key for row in rows for key in row.values)
    }
    open_names = [column for column in columns if column not in (ID_FIELD, input, expected)]
    if expected is None:
        expected = _by_name(open_names, _EXPECTED_NAMES, _VAGUE_NAMES)
        if expected is not None:
            reasons["expected"] = "by its name"
            open_names.remove(expected)
    if input is None:
        input = _by_name(open_names, _INPUT_NAMES) or max(
            open_names, key=lambda column: _mean_length(columns[column]), default=None
        )
        if input is None:
            raise TaskError(f"{name} has no field left for the input; it needs one for the input, one for the answer.")
        named = _by_name([input], _INPUT_NAMES) is not None
        reasons["input"] = "by its name" if named else "its texts are the longest"
        open_names.remove(input)
    if expected is None:
        if not open_names:
            raise TaskError(f"{name} has no field for the expected answer; it needs one besides '{input}'.")
        expected = _by_content(open_names, columns)
        reasons["expected"] = "its values look most like answers"
        unsure.append(f"No field is named like an answer; '{expected}' was chosen by its values. Check that.")
        open_names.remove(expected)
    return Fields(input=input, expected=expected, metadata=_metadata(open_names, columns))


def _by_name(columns: Iterable[str], known: Sequence[str], vague: Sequence[str] = ()) -> str | None:
    """The column with the first of the known names, else the first whose last word is one (`ticket_text`).

    `vague` names count only as a whole: a `customer_type` is seldom the answer.
    """
    columns = list(columns)
    for candidate in (*known, *vague):
        for column in columns:
            if column.casefold() == candidate:
                return column
    for column in columns:
        if re.split(r"[\s_\-.]+", column.casefold())[-1] in known:
            return column
    return None


def _by_content(columns: Sequence[str], values: dict[str, list[Any]]) -> str:
    """The last column with few different values, else the last one."""
    few = [column for column in columns if 2 <= len(set(map(str, values[column]))) <= MOST_LABELS]
    return (few or list(columns))[-1]


def _mean_length(values: Sequence[Any]) -> float:
    return sum(len(value) for value in values if isinstance(value, str)) / max(1, len(values))


def _metadata(columns: Iterable[str], values: dict[str, list[Any]]) -> tuple[str, ...]:
    """Columns worth analysing: not reserved, not empty, not a running number or id of every row."""
    kept = []
    for column in columns:
        different = {str(value) for value in values[column] if value not in (None, "")}
        is_id = column.casefold().endswith("id") and len(different) == len(values[column])
        if column not in RESERVED and different and not is_id:
            kept.append(column)
    return tuple(kept)


def _metric(answers: Sequence[Any], reasons: dict[str, str]) -> tuple[MetricSpec, tuple[str, ...]]:
    texts = [str(answer).strip() for answer in answers]
    if all(_is_object(answer) for answer in answers):
        reasons["metric"] = "every answer is a JSON object: the share of its fields that are right"
        return "json", ()
    labels = _labels(texts)
    if labels:
        reasons["metric"] = f"{len(labels)} different short answers among {len(texts)} examples"
        return "label", labels
    if all("####" in text for text in texts):
        reasons["metric"] = "every answer ends in #### and a number"
        return "numeric", ()
    if all(_NUMBER.fullmatch(text) for text in texts):
        decimals = max(len(text.rstrip("% ").partition(".")[2]) for text in texts)
        if decimals == 0:
            reasons["metric"] = "every answer is a whole number"
            return "numeric", ()
        tolerance = 0.5 * 10.0 ** -min(decimals, 6)
        reasons["metric"] = f"every answer is a number; half a unit of its last decimal ({tolerance:g}) is allowed"
        return {"name": "numeric", "tolerance": tolerance}, ()
    if sum(len(text.split()) for text in texts) >= _LONG_ANSWER * len(texts):
        reasons["metric"] = "long answers, compared word by word (a real number from 0 to 1)"
        return "f1", ()
    reasons["metric"] = "short answers, mostly different: compared as a whole, case aside"
    return "exact", ()


def _labels(texts: Sequence[str]) -> tuple[str, ...]:
    """The different answers where they look like labels: few, short, repeated, more than a full stop."""
    labels = found_labels(texts)
    short = all(len(label) <= _LABEL_LENGTH and len(label.split()) <= _LABEL_WORDS for label in labels)
    if not 2 <= len(labels) <= MOST_LABELS or not short or not all(map(normal, labels)):
        return ()
    numbers = all(_NUMBER.fullmatch(label) for label in labels)
    # Few whole numbers, each often (0 and 1, grades), are classes; other numbers are quantities.
    repeats = 10 if numbers else 3
    if len(texts) < repeats * len(labels) or (numbers and not all(label.isdigit() for label in labels)):
        return ()
    return labels


def _is_object(answer: Any) -> bool:
    if isinstance(answer, str) and answer.lstrip().startswith("{"):
        try:
            answer = json.loads(answer)
        except ValueError:
            return False
    return isinstance(answer, dict) and bool(answer)


def _seed_prompt(fields: Fields, metric: AnyMetric, answers: Sequence[Any]) -> str:
    word = re.split(r"[\s_\-.]+", fields.input.casefold())[0]
    noun = word if word in _NOUNS else "text"
    asks = noun in ("question", "query", "problem")
    kind = metric_kind(metric)
    if kind == "label":
        return f"Classify the {noun} as one of: {{labels}}."
    if kind == "json" and _is_object(answers[0]):
        first = answers[0] if isinstance(answers[0], dict) else json.loads(answers[0])
        return f"Read the {noun} and answer with JSON with the fields {', '.join(map(str, first))}."
    if kind == "numeric":
        return f"Answer the {noun} with a number." if asks else f"Read the {noun} and answer with a number."
    return f"Answer the {noun}." if asks else f"Read the {noun} and give the {fields.expected.replace('_', ' ')}."


def _max_tokens(metric: AnyMetric, answers: Sequence[Any]) -> int:
    """An output limit with room: a token for every two bytes of the longest answer, or reasoning before a number."""
    longest = max(len(str(answer).encode()) for answer in answers)
    least = {"label": 16, "numeric": 256}.get(metric_kind(metric), 64)
    return max(least, 16 * math.ceil(min(longest, 8000) / 32))
