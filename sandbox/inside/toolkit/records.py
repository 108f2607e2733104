"""The records that analyses look at, whatever is in them: scores, gaps, metadata fields, one prompt's answers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Row = dict[str, Any]
"""A row of what an analysis gives: plain values by name."""

RECORD = ("prompt_id", "example_id", "repeat", "input", "output", "expected", "score", "missing", "feedback", "tokens")

COLUMNS = frozenset((*RECORD, "n_words", "n_chars"))
"""Columns that are not metadata."""

FAILS_BELOW = 0.5
"""An answer of a lower score fails."""


class View(NamedTuple):
    """The champion's answers that have a score, renumbered, and which of them fail."""

    table: pd.DataFrame
    failed: np.ndarray

    @classmethod
    def of(cls, records: pd.DataFrame, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> View:
        """Those of the first row's prompt, or of `prompt_id`; of repeats the first. Scores below `threshold` fail."""
        table = records
        if len(table) and "prompt_id" in table.columns:
            table = table[table["prompt_id"].eq(table["prompt_id"].iloc[0] if prompt_id is None else prompt_id)]
        if {"example_id", "repeat"} <= set(table.columns):  # a repeat says nothing about other examples
            table = table.sort_values("repeat", kind="stable").drop_duplicates("example_id").sort_index()
        scores = scores_of(table)
        scored = ~np.isnan(scores)
        return cls(with_lengths(table[scored].reset_index(drop=True)), scores[scored] < threshold)


def with_lengths(records: pd.DataFrame) -> pd.DataFrame:
    """`records` with the input's length in words and characters as n_words and n_chars; existing ones stay."""
    absent = [name for name in ("n_words", "n_chars") if name not in records.columns]
    if not absent or "input" not in records.columns:
        return records
    texts = ["" if is_empty(value) else str(value) for value in records["input"].tolist()]
    lengths = {"n_words": [len(text.split()) for text in texts], "n_chars": [len(text) for text in texts]}
    return records.assign(**{name: np.asarray(lengths[name], dtype=np.int64) for name in absent})


def scores_of(records: pd.DataFrame) -> np.ndarray:
    """Scores as floats, NaN where there is none."""
    numbers: Any = pd.to_numeric(records["score"], errors="coerce")
    scores = numbers.to_numpy(dtype=float, na_value=np.nan, copy=True)
    if "missing" in records.columns:
        scores[booleans(records["missing"].eq(True))] = np.nan
    return scores


def booleans(values: Any) -> np.ndarray:
    """A mask without gaps: what is neither true nor false does not match."""
    if values.dtype == bool:
        return np.asarray(values, dtype=bool)
    return np.array([value is True or value is np.True_ for value in values.tolist()], dtype=bool)


def is_empty(value: Any) -> bool:
    """Whether a value is None, NA or NaN."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def metadata_fields(table: pd.DataFrame) -> list[str]:
    """Metadata fields; two columns of one name can't be told apart and are left out."""
    names = table.columns[~table.columns.duplicated(keep=False)]
    return [name for name in names if isinstance(name, str) and name not in COLUMNS]


def distinct_values(values: pd.Series) -> list[Any] | None:
    """Distinct values but the empty ones, in order of appearance; None when they can't be told apart."""
    try:
        return list(values.dropna().unique())
    except TypeError:  # lists and dictionaries
        return None
