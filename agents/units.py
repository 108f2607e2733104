"""The units of a text that are edited one at a time: words, phrases, sentences, or the whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ..tasks.prompt import PLACEHOLDER

Granularity = Literal["word", "phrase", "sentence", "whole"]

MOST_UNITS = 400
"""A text of more units than this is divided more coarsely: their weights are part of a run's state."""

BREAKS: dict[Granularity, re.Pattern[str]] = {
    "word": re.compile(r"\s+"),
    "phrase": re.compile(r"(?<=[.!?,;:])\s+|\n+"),
    "sentence": re.compile(r"(?<=[.!?])\s+|\n+"),
    "whole": re.compile(r"(?!)"),
}
MARKER = re.compile(r"(?:[-*•]|\d+[.)])\s+")
"""What a list item begins with: no part of its sentence."""

HEADING = re.compile(r"#+\s.*|\*\*[^*]+\*\*:?|[^.!?]{0,60}:")


@dataclass(frozen=True)
class Unit:
    """A stretch of a text: text[start:end]."""

    start: int
    end: int
    text: str


def units(text: str, granularity: Granularity, locked: Sequence[str] = ()) -> list[Unit]:
    """The units that may be edited, in order: no headings, no lone placeholders, nothing that touches a locked text."""
    order = get_args(Granularity)
    for coarser in order[order.index(granularity) :]:
        found = [unit for unit in _divided(text, coarser) if not _fixed(unit, text, coarser, locked)]
        if len(found) <= MOST_UNITS:
            return found
    return []


def replaced(text: str, unit: Unit, new: str) -> str:
    """The text with another one in the unit's place."""
    return text[: unit.start] + new + text[unit.end :]


def _divided(text: str, granularity: Granularity) -> list[Unit]:
    found: list[Unit] = []
    start = 0
    ends = [(m.start(), m.end()) for m in BREAKS[granularity].finditer(text)] + [(len(text), len(text))]
    for end, after in ends:
        part = text[start:end]
        begin = start + len(part) - len(part.lstrip())
        marker = MARKER.match(part.lstrip()) if granularity != "whole" else None
        begin += marker.end() if marker else 0
        stop = start + len(part.rstrip())
        if begin < stop:
            found.append(Unit(begin, stop, text[begin:stop]))
        start = after
    return found


def _fixed(unit: Unit, text: str, granularity: Granularity, locked: Sequence[str]) -> bool:
    if granularity != "whole" and _in_heading(unit, text):
        return True
    if PLACEHOLDER.fullmatch(unit.text.strip(".,;:")) or not re.search(r"[^\W\d_]", unit.text):  # a list's number
        return True
    places = [(m.start(), m.end()) for kept in locked for m in re.finditer(re.escape(kept), text)]
    return any(start < unit.end and unit.start < end for start, end in places)


def _in_heading(unit: Unit, text: str) -> bool:
    """Whether the line that the unit begins in is a heading."""
    start = text.rfind("\n", 0, unit.start) + 1
    end = text.find("\n", unit.start)
    line = text[start : end if end >= 0 else len(text)].strip()
    return bool(HEADING.fullmatch(line))
