"""Failures by one thing: the expected answer, a metadata field, the length of the input."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .counting import best_of_kind, tested_groups
from .groups import MOST_VALUES, Group, cut_groups, label_groups, length_field, quarter_groups, value_groups
from .records import FAILS_BELOW, Row, View, metadata_fields

MOST_CUTS = 64
"""Thresholds tried for the best single cut of a number."""


def by_label(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """A group per expected answer, where there are 2 to 100 of them and most occur again."""
    view = View.of(records, prompt_id, threshold)
    return tested_groups(view, label_groups(view.table))


def by_other_labels(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """Of three or more labels all but one, that one which tells most: the mark of a model that keeps giving one
    answer."""
    view = View.of(records, prompt_id, threshold)
    labels = label_groups(view.table)
    if len(labels) < 3:
        return []
    others = [
        Group(g.name.replace("=", " is not ", 1), f"~({g.predicate})", ~g.mask, g.field, "all but one") for g in labels
    ]
    return tested_groups(view, best_of_kind(view, others))


def by_field(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """A group per value of each metadata field with 2 to 20 of them; numbers also cut at quartiles. Fields of free
    text, of one value, or of lists and dictionaries are left out."""
    view = View.of(records, prompt_id, threshold)
    groups: list[Group] = []
    for field in metadata_fields(view.table):
        values = value_groups(view.table, field, MOST_VALUES)
        groups += values
        if len(values) != 2:
            groups += cut_groups(view.table, field, 3)
    return tested_groups(view, groups)


def by_length(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """The quarters of the input's length. In words, or where these hardly vary (one long word, a script without
    spaces) in characters."""
    view = View.of(records, prompt_id, threshold)
    field = length_field(view.table)
    return tested_groups(view, quarter_groups(view.table, field)) if field else []


def by_cut(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """Of each number, the input's length among them, the cut each way that tells most."""
    view = View.of(records, prompt_id, threshold)
    fields = [field for field in metadata_fields(view.table) if len(value_groups(view.table, field, MOST_VALUES)) != 2]
    if length := length_field(view.table):
        fields.append(length)
    groups = [group for field in fields for group in best_of_kind(view, cut_groups(view.table, field, MOST_CUTS))]
    return tested_groups(view, groups)
