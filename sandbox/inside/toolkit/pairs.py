"""Failures by two fields together, where that says more than either alone."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from .counting import tested, z_scores
from .groups import MIN_N, MOST_VALUES, cut_groups, label_groups, length_field, value_groups
from .records import FAILS_BELOW, Row, View, metadata_fields

PAIR_CUTS = 16
"""Thresholds of each number that are combined with other fields."""

ADDS = 2.326
"""A pair must fail more often than either half of it without the other, by this many standard errors (1 %)."""


def by_field_pairs(
    records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW, min_n: int = MIN_N
) -> list[Row]:
    """Pairs of values of two fields, the expected answer and the input's length among them, of at least `min_n` rows.

    Only pairs that add to both halves: they fail clearly more often than either half without the other. Of
    all cuts of a number that make a pair the best is listed.
    """
    view = View.of(records, prompt_id, threshold)
    table = view.table
    groups = label_groups(table)
    for field in metadata_fields(table):
        values = value_groups(table, field, MOST_VALUES)
        groups += values if len(values) == 2 else values + cut_groups(table, field, PAIR_CUTS)
    length = length_field(table)
    groups += cut_groups(table, length, PAIR_CUTS) if length else []
    groups = [group for group in groups if group.mask.sum() >= min_n]
    if len(groups) < 2:
        return []

    # Counts of up to 2**24 are exact in this precision, and the product of two masks is fast in it.
    masks = np.array([group.mask for group in groups], dtype=np.float32)
    n = (masks @ masks.T).astype(np.int64)
    x = ((masks * view.failed) @ masks.T).astype(np.int64)
    alone_n, alone_x = np.diag(n), np.diag(x)
    first = z_scores(n, x, alone_n[:, None] - n, alone_x[:, None] - x)
    second = z_scores(n, x, alone_n[None, :] - n, alone_x[None, :] - x)
    fields = np.array([group.field for group in groups])
    fit = (first >= ADDS) & (second >= ADDS) & (n >= min_n) & (fields[:, None] != fields[None, :])
    left, right = (side.tolist() for side in np.nonzero(np.triu(fit, 1)))
    if not left:
        return []

    n, x = n[left, right], x[left, right]
    z = z_scores(n, x, len(view.failed) - n, int(view.failed.sum()) - x)
    best: dict[Hashable, int] = {}
    for at in np.argsort(-z, kind="stable").tolist():
        a, b = groups[left[at]], groups[right[at]]
        best.setdefault((a.field, a.kind, b.field, b.kind), at)
    kept = list(best.values())
    pairs = [(groups[left[at]], groups[right[at]]) for at in kept]
    names = [f"{a.name} & {b.name}" for a, b in pairs]
    return tested(view, names, [f"{a.predicate} & {b.predicate}" for a, b in pairs], n[kept], x[kept])
