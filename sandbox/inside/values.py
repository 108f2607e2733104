"""Turns what analysis code emits into plain JSON values, cut to size. Runs inside the sandbox."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import pandas as pd

ROWS = 5_000
"""Of a table, a list or a mapping, at most."""
DEPTH = 20
NAME, NOTE = 200, 1_000
"""Characters."""


def finding(name: object, value: object, note: object, room: int) -> bytes | None:
    """`[name, value, note]` as JSON of at most `room` bytes: rows, then the value are left out to fit; else None."""
    converted, remarks = plain(value)
    text = str(note)[:NOTE]
    while True:
        said = "; ".join(part for part in (text, *remarks) if part)
        data = json.dumps([str(name)[:NAME], converted, said], allow_nan=False).encode("ascii")
        if len(data) <= room:
            return data
        if isinstance(converted, list) and len(converted) > 1:
            # By its size, so that this takes one or two rounds; rows are seldom all alike.
            converted = converted[: max(1, min(len(converted) // 2, len(converted) * room // len(data)))]
            remarks = [f"first {len(converted):,} only: too large"]
        elif converted is not None:
            converted, remarks = None, ["left out: too large"]
        else:
            return None


def plain(value: object) -> tuple[Any, list[str]]:
    """The value as None, bool, number, text, list or dict, and remarks on what was left out of it.

    A DataFrame becomes a list of records (its index among them, if it says something), a Series a dict by its index,
    or a list if the index only counts. Not-a-number and infinities become None.
    """
    remarks: list[str] = []
    return _plain(value, DEPTH, remarks), list(dict.fromkeys(remarks))


def _plain(value: Any, depth: int, remarks: list[str]) -> Any:
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer):
        number = int(value)
        return number if -(2**63) <= number < 2**63 else _number(value)
    if isinstance(value, float | np.floating):
        return _number(value)
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if depth == 0:
        remarks.append(f"deeper than {DEPTH} levels: left out")
        return None
    if isinstance(value, pd.DataFrame | pd.Series):
        return _pandas(value, depth, remarks)
    if isinstance(value, Mapping):
        items = [(key, value[key]) for key in _first(value, remarks)]
        return {_key(key): _plain(each, depth - 1, remarks) for key, each in items}
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return _plain(value.item(), depth - 1, remarks)
        return [_plain(each, depth - 1, remarks) for each in _first(value, remarks)]
    if isinstance(value, list | tuple | Set | pd.Index | pd.api.extensions.ExtensionArray):
        return [_plain(each, depth - 1, remarks) for each in _first(value, remarks)]
    return str(value)


def _pandas(value: pd.DataFrame | pd.Series, depth: int, remarks: list[str]) -> Any:
    if len(value) > ROWS:
        remarks.append(f"first {ROWS:,} of {len(value):,} rows")
        value = value.iloc[:ROWS]
    counts = isinstance(value.index, pd.RangeIndex) and value.index.name is None
    if isinstance(value, pd.DataFrame):
        names = [_key(column) for column in value.columns]
        columns = [[_plain(each, depth - 1, remarks) for each in value.iloc[:, at]] for at in range(len(names))]
        if not counts:
            levels = [value.index.get_level_values(at) for at in range(value.index.nlevels)]
            names = [_level(at, level.name, names) for at, level in enumerate(levels)] + names
            columns = [[_plain(each, depth - 1, remarks) for each in level] for level in levels] + columns
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    items = [_plain(each, depth - 1, remarks) for each in value]
    if counts:
        return items
    keys = [_key(key) for key in value.index]
    if len(set(keys)) == len(keys):
        return dict(zip(keys, items, strict=True))
    return [{"index": key, "value": item} for key, item in zip(keys, items, strict=True)]


def _level(at: int, name: object, taken: list[str]) -> str:
    """What an index level is called among the columns."""
    text = _key(name) if name is not None else "index" if at == 0 else f"index {at}"
    return f"{text} (index)" if text in taken else text


def _first(values: Any, remarks: list[str]) -> Any:
    if len(values) <= ROWS:
        return values
    remarks.append(f"first {ROWS:,} of {len(values):,}")
    return [value for value, _ in zip(values, range(ROWS), strict=False)]


def _key(key: object) -> str:
    return " / ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
