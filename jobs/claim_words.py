"""What a diagnosis supposes, in plain words: the groups that the standard analyses name, and our own counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .output import counted, one_line

STANDARD = "standard analyses"
"""The source of a hypothesis that our own analyses made; every other source is a model, and quoted."""

CLAIM = 160
"""Characters of an agent's claim, or of a group's name, on one line."""

_FAILS_MORE = re.compile(r": fails? more often than the others\.?$")
_BETWEEN = re.compile(r"(?P<low>\S+) <= (?P<field>.+) < (?P<high>\S+)")
_VALUE = re.compile(r"(?P<field>[^=<>]+)=(?P<value>.*)")
_CUT = re.compile(r"(?P<field>.+) (?P<sign>>=|<) (?P<edge>\S+)")
_NOT = re.compile(r"expected is not (?P<value>.*)")
_EMPTY = re.compile(r"(?P<field>.+) is empty")
_LENGTHS = {"n_words": "words", "n_chars": "characters"}
_FORMS = (
    (r"output is empty", "empty answers"),
    (r"output is missing", "missing answers"),
    (r"output is none of the labels word for word", "answers that are no label word for word"),
    (r"output holds a label amid other text", "answers that hold a label amid other text"),
    (
        r"output is longer than any expected \((\d+) characters\)",
        r"answers longer than any right answer (\1 characters)",
    ),
    (r"output has more words than any expected \((\d+)\)", r"answers of more words than any right answer (\1)"),
    (r"output has several lines", "answers of several lines"),
    (r"output ends in a stop", "answers that end in a full stop"),
)


def claim_words(claim: str, source: str) -> str:
    """Which examples a hypothesis is about: in plain words where our own analyses made it, else as its author put it.

    >>> claim_words("channel=phone & n_words >= 36: fails more often than the others", "standard analyses")
    'inputs with channel = phone and of 36 words or more'
    """
    if source != STANDARD:
        return f"“{one_line(claim, CLAIM).rstrip('.')}”"  # claims often hold straight quotes themselves
    return one_line(_group(_FAILS_MORE.sub("", one_line(claim, None))), CLAIM)


def fail_words(claim: str, source: str, counts: Mapping[str, Any]) -> str:
    """The finding in one sentence: which examples fail how often, against how many of the others.

    `counts` holds n, rate and other_rate, as our own code counted them; n is 0 where nothing was counted.
    """
    about, n = claim_words(claim, source), counts["n"]
    if not n:
        return f"{about} (nothing was counted)"
    those = "" if source == STANDARD else ": these"
    often, others = often_words(counts["rate"]), percent(counts["other_rate"])
    return f"{about}{those} {often} against {others} of the others ({counted(n, 'example')})"


def often_words(rate: float) -> str:
    """`fail 79 %`; `always fail` where all do."""
    return "always fail" if rate >= 1 else f"fail {percent(rate)}"


def percent(share: float) -> str:
    """`79 %`."""
    return f"{100 * share:.0f} %"


def _group(name: str) -> str:
    for pattern, words in _FORMS:
        found = re.fullmatch(pattern, name)
        if found:
            return found.expand(words)
    parts = [_condition(part) for part in name.split(" & ")]
    if len(parts) < 2 or not all(parts):
        parts = [_condition(name)]  # also where a value holds a " & " of its own
    if not parts[0]:
        return f'inputs that hold "{name}"'
    return "inputs " + " and ".join(part for part in parts if part)


def _condition(text: str) -> str | None:
    """What inputs of a group are like; None where the text names no field."""
    between, value, cut, empty = (pattern.fullmatch(text) for pattern in (_BETWEEN, _VALUE, _CUT, _EMPTY))
    other = _NOT.fullmatch(text)
    if other:
        return f"whose right answer is not {other['value']}"
    if between and not value:
        low, field, high = between["low"], between["field"], between["high"]
        if field in _LENGTHS and high.isdigit():
            return f"of {low} to {int(high) - 1} {_LENGTHS[field]}"
        return f"with {field} from {low} to below {high}"
    if value:
        field = value["field"]
        return f"whose right answer is {value['value']}" if field == "expected" else f"with {field} = {value['value']}"
    if cut:
        field, edge = cut["field"], cut["edge"]
        below = cut["sign"] == "<"
        if field in _LENGTHS:
            return f"of fewer than {edge} {_LENGTHS[field]}" if below else f"of {edge} {_LENGTHS[field]} or more"
        return f"with {field} {'below' if below else 'of at least'} {edge}"
    return f"without {empty['field']}" if empty else None
