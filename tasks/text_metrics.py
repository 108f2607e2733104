"""Metrics over text: exact, label, contains, regex and token F1."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from .example import Example, Score

FEEDBACK_LENGTH = 300
PATTERN_LENGTH = 10_000
"""Longest output that a regular expression is tried on: most slow patterns are slow in the length of the text."""


def normal(text: str) -> str:
    """`text` without regard to case, outer space, runs of white space and one final full stop."""
    folded = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return folded.removesuffix(".").rstrip()


def quoted(value: object, length: int = 80) -> str:
    """`value` in quotes on one line, its middle left out where it is longer than `length`."""
    text = " ".join(str(value).split())
    if len(text) > length:
        head = (length - 3) * 2 // 3
        text = f"{text[:head]}...{text[-(length - 3 - head) :]}"
    return f"'{text}'"


def expected_but(expected: object, output: str) -> str:
    """The usual feedback for a wrong answer."""
    return f"expected {quoted(expected)}, got {quoted(output)}" if output.strip() else "the answer is empty"


def verdict(right: bool, feedback: str) -> Score:
    """Score 1 without words, or 0 with (at most `FEEDBACK_LENGTH` characters of) feedback."""
    return Score(1.0) if right else Score(0.0, feedback[:FEEDBACK_LENGTH])


@dataclass(frozen=True)
class Exact:
    """1 when output and expected answer are the same but for case, white space and a final full stop."""

    name: str = "exact"

    def __call__(self, output: str, example: Example) -> Score:
        if normal(output) == normal(example.label):
            return Score(1.0)
        return verdict(False, expected_but(example.label, output))


@dataclass(frozen=True)
class Label:
    """1 when the one label that the output names, as a whole word in any case, is the expected one.

    No label, or several different ones, score 0. `take="last"` reads the last label named instead, for answers
    that reason first. A label inside a longer one (`refund` in `refund request`) does not count as named.
    """

    labels: tuple[str, ...]
    take: Literal["only", "last"] = "only"
    name: str = "label"

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted({normal(label) for label in self.labels}, key=len, reverse=True)
        return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")

    @cached_property
    def _bare(self) -> dict[str, str]:
        """Labels without their outer punctuation, where that is unambiguous: `A` for `(A)`."""
        bare = [(_stripped(label), normal(label)) for label in {normal(label): label for label in self.labels}.values()]
        counts = Counter(key for key, _ in bare)
        return {key: label for key, label in bare if key and counts[key] == 1}

    def named(self, output: str) -> list[str]:
        """The different labels that `output` names, normalised, in order of their last appearance."""
        whole = self._bare.get(_stripped(output))
        if whole is not None:
            return [whole]
        found = self._pattern.findall(normal(output))
        return list(dict.fromkeys(reversed(found)))[::-1]

    def problem(self, expected: Any) -> str:
        """Why `expected` cannot be an expected answer, in words; empty where it can."""
        known = normal(str(expected)) in {normal(label) for label in self.labels}
        return "" if known else f"{quoted(expected)} is none of the labels"

    def __call__(self, output: str, example: Example) -> Score:
        named = self.named(output)
        if not named:
            words = f"got {quoted(output)}, which names no label" if output.strip() else "the answer is empty"
            return verdict(False, f"expected {quoted(example.label)}, {words}")
        if len(named) > 1 and self.take == "only":
            listed = ", ".join(quoted(label, 30) for label in named[:5])
            return verdict(False, f"expected {quoted(example.label)} alone, the answer names {listed}")
        if named[-1] == normal(example.label):
            return Score(1.0)
        return verdict(False, f"expected {quoted(example.label)}, got {quoted(named[-1])}")


def _stripped(text: str) -> str:
    return normal(text).strip(" .,;:!?\"'`*_()[]{}<>")


@dataclass(frozen=True)
class Contains:
    """1 when the expected text stands somewhere in the output (case and white space aside)."""

    name: str = "contains"

    def __call__(self, output: str, example: Example) -> Score:
        right = normal(example.label) in normal(output)
        words = f"{quoted(example.label)} does not occur in {quoted(output)}"
        return verdict(right, words if output.strip() else "the answer is empty")


@dataclass(frozen=True)
class Regex:
    """1 when a regular expression is found in the output.

    Without `pattern` the expected answer is the expression. With a `pattern` that has a group, the group's last
    match must equal the expected answer (as `exact` compares); with one that has none, being found is enough.
    """

    pattern: str | None = None
    ignore_case: bool = False
    name: str = "regex"

    def problem(self, expected: Any) -> str:
        """Why `expected` cannot be an expected answer, in words; empty where it can."""
        if self.pattern is not None:
            return ""
        try:
            re.compile(str(expected))
        except re.error as error:
            return f"{quoted(expected)} is not a regular expression: {error}"
        return ""

    def __call__(self, output: str, example: Example) -> Score:
        if len(output) > PATTERN_LENGTH:
            return verdict(False, f"the answer has {len(output)} characters; at most {PATTERN_LENGTH} are searched")
        compiled = re.compile(self.pattern or example.label, re.IGNORECASE if self.ignore_case else 0)
        matches = list(compiled.finditer(output))
        if not matches:
            return verdict(False, f"{quoted(compiled.pattern)} is not found in {quoted(output)}")
        if self.pattern is None or compiled.groups == 0:
            return Score(1.0)
        got = next((group for group in matches[-1].groups() if group is not None), "")
        return verdict(normal(got) == normal(example.label), expected_but(example.label, got))


@dataclass(frozen=True)
class TokenF1:
    """Harmonic mean of precision and recall over words (case and punctuation aside), a real number in [0, 1]."""

    name: str = "f1"

    def __call__(self, output: str, example: Example) -> Score:
        wanted, got = Counter(_words(example.label)), Counter(_words(output))
        if wanted == got:
            return Score(1.0)
        missing, surplus = wanted - got, got - wanted
        value = 2 * (wanted & got).total() / (wanted.total() + got.total())
        parts = [f"lacks {quoted(' '.join(missing))}"] if missing else []
        parts += [f"has besides {quoted(' '.join(surplus))}"] if surplus else []
        return Score(value, ("the answer " + " and ".join(parts))[:FEEDBACK_LENGTH])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold())
