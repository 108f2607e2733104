"""What was answered: the form of the answers, what came instead of the right one, and how often each label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from .counting import tested_groups
from .groups import MOST_LABELS, Group
from .literals import literal_of, one_line, plain
from .records import FAILS_BELOW, Row, View, booleans, is_empty


def output_format(
    records: pd.DataFrame, labels: Sequence[str] = (), *, prompt_id: Any = None, threshold: float = FAILS_BELOW
) -> list[Row]:
    """Answers whose form is off: empty, none of the `labels` word for word, a label amid other text, longer than any
    expected answer, of several lines where no expected answer is, or ending in a stop where none does. Every group is
    named `output …`: a fix of the form, and no rule about inputs, is what it asks for."""
    view = View.of(records, prompt_id, threshold)
    outputs = view.table["output"]
    if not any(isinstance(value, str) for value in outputs.tolist()):
        return []
    column, bare, texts = 'records["output"]', 'records["output"].str.strip()', outputs.str.strip()
    groups = [Group("output is empty", f'{bare}.eq("")', booleans(texts.eq("")), "output", "")]
    if outputs.isna().any():
        groups.append(Group("output is missing", f"{column}.isna()", outputs.isna().to_numpy(dtype=bool), "output", ""))
    known = [str(label) for label in labels]
    literals = [literal for literal in map(literal_of, known) if literal is not None]
    if known and len(literals) == len(known):
        off, off_mask = f"~{bare}.isin([{', '.join(literals)}])", ~booleans(texts.isin(known))
        groups.append(Group("output is none of the labels word for word", off, off_mask, "output", ""))
        pattern = "|".join(map(_as_word, known))
        amid = booleans(outputs.str.contains(pattern, case=False)) & off_mask
        predicate = f"{off} & {column}.str.contains({pattern!r}, case=False)"
        groups.append(Group("output holds a label amid other text", predicate, amid, "output", ""))
    expected = [str(value).strip() for value in view.table["expected"].tolist() if not is_empty(value)]
    if expected:
        longest, most = max(map(len, expected)), max(len(text.split()) for text in expected)
        name, predicate = (
            f"output is longer than any expected ({longest} characters)",
            f"({column}.str.len() > {longest})",
        )
        groups.append(Group(name, predicate, booleans(outputs.str.len() > longest), "output", ""))
        name, predicate = (
            f"output has more words than any expected ({most})",
            f'({bare}.str.count(" +") >= {max(most, 1)})',
        )
        groups.append(Group(name, predicate, booleans(texts.str.count(" +") >= max(most, 1)), "output", ""))
        if not any("\n" in text for text in expected):
            lines = booleans(texts.str.contains("\n", regex=False))
            groups.append(
                Group("output has several lines", f'{bare}.str.contains("\\n", regex=False)', lines, "output", "")
            )
        if not any(text.endswith(".") for text in expected):
            stop = booleans(texts.str.endswith("."))
            groups.append(Group("output ends in a stop", f'{bare}.str.endswith(".")', stop, "output", ""))
    return tested_groups(view, groups)


def _as_word(label: str) -> str:
    """A pattern that finds a label, but not inside a longer word; for Python's and for Arrow's engine."""
    start = r"\b" if re.match(r"\w", label) else ""
    return start + re.escape(label) + (r"\b" if re.search(r"\w$", label) else "")


def _answers(values: Iterable[Any], labels: Sequence[str]) -> list[str]:
    """Answers as labels where `labels` are known, however they are cased or punctuated; else their stripped text."""
    names = {plain(label): str(label) for label in labels}
    cache: dict[str, str] = {}
    answers = []
    for value in values:
        text = "" if is_empty(value) else str(value)
        if text not in cache:
            bare = text.strip()
            cache[text] = names.get(plain(text), "(no label)") if names else one_line(bare) if bare else "(empty)"
        answers.append(cache[text])
    return answers


def confusion(
    records: pd.DataFrame, labels: Sequence[str] = (), *, prompt_id: Any = None, threshold: float = FAILS_BELOW
) -> list[Row]:
    """What the champion answered instead: rows {expected, output, n, share}, the most frequent first.

    `share` is of all its records with this expected answer. Without `labels` only what occurs twice is listed.
    """
    view = View.of(records, prompt_id, threshold)
    expected = [one_line(value) for value in view.table["expected"].tolist()]
    answers = _answers(view.table["output"].tolist(), labels)
    totals = Counter(expected)
    pairs = Counter(
        pair for pair, failed in zip(zip(expected, answers, strict=True), view.failed, strict=True) if failed
    )
    rows = [
        {"expected": want, "output": got, "n": n, "share": round(n / totals[want], 4)}
        for (want, got), n in pairs.items()
        if n > 1 or labels
    ]
    return sorted(rows, key=lambda row: (-row["n"], row["expected"], row["output"]))


def label_shares(records: pd.DataFrame, labels: Sequence[str] = (), *, prompt_id: Any = None) -> list[Row]:
    """How often each label is expected and how often answered, rows {label, expected, answered, excess} with counts,
    the most over-used first. Nothing when the answers are no labels."""
    view = View.of(records, prompt_id)
    wanted = [one_line(value) for value in view.table["expected"].tolist()]
    known = [one_line(label) for label in labels] or sorted(set(wanted))
    if not 2 <= len(known) <= MOST_LABELS or not (labels or 2 * len(known) <= len(wanted)):
        return []
    given, expected = Counter(_answers(view.table["output"].tolist(), known)), Counter(wanted)
    rows = [{"label": name, "expected": expected[name], "answered": given[name]} for name in [*known, "(no label)"]]
    rows = [{**row, "excess": row["answered"] - row["expected"]} for row in rows if row["expected"] or row["answered"]]
    return sorted(rows, key=lambda row: -row["excess"])
