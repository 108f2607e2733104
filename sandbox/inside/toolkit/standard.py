"""Many analyses at once, each emitted under its name: the standard ones, and those inside a direction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .agreement import disagreements, flaky, suspicious
from .answers import confusion, label_shares, output_format
from .counting import counts, tested
from .fields import by_cut, by_field, by_label, by_length, by_other_labels
from .literals import one_line
from .pairs import by_field_pairs
from .records import Row, View, booleans, scores_of, with_lengths
from .words import terms

Emit = Callable[[str, Any, str], Any]

MOST_ROWS = 12
"""Rows that `searched` and `within` show of an analysis."""

MOST_PRESET = 100
"""Rows that `preset` gives of an analysis: all there are, so that nothing is chosen."""


def preset(records: pd.DataFrame, emit: Emit, labels: Sequence[str] = ()) -> None:
    """Counts by groups that are fixed before anything is known of what fails: `emit(name, rows, note)` for each of
    these analyses, with every group that there is (of those of most values the first 100)."""
    if not len(records):
        emit("overall", [], "there are no records")
        return
    records = _prepared(records, emit)
    _emitted(
        emit,
        [
            ("overall", lambda: _overall(records), "counts are of the champion's records that have a score"),
            ("by_label", lambda: by_label(records), "failures by expected answer"),
            ("label_shares", lambda: label_shares(records, labels), "how often each label is expected and answered"),
            ("confusion", lambda: confusion(records, labels)[:MOST_ROWS], "what was answered instead"),
            ("output_format", lambda: output_format(records, labels), "the form of the answers"),
            ("by_field", lambda: by_field(records), "failures by metadata field"),
            ("by_length", lambda: by_length(records), "failures by length of the input"),
        ],
        MOST_PRESET,
    )


def searched(records: pd.DataFrame, emit: Emit, labels: Sequence[str] = ()) -> None:
    """The groups that tell most among the very many that there are, and what examples show: at most 12 rows of each.

    What is found so has been chosen for how it fails: only examples that were not looked at can say whether it holds.
    """
    if not len(records):
        return
    records = _prepared(records, emit)
    _emitted(
        emit,
        [
            ("by_other_labels", lambda: by_other_labels(records), "all labels but one"),
            ("by_cut", lambda: by_cut(records), "the best cut of each number"),
            ("by_field_pairs", lambda: by_field_pairs(records), "pairs that fail more often than either half alone"),
            ("terms", lambda: terms(records), "terms that failing inputs hold more often"),
            ("disagreements", lambda: disagreements(records), "examples that only one of two prompts got right"),
            ("flaky", lambda: flaky(records), "same prompt and example, different scores"),
            ("suspicious", lambda: suspicious(records, labels), "every prompt gives the same other answer"),
        ],
    )


def within(records: pd.DataFrame, mask: Any, emit: Emit, labels: Sequence[str] = ()) -> None:
    """What is at work inside a direction: counts inside and outside of `mask`, then the analyses of what it matches.

    `mask` holds one boolean per record, in their order. Predicates of the rows emitted as inside_… are to be joined
    with the direction's own: their counts, those of the others too, are of records inside it. Raises ValueError when
    the mask is of another length.
    """
    matches = booleans(mask if hasattr(mask, "tolist") else np.array(list(mask), dtype=object))
    if len(matches) != len(records):
        raise ValueError(f"the mask has {len(matches)} values for {len(records)} records")
    records = with_lengths(records)
    champion = records["prompt_id"].eq(records["prompt_id"].iloc[0]).to_numpy(dtype=bool) if len(records) else matches
    inside = records[matches & champion]

    def sides() -> list[Row]:
        view = View.of(records[champion])
        here = matches[champion & ~np.isnan(scores_of(records))]
        n, x = counts(view, [here, ~here])
        return tested(view, ["inside", "outside"], [None, None], n, x)

    def wanted() -> list[Row]:
        view = View.of(inside)
        expected = [one_line(value) for value in view.table["expected"].tolist()]
        failures = Counter(name for name, failed in zip(expected, view.failed, strict=True) if failed)
        return [
            {"expected": name, "n": n, "share": round(n / len(expected), 4), "failures": failures[name]}
            for name, n in Counter(expected).most_common()
        ]

    _emitted(
        emit,
        [
            ("counts", sides, "the champion's records inside and outside of the direction"),
            ("inside_expected", wanted, "the most frequent expected answers inside"),
            ("inside_confusion", lambda: confusion(inside, labels), "what was answered instead, inside"),
            ("inside_by_label", lambda: by_label(inside), "inside, against the others inside"),
            ("inside_by_field", lambda: by_field(inside), "inside, against the others inside"),
            ("inside_by_length", lambda: by_length(inside), "inside, against the others inside"),
            ("inside_by_field_pairs", lambda: by_field_pairs(inside), "inside, pairs that add to both halves"),
            ("inside_terms", lambda: terms(inside), "inside, against the others inside"),
            ("inside_output_format", lambda: output_format(inside, labels), "inside, the form of the answers"),
        ],
    )


def _overall(records: pd.DataFrame) -> list[Row]:
    view = View.of(records)
    return [
        {
            "prompt_id": str(records["prompt_id"].iloc[0]),
            "n": len(view.failed),
            "failures": int(view.failed.sum()),
            "rate": round(float(view.failed.mean()), 4) if len(view.failed) else 0.0,
            "prompts": int(records["prompt_id"].nunique()),
            "without_score": int(np.isnan(scores_of(records)).sum()),
        }
    ]


def _emitted(emit: Emit, analyses: Iterable[tuple[str, Callable[[], list[Row]], str]], most: int = MOST_ROWS) -> None:
    """Run each analysis and emit its first rows; one that fails says so and stops nothing."""
    for name, analysis, note in analyses:
        try:
            rows = analysis()
        except Exception as error:
            emit(name, [], one_line(f"failed: {type(error).__name__}: {error}"))
            continue
        if not rows:
            note = "nothing found"
        elif len(rows) > most:
            note = f"{note}; {most} of {len(rows)} rows" if note else f"{most} of {len(rows)} rows"
        emit(name, rows[:most], note)


def _prepared(records: pd.DataFrame, emit: Emit) -> pd.DataFrame:
    try:
        return with_lengths(records)
    except Exception as error:
        emit("lengths", [], one_line(f"failed: {type(error).__name__}: {error}"))
        return records
