"""Untrusted text and values, made harmless: no control characters, no lone surrogates, bounded size and depth."""

from __future__ import annotations

import math
import re
from typing import Any

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"  # noqa: E501
"""For the brackets of a pattern, as are the next two: controls but for tab and line feed, and what reorders or hides
text (bidirectional marks, zero-width, tags). No text from outside keeps them, wherever it goes."""
HALVES = "\ud800-\udfff"
"""Of characters: nothing can store or send them; a terminal is shown them as escapes."""
JOINERS = "\u200c\u200d"
"""Hide as well, but some scripts and emoji are written with them: they stay in data, and go where it is shown."""
_CONTROLS = re.compile(f"[{CONTROLS}{HALVES}]")
DEPTH = 24
_LARGEST = 2**63


def clean(text: str, cap: int | None = None) -> str:
    """The text without terminal sequences, control characters and lone surrogates, `\\r\\n` as `\\n`."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    return text if cap is None or len(text) <= cap else f"{text[: cap - 1]}…"


def clean_value(value: Any, depth: int = DEPTH) -> Any:
    """A parsed JSON value that can be stored, shown and serialised again: finite, cleaned, at most `depth` deep."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth == 0:
        return None
    if isinstance(value, list):
        return [clean_value(each, depth - 1) for each in value]
    return {clean(key): clean_value(each, depth - 1) for key, each in value.items()}
