"""Values as Python source that is nothing but the value, for predicates, and as a short text, for reading."""

from __future__ import annotations

import ast
import json
import math
from typing import Any

import numpy as np

from .records import is_empty

LONGEST_LITERAL = 120
LONGEST_TEXT = 80


def literal_of(value: Any) -> str | None:
    """Python source that is this value and nothing else; None where there is none or it is too long."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        # JSON's escapes are Python's as long as nothing needs one beyond quotes and backslashes.
        source = json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)
    elif isinstance(value, (bool, int)):
        source = repr(value)
    elif isinstance(value, float) and math.isfinite(value):
        source = repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    else:
        return None
    return source if len(source) <= LONGEST_LITERAL and ast.literal_eval(source) == value else None


def column_of(name: str) -> str | None:
    """Python source of a column of `records`; None where its name has no literal."""
    literal = literal_of(name)
    return None if literal is None else f"records[{literal}]"


def one_line(value: Any) -> str:
    """A value for reading: one line, cut short."""
    text = " ".join(("(none)" if is_empty(value) else str(value)).split())
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def plain(value: Any) -> str:
    """A value as answers are compared: in lower case, without spaces, quotes and stops around it."""
    return str(value).strip().strip(".,:;!\"'`*").casefold()
