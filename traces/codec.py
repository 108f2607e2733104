"""Between the rows of `rows` and the columns of `tables`: ids packed into bytes, mappings into JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

import sqlalchemy as sa

from . import tables
from .rows import (
    Action,
    Answer,
    Call,
    CodeRun,
    Decision,
    Hypothesis,
    Record,
    Round,
    Run,
    ScheduleRow,
    StoredPrompt,
    TestUse,
    Turn,
)

R = TypeVar("R")

TABLES: dict[type[Any], sa.Table] = {
    Run: tables.runs,
    Answer: tables.answers,
    Call: tables.calls,
    StoredPrompt: tables.prompts,
    Record: tables.records,
    Decision: tables.decisions,
    Turn: tables.turns,
    Hypothesis: tables.hypotheses,
    CodeRun: tables.code_runs,
    Round: tables.rounds,
    Action: tables.actions,
    TestUse: tables.test_uses,
    ScheduleRow: tables.schedules,
}

_TEXT, _HEX, _UUID = b"\x00", b"\x01", b"\x02"


@lru_cache(maxsize=8192)
def pack(identifier: str) -> bytes:
    """An id as bytes: half the length for hexadecimal digests, 17 bytes for a UUID, UTF-8 for anything else.

    The first byte says which, so that every text comes back as it was.
    """
    try:
        raw = bytes.fromhex(identifier)
        if raw.hex() == identifier:
            return _HEX + raw
    except ValueError:
        pass
    if len(identifier) == 36:
        try:
            raw = bytes.fromhex(identifier.replace("-", ""))
            if _uuid(raw) == identifier:
                return _UUID + raw
        except ValueError:
            pass
    return _TEXT + identifier.encode()


@lru_cache(maxsize=8192)
def unpack(data: bytes) -> str:
    """The id that `pack` made bytes of."""
    kind, raw = data[:1], data[1:]
    if kind == _HEX:
        return raw.hex()
    return _uuid(raw) if kind == _UUID else raw.decode()


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _text(value: str) -> str:
    # Half of a surrogate pair, as a model's broken escape gives, is no text that a database takes.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _dump(value: Any) -> str:
    return _text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _same(value: Any) -> Any:
    return value


def _kind(column: sa.Column[Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """How a column's values are stored and read. Numbers are converted because numpy's are not accepted."""
    match column.type:
        case sa.LargeBinary():
            return pack, unpack
        case tables.JsonTuple():
            return _dump, tuple_of
        case tables.Json():
            return _dump, json.loads
        case sa.Boolean():
            return bool, bool
        case sa.Integer():
            return int, _same
        case sa.Double():
            return float, _same
        case _:
            return _text, _same


def tuple_of(text: str) -> tuple[Any, ...]:
    """A JSON list as a tuple."""
    return tuple(json.loads(text))


def _columns(row_type: type[Any]) -> list[tuple[sa.Column[Any], Callable[[Any], Any], Callable[[Any], Any]]]:
    table = TABLES[row_type]
    return [(table.c[f.name], *_kind(table.c[f.name])) for f in fields(row_type)]


_NAMES = {t: [f.name for f in fields(t)] for t in TABLES}
_VALUES = {t: attrgetter(*names) for t, names in _NAMES.items()}
_ENCODERS = {t: [(store, not c.primary_key) for c, store, _ in _columns(t)] for t in TABLES}
_DECODERS = {t: [(i, read) for i, (_, _, read) in enumerate(_columns(t)) if read is not _same] for t in TABLES}
COLUMNS = {t: [c for c, _, _ in _columns(t)] for t in TABLES}
"""The columns to select for each kind of row, in the order that `decode` expects."""


def encode(row: object) -> tuple[Any, ...]:
    """The row's values in the order of the table's columns, ready to be written.

    Raises TypeError naming the field when a value cannot be stored, so that it is found where it came from.
    """
    row_type = type(row)
    values = _VALUES[row_type](row)
    try:
        return tuple(
            [
                None if value is None and optional else store(value)
                for value, (store, optional) in zip(values, _ENCODERS[row_type], strict=True)
            ]
        )
    except (TypeError, ValueError, AttributeError, OverflowError):
        for name, value, (store, optional) in zip(_NAMES[row_type], values, _ENCODERS[row_type], strict=True):
            try:
                assert (value is None and optional) or store(value) is not None
            except (TypeError, ValueError, AttributeError, OverflowError) as error:
                raise TypeError(f"{row_type.__name__}.{name} cannot be stored: {value!r} ({error})") from error
        raise


def encode_by_name(row: object) -> dict[str, Any]:
    """`encode`, by the columns' names."""
    return dict(zip(_NAMES[type(row)], encode(row), strict=True))


def decode(row_type: type[R], found: Iterable[Any]) -> list[R]:
    """Rows from the result of a selection of `COLUMNS[row_type]`."""
    decoders = _DECODERS[row_type]
    rows: list[R] = []
    for columns in found:
        values = list(columns)
        for index, read in decoders:
            if values[index] is not None:
                values[index] = read(values[index])
        rows.append(row_type(*values))
    return rows
