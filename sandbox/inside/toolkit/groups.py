"""Groups of the records: by value, by cut or quarter of a number, by expected answer."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from .literals import column_of, literal_of, one_line
from .records import booleans, distinct_values

MIN_N = 5
"""Smaller groups are not worth a rule: no cuts, pairs or terms below it."""

MOST_VALUES = 20
"""A field with more distinct values is no category."""

MOST_LABELS = 100


class Group(NamedTuple):
    """Some of a view's rows. Of groups of one `kind` (all cuts of a field that go one way) the best will do."""

    name: str
    predicate: str
    mask: np.ndarray
    field: str
    kind: str


def value_groups(table: pd.DataFrame, field: str, most: int) -> list[Group]:
    """One group per value of a column, and one for the rows without; none for free text or a constant."""
    column, values = column_of(field), table[field]
    distinct = distinct_values(values)
    if column is None or distinct is None or len(distinct) > most:
        return []
    groups = []
    for value in distinct:
        literal = literal_of(value)
        if literal is not None:
            predicate = f"{column}.eq({literal})"
            groups.append(Group(f"{field}={one_line(value)}", predicate, booleans(values.eq(value)), field, predicate))
    gaps = values.isna().to_numpy(dtype=bool)
    if gaps.any():
        groups.append(Group(f"{field} is empty", f"{column}.isna()", gaps, field, "empty"))
    return groups if len(groups) > 1 else []


def label_groups(table: pd.DataFrame) -> list[Group]:
    """One group per expected answer, unless most occur once: then they are no labels."""
    return value_groups(table, "expected", min(MOST_LABELS, len(table) // 2))


def numbers_of(table: pd.DataFrame, field: str) -> np.ndarray | None:
    """A column as floats, NaN for its gaps; None where it does not hold numbers."""
    values = table[field]
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return None
    if pd.api.types.is_complex_dtype(values):
        return None
    return values.to_numpy(dtype=float, na_value=np.nan)


def thresholds(numbers: np.ndarray, most: int) -> list[float]:
    """At most `most` thresholds that divide the numbers in two, all there are or evenly spread quantiles.

    Each has as few digits as still divide the numbers in the same place.
    """
    finite = np.sort(numbers[np.isfinite(numbers)])
    if not len(finite):
        return []
    distinct = np.unique(finite)
    picked = np.arange(1, len(distinct))
    if len(picked) > most:
        at = np.linspace(0, len(finite) - 1, most + 2).round().astype(int)[1:-1]
        picked = np.unique(np.searchsorted(distinct, finite[at]))
        picked = picked[picked > 0]
    return [_short(*pair) for pair in zip(distinct[picked - 1].tolist(), distinct[picked].tolist(), strict=True)]


def _short(below: float, value: float) -> float:
    """The number of fewest decimals above `below` and up to `value`."""
    for decimals in range(7):
        short = round(value, decimals)
        if below < short <= value:
            return short
    return value


def cut_groups(table: pd.DataFrame, field: str, most: int) -> list[Group]:
    """Groups of at least MIN_N rows at or above, and below, each of at most `most` thresholds of a number."""
    numbers, column = numbers_of(table, field), column_of(field)
    if numbers is None or column is None:
        return []
    groups = []
    for threshold in thresholds(numbers, most):
        for sign, mask in ((">=", numbers >= threshold), ("<", numbers < threshold)):
            literal = literal_of(threshold)
            if literal is not None and mask.sum() >= MIN_N:
                name = f"{field} {sign} {literal}"
                groups.append(Group(name, f"({column} {sign} {literal})", mask, field, sign))
    return groups


def quarter_groups(table: pd.DataFrame, field: str) -> list[Group]:
    """The rows below, between and above the quartiles of a number."""
    numbers, column = numbers_of(table, field), column_of(field)
    if numbers is None or column is None:
        return []
    edges = thresholds(numbers, 3)
    if not edges:
        return []
    first, last = literal_of(edges[0]), literal_of(edges[-1])
    groups = [Group(f"{field} < {first}", f"({column} < {first})", numbers < edges[0], field, "quarter")]
    for low, high in itertools.pairwise(edges):
        below, above = literal_of(low), literal_of(high)
        predicate = f"({column} >= {below}) & ({column} < {above})"
        mask = (numbers >= low) & (numbers < high)
        groups.append(Group(f"{below} <= {field} < {above}", predicate, mask, field, "quarter"))
    groups.append(Group(f"{field} >= {last}", f"({column} >= {last})", numbers >= edges[-1], field, "quarter"))
    return groups


def length_field(table: pd.DataFrame) -> str | None:
    """The column that tells inputs' lengths best."""
    for field, least in (("n_words", 5), ("n_chars", 2)):
        numbers = numbers_of(table, field) if field in table.columns else None
        if numbers is not None and len(np.unique(numbers)) >= least:
            return field
    return None
