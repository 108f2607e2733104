"""Failures by what the inputs say: words and phrases."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from .counting import tested_groups, z_scores
from .groups import MIN_N, Group
from .literals import literal_of
from .records import FAILS_BELOW, Row, View, booleans

TERM_CANDIDATES = 40

SHORTEST_TERM = 4
"""Characters; the predicate of a shorter one would match inside other words."""

TERM_CHARACTERS = 2_000_000
"""Of all inputs together; longer ones are read up to their share of it."""

WORD = re.compile(r"\w[\w'’-]*")


def terms(
    records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW, min_n: int = MIN_N
) -> list[Row]:
    """Words and phrases of two words that at least `min_n` inputs hold and that failing ones hold more often.

    Found word by word, but counted as the predicate matches: anywhere in the text, upper or lower case.
    """
    view = View.of(records, prompt_id, threshold)
    inputs = view.table["input"]
    if not all(isinstance(value, str) for value in inputs.tolist()):
        return []
    groups, seen = [], set()
    for term in _candidates(view, inputs.tolist(), min_n):
        literal = literal_of(term)
        mask = booleans(inputs.str.contains(term, case=False, regex=False))
        if literal is None or mask.sum() < min_n or mask.tobytes() in seen:
            continue
        seen.add(mask.tobytes())
        predicate = f'records["input"].str.contains({literal}, case=False, regex=False)'
        groups.append(Group(term, predicate, mask, "input", term))
    base = view.failed.mean() if len(view.failed) else 0.0
    return [row for row in tested_groups(view, groups) if row["failures"] > base * row["n"]]


def _candidates(view: View, inputs: list[str], min_n: int) -> list[str]:
    """The terms that tell failing inputs most from others, the shorter of two alike first."""
    share = TERM_CHARACTERS // max(len(inputs), 1)
    found = [WORD.findall(text[:share].lower()) for text in inputs]
    lengths = np.array([len(words) for words in found], dtype=np.int64)
    codes, names = pd.factorize(np.array([word for words in found for word in words], dtype=object))
    if not len(names):
        return []
    rows = np.repeat(np.arange(len(inputs)), lengths)
    size, codes = len(names), codes.astype(np.int64)
    same_input = rows[1:] == rows[:-1]
    singles = (rows, codes)
    doubles = (rows[1:][same_input], (codes[:-1] * size + codes[1:])[same_input])
    n_rows, failures = len(view.failed), int(view.failed.sum())
    ranked: list[tuple[float, int, str]] = []
    for width, (at, term) in enumerate((singles, doubles), 1):
        if not len(term):
            continue
        dense, distinct = pd.factorize(term)
        once = pd.unique(at * len(distinct) + dense)  # a term counts once per input
        at, dense = once // len(distinct), once % len(distinct)
        n = np.bincount(dense, minlength=len(distinct))
        x = np.bincount(dense, weights=view.failed[at], minlength=len(distinct)).astype(np.int64)
        z = np.where(n >= min_n, z_scores(n, x, n_rows - n, failures - x), 0.0)
        for i in np.argsort(-z, kind="stable")[:TERM_CANDIDATES].tolist():
            if z[i] <= 0:
                break
            code = int(distinct[i])
            words = [names[code]] if width == 1 else [names[code // size], names[code % size]]
            ranked.append((-float(z[i]), width, " ".join(words)))
    return [term for _, _, term in sorted(ranked)[:TERM_CANDIDATES] if len(term) >= SHORTEST_TERM]
