"""Metrics over values that an answer spells: numbers and JSON objects."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .example import Example, Score
from .text_metrics import FEEDBACK_LENGTH, normal, quoted, verdict

# A sign counts only where it touches its number and no word or number stands before it: `10-5` holds 10 and 5, and
# the dash of a list item is no minus.
_NUMBER = re.compile(
    r"(?<!\w)(?<!\d\.)(?P<sign>[-+\u2212])?[$€£]?(?P<inner>[-+\u2212])?"
    r"(?P<digits>\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+)?|(?<![\w.])\.\d+)(?P<power>[eE][-+]?\d{1,3}(?!\w))?"
)
_ANSWER_MARK = "####"
_JSON_LENGTH = 100_000
_JSON_TRIES = 100


def last_number(text: str) -> float | None:
    """The last number in `text` (after the last `####` where there is one), or None.

    Thousands separators and currency signs are read over, and so is a percent sign: `12%` is 12.
    """
    tail = text.rpartition(_ANSWER_MARK)[2]
    value: float | None = None
    for match in _NUMBER.finditer(tail):
        digits = match["digits"].replace(",", "") + (match["power"] or "")
        negative = any(sign in ("-", "\u2212") for sign in (match["sign"], match["inner"]))
        value = -float(digits) if negative else float(digits)
    return value if value is not None and math.isfinite(value) else None


def close(got: float, expected: float, tolerance: float = 0.0, relative: float = 0.0) -> bool:
    """Whether two numbers differ by at most `tolerance`, or by at most the share `relative` of the expected one."""
    rounding = 1e-9 * max(1.0, abs(expected))  # 1.03 - 1.02 is a little more than 0.01
    return abs(got - expected) <= max(tolerance, relative * abs(expected)) + rounding


@dataclass(frozen=True)
class Numeric:
    """1 when the last number in the output equals the expected number, give or take `tolerance`.

    `tolerance` is absolute, `relative` a share of the expected number; the wider of the two counts.
    """

    tolerance: float = 0.0
    relative: float = 0.0
    name: str = "numeric"

    def problem(self, expected: Any) -> str:
        """Why `expected` cannot be an expected answer, in words; empty where it can."""
        return "" if last_number(str(expected)) is not None else f"{quoted(expected)} holds no number"

    def __call__(self, output: str, example: Example) -> Score:
        wanted, got = last_number(example.label), last_number(output)
        if wanted is None:
            return verdict(False, f"the expected answer {quoted(example.label)} holds no number")
        if got is None:
            words = f"no number in {quoted(output)}" if output.strip() else "the answer is empty"
            return verdict(False, f"expected {wanted:.12g}, {words}")
        right = close(got, wanted, self.tolerance, self.relative)
        return verdict(right, f"expected {wanted:.12g}, got {got:.12g}")


@dataclass(frozen=True)
class JsonFields:
    """Share of the expected object's fields that the output's last JSON object has right, a real number in [0, 1].

    `fields` limits what is compared. Texts are compared as `exact` does, numbers within `tolerance`.
    """

    fields: tuple[str, ...] = ()
    tolerance: float = 0.0
    name: str = "json"

    def problem(self, expected: Any) -> str:
        """Why `expected` cannot be an expected answer, in words; empty where it can."""
        wanted = _mapping(expected)
        if not wanted:
            return f"{quoted(expected)} is not a JSON object with fields"
        absent = [name for name in self.fields if name not in wanted]
        return f"field {quoted(absent[0])} is not in {quoted(expected)}" if absent else ""

    def __call__(self, output: str, example: Example) -> Score:
        wanted = _mapping(example.expected) or {}
        got = _last_object(output)
        if got is None:
            return Score(0.0, f"no JSON object in {quoted(output)}" if output.strip() else "the answer is empty")
        names = self.fields or tuple(wanted)
        wrong = [name for name in names if name not in got or not self._same(got[name], wanted.get(name))]
        words = "; ".join(
            f"{name}: expected {_spelt(wanted.get(name))}, "
            + (f"got {_spelt(got[name])}" if name in got else "not in the answer")
            for name in wrong
        )
        return Score((len(names) - len(wrong)) / max(1, len(names)), words[:FEEDBACK_LENGTH])

    def _same(self, got: Any, wanted: Any) -> bool:
        if isinstance(got, bool) or isinstance(wanted, bool) or got is None or wanted is None:
            return got is wanted
        if isinstance(got, int | float) and isinstance(wanted, int | float):
            return close(got, wanted, self.tolerance)
        if isinstance(got, Mapping) and isinstance(wanted, Mapping):
            return got.keys() == wanted.keys() and all(self._same(got[key], wanted[key]) for key in wanted)
        if isinstance(got, list) and isinstance(wanted, list | tuple):
            return len(got) == len(wanted) and all(map(self._same, got, wanted))
        return isinstance(got, str) and isinstance(wanted, str) and normal(got) == normal(wanted)


def _spelt(value: Any) -> str:
    """`value` as JSON, so that 5 and "5" look different, without outer quotes of our own."""
    return quoted(json.dumps(value, ensure_ascii=False, default=str), 40)[1:-1]


def _mapping(expected: Any) -> dict[str, Any] | None:
    if isinstance(expected, str):
        try:
            expected = json.loads(expected)
        except ValueError:
            return None
    return dict(expected) if isinstance(expected, Mapping) else None


def _last_object(text: str) -> dict[str, Any] | None:
    """The last JSON object that stands in `text` at top level, or None."""
    text = text[-_JSON_LENGTH:]
    decoder, position, found = json.JSONDecoder(), 0, None
    for _ in range(_JSON_TRIES):
        position = text.find("{", position)
        if position < 0:
            break
        try:
            value, position = decoder.raw_decode(text, position)
            found = value
        except (ValueError, RecursionError):
            position += 1
    return found
