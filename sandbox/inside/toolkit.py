"""The standard analyses of a prompt's records, as they run inside a sandbox's worker.

One file that needs nothing but numpy and pandas, since it is handed to the worker as text. Every function takes
`records`, one row per answer with the columns prompt_id, example_id, repeat, input, output, expected, score, missing,
feedback, tokens and the metadata fields by name; n_words and n_chars, the input's length, are worked out where they
are absent (`with_lengths`). The champion is the prompt of the first row unless `prompt_id` names another. An answer
fails when its score is below `threshold`; one without a score is left out everywhere.

Most functions return groups of the champion's records, the strongest first, as rows

    {"group", "predicate", "n", "failures", "rate", "others_n", "others_failures", "p"}

where `predicate` is a Python expression over `records` that selects exactly this group, or None where it would grow
too long. Its literals are quoted so that no value, whatever it holds, is ever more than a literal. `p` is one-sided
(the group fails more often than all others; Fisher's exact test with mid-p) and takes no account of how many groups
were looked at: it ranks, and belief comes from examples that were not looked at. With repeats a row is an answer.
"""

from __future__ import annotations

import ast
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Row = dict[str, Any]
Emit = Callable[[str, Any, str], Any]

RECORD = ("prompt_id", "example_id", "repeat", "input", "output", "expected", "score", "missing", "feedback", "tokens")
COLUMNS = frozenset((*RECORD, "n_words", "n_chars"))
"""Columns that are not metadata."""

FAILS_BELOW = 0.5
MIN_N = 5
"""Smaller groups are not worth a rule: no cuts, pairs or terms below it."""

MOST_VALUES = 20
"""A field with more distinct values is no category."""

MOST_LABELS = 100
MOST_CUTS = 64
"""Thresholds tried for the best single cut of a number."""

PAIR_CUTS = 16
"""Thresholds of each number that are combined with other fields."""

MOST_PROMPTS = 6
MOST_ROWS = 12
"""Rows that `searched` and `within` show of an analysis."""

MOST_PRESET = 100
"""Rows that `preset` gives of an analysis: all there are, so that nothing is chosen."""

MOST_TESTED = 300
"""Groups that get an exact p-value; a normal approximation picks them."""

ADDS = 2.326
"""A pair must fail more often than either half of it without the other, by this many standard errors (1 %)."""

TERM_CANDIDATES = 40
SHORTEST_TERM = 4
"""Characters; the predicate of a shorter one would match inside other words."""
TERM_CHARACTERS = 2_000_000
"""Of all inputs together; longer ones are read up to their share of it."""

LONGEST_LITERAL = 120
LONGEST_PREDICATE = 500
LONGEST_TEXT = 80

WORD = re.compile(r"\w[\w'’-]*")


class _View(NamedTuple):
    """The champion's answers that have a score, renumbered, and which of them fail."""

    table: pd.DataFrame
    failed: np.ndarray


class _Group(NamedTuple):
    """Some of a view's rows. Of groups of one `kind` (all cuts of a field that go one way) the best will do."""

    name: str
    predicate: str
    mask: np.ndarray
    field: str
    kind: str


# --- what is looked at


def with_lengths(records: pd.DataFrame) -> pd.DataFrame:
    """`records` with the input's length in words and characters as n_words and n_chars; existing ones stay."""
    absent = [name for name in ("n_words", "n_chars") if name not in records.columns]
    if not absent or "input" not in records.columns:
        return records
    texts = ["" if _empty(value) else str(value) for value in records["input"].tolist()]
    lengths = {"n_words": [len(text.split()) for text in texts], "n_chars": [len(text) for text in texts]}
    return records.assign(**{name: np.asarray(lengths[name], dtype=np.int64) for name in absent})


def _view(records: pd.DataFrame, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> _View:
    table = records
    if len(table) and "prompt_id" in table.columns:
        table = table[table["prompt_id"].eq(table["prompt_id"].iloc[0] if prompt_id is None else prompt_id)]
    if {"example_id", "repeat"} <= set(table.columns):  # a repeat says nothing about other examples
        table = table.sort_values("repeat", kind="stable").drop_duplicates("example_id").sort_index()
    scores = _scores(table)
    scored = ~np.isnan(scores)
    return _View(with_lengths(table[scored].reset_index(drop=True)), scores[scored] < threshold)


def _scores(records: pd.DataFrame) -> np.ndarray:
    """Scores as floats, NaN where there is none."""
    numbers: Any = pd.to_numeric(records["score"], errors="coerce")
    scores = numbers.to_numpy(dtype=float, na_value=np.nan, copy=True)
    if "missing" in records.columns:
        scores[_booleans(records["missing"].eq(True))] = np.nan
    return scores


def _booleans(values: Any) -> np.ndarray:
    """A mask without gaps: what is neither true nor false does not match."""
    if values.dtype == bool:
        return np.asarray(values, dtype=bool)
    return np.array([value is True or value is np.True_ for value in values.tolist()], dtype=bool)


def _empty(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _literal(value: Any) -> str | None:
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


def _column(name: str) -> str | None:
    literal = _literal(name)
    return None if literal is None else f"records[{literal}]"


def _text(value: Any) -> str:
    """A value for reading: one line, cut short."""
    text = " ".join(("(none)" if _empty(value) else str(value)).split())
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _fields(table: pd.DataFrame) -> list[str]:
    """Metadata fields; two columns of one name can't be told apart and are left out."""
    names = table.columns[~table.columns.duplicated(keep=False)]
    return [name for name in names if isinstance(name, str) and name not in COLUMNS]


def _distinct(values: pd.Series) -> list[Any] | None:
    """Distinct values but the empty ones, in order of appearance; None when they can't be told apart."""
    try:
        return list(values.dropna().unique())
    except TypeError:  # lists and dictionaries
        return None


# --- groups


def _values(table: pd.DataFrame, field: str, most: int) -> list[_Group]:
    """One group per value of a column, and one for the rows without; none for free text or a constant."""
    column, values = _column(field), table[field]
    distinct = _distinct(values)
    if column is None or distinct is None or len(distinct) > most:
        return []
    groups = []
    for value in distinct:
        literal = _literal(value)
        if literal is not None:
            predicate = f"{column}.eq({literal})"
            groups.append(_Group(f"{field}={_text(value)}", predicate, _booleans(values.eq(value)), field, predicate))
    gaps = values.isna().to_numpy(dtype=bool)
    if gaps.any():
        groups.append(_Group(f"{field} is empty", f"{column}.isna()", gaps, field, "empty"))
    return groups if len(groups) > 1 else []


def _labels(table: pd.DataFrame) -> list[_Group]:
    """One group per expected answer, unless most occur once: then they are no labels."""
    return _values(table, "expected", min(MOST_LABELS, len(table) // 2))


def _numbers(table: pd.DataFrame, field: str) -> np.ndarray | None:
    values = table[field]
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return None
    if pd.api.types.is_complex_dtype(values):
        return None
    return values.to_numpy(dtype=float, na_value=np.nan)


def _thresholds(numbers: np.ndarray, most: int) -> list[float]:
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


def _cuts(table: pd.DataFrame, field: str, most: int) -> list[_Group]:
    """Groups of at least MIN_N rows at or above, and below, each of at most `most` thresholds of a number."""
    numbers, column = _numbers(table, field), _column(field)
    if numbers is None or column is None:
        return []
    groups = []
    for threshold in _thresholds(numbers, most):
        for sign, mask in ((">=", numbers >= threshold), ("<", numbers < threshold)):
            literal = _literal(threshold)
            if literal is not None and mask.sum() >= MIN_N:
                name = f"{field} {sign} {literal}"
                groups.append(_Group(name, f"({column} {sign} {literal})", mask, field, sign))
    return groups


def _quarters(table: pd.DataFrame, field: str) -> list[_Group]:
    """The rows below, between and above the quartiles of a number."""
    numbers, column = _numbers(table, field), _column(field)
    if numbers is None or column is None:
        return []
    edges = _thresholds(numbers, 3)
    if not edges:
        return []
    first, last = _literal(edges[0]), _literal(edges[-1])
    groups = [_Group(f"{field} < {first}", f"({column} < {first})", numbers < edges[0], field, "quarter")]
    for low, high in itertools.pairwise(edges):
        below, above = _literal(low), _literal(high)
        predicate = f"({column} >= {below}) & ({column} < {above})"
        mask = (numbers >= low) & (numbers < high)
        groups.append(_Group(f"{below} <= {field} < {above}", predicate, mask, field, "quarter"))
    groups.append(_Group(f"{field} >= {last}", f"({column} >= {last})", numbers >= edges[-1], field, "quarter"))
    return groups


def _best_of_kind(view: _View, groups: Sequence[_Group]) -> list[_Group]:
    """Of the groups of each kind the one that fails most clearly."""
    if not groups:
        return []
    n, x = _counts(view, [group.mask for group in groups])
    z = _z(n, x, len(view.failed) - n, int(view.failed.sum()) - x)
    best: dict[tuple[str, str], _Group] = {}
    for i in np.argsort(-z, kind="stable").tolist():
        best.setdefault((groups[i].field, groups[i].kind), groups[i])
    return list(best.values())


# --- tests


def _counts(view: _View, masks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and failures in each mask."""
    table = np.array(masks, dtype=bool).reshape(len(masks), len(view.failed))
    return table.sum(axis=1), (table & view.failed).sum(axis=1)


def _z(n: np.ndarray, x: np.ndarray, other_n: np.ndarray, other_x: np.ndarray) -> np.ndarray:
    """Pooled two-proportion statistic, positive where the first fail more often; 0 where one side is empty."""
    total = np.maximum(n + other_n, 1)
    share = (x + other_x) / total
    variance = share * (1 - share) * total / np.maximum(n * other_n, 1)
    difference = x / np.maximum(n, 1) - other_x / np.maximum(other_n, 1)
    known = (variance > 0) & (n > 0) & (other_n > 0)
    return np.where(known, difference / np.sqrt(np.where(known, variance, 1.0)), 0.0)


def _p(n: np.ndarray, x: np.ndarray, total: int, failed: int) -> np.ndarray:
    """One-sided Fisher's exact test with mid-p for groups of n rows with x failures."""
    if not len(n):
        return np.zeros(0)
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])

    def choose(a: Any, b: Any) -> Any:
        return log[a] - log[b] - log[a - b]

    most = np.minimum(n, failed)[:, None]
    k = x[:, None] + np.arange(int(np.max(most[:, 0] - x)) + 1)
    inside = np.minimum(k, most)
    logs = choose(n[:, None], inside) + choose(total - n[:, None], failed - inside) - choose(total, failed)
    chance = np.where(k <= most, np.exp(logs), 0.0)
    p = np.clip(chance.sum(axis=1) - chance[:, 0] / 2, 0.0, 1.0)
    return np.where((n == 0) | (n == total) | (failed == 0) | (failed == total), 1.0, p)


def _tested(
    view: _View, names: Sequence[str], predicates: Sequence[str | None], n: np.ndarray, x: np.ndarray
) -> list[Row]:
    """Rows for groups given by their counts, the strongest first; nothing for empty groups."""
    total, failed = len(view.failed), int(view.failed.sum())
    z = np.where(n > 0, _z(n, x, total - n, failed - x), -np.inf)
    order = np.argsort(-z, kind="stable")[:MOST_TESTED]
    order = order[n[order] > 0]
    p = _p(n[order], x[order], total, failed)
    rows = []
    for i, value in sorted(zip(order.tolist(), p.tolist(), strict=True), key=lambda found: found[1]):
        predicate = predicates[i]
        rows.append(
            {
                "group": names[i],
                "predicate": predicate if predicate is not None and len(predicate) <= LONGEST_PREDICATE else None,
                "n": int(n[i]),
                "failures": int(x[i]),
                "rate": round(float(x[i] / n[i]), 4),
                "others_n": int(total - n[i]),
                "others_failures": int(failed - x[i]),
                "p": float(f"{value:.3g}"),
            }
        )
    return rows


def _tested_groups(view: _View, groups: Sequence[_Group]) -> list[Row]:
    unlike = list({group.predicate: group for group in groups}.values())
    if not unlike:
        return []
    n, x = _counts(view, [group.mask for group in unlike])
    return _tested(view, [group.name for group in unlike], [group.predicate for group in unlike], n, x)


# --- groups of the champion's records


def by_label(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """A group per expected answer, where there are 2 to 100 of them and most occur again."""
    view = _view(records, prompt_id, threshold)
    return _tested_groups(view, _labels(view.table))


def by_other_labels(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """Of three or more labels all but one, that one which tells most: the mark of a model that keeps giving one
    answer."""
    view = _view(records, prompt_id, threshold)
    labels = _labels(view.table)
    if len(labels) < 3:
        return []
    others = [
        _Group(g.name.replace("=", " is not ", 1), f"~({g.predicate})", ~g.mask, g.field, "all but one") for g in labels
    ]
    return _tested_groups(view, _best_of_kind(view, others))


def by_field(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """A group per value of each metadata field with 2 to 20 of them; numbers also cut at quartiles. Fields of free
    text, of one value, or of lists and dictionaries are left out."""
    view = _view(records, prompt_id, threshold)
    groups: list[_Group] = []
    for field in _fields(view.table):
        values = _values(view.table, field, MOST_VALUES)
        groups += values
        if len(values) != 2:
            groups += _cuts(view.table, field, 3)
    return _tested_groups(view, groups)


def by_length(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """The quarters of the input's length. In words, or where these hardly vary (one long word, a script without
    spaces) in characters."""
    view = _view(records, prompt_id, threshold)
    field = _length(view.table)
    return _tested_groups(view, _quarters(view.table, field)) if field else []


def by_cut(records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW) -> list[Row]:
    """Of each number, the input's length among them, the cut each way that tells most."""
    view = _view(records, prompt_id, threshold)
    fields = [field for field in _fields(view.table) if len(_values(view.table, field, MOST_VALUES)) != 2]
    if length := _length(view.table):
        fields.append(length)
    groups = [group for field in fields for group in _best_of_kind(view, _cuts(view.table, field, MOST_CUTS))]
    return _tested_groups(view, groups)


def _length(table: pd.DataFrame) -> str | None:
    """The column that tells inputs' lengths best."""
    for field, least in (("n_words", 5), ("n_chars", 2)):
        numbers = _numbers(table, field) if field in table.columns else None
        if numbers is not None and len(np.unique(numbers)) >= least:
            return field
    return None


def by_field_pairs(
    records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW, min_n: int = MIN_N
) -> list[Row]:
    """Pairs of values of two fields, the expected answer and the input's length among them, of at least `min_n` rows.

    Only pairs that add to both halves: they fail clearly more often than either half without the other. Of
    all cuts of a number that make a pair the best is listed.
    """
    view = _view(records, prompt_id, threshold)
    table = view.table
    groups = _labels(table)
    for field in _fields(table):
        values = _values(table, field, MOST_VALUES)
        groups += values if len(values) == 2 else values + _cuts(table, field, PAIR_CUTS)
    length = _length(table)
    groups += _cuts(table, length, PAIR_CUTS) if length else []
    groups = [group for group in groups if group.mask.sum() >= min_n]
    if len(groups) < 2:
        return []

    # Counts of up to 2**24 are exact in this precision, and the product of two masks is fast in it.
    masks = np.array([group.mask for group in groups], dtype=np.float32)
    n = (masks @ masks.T).astype(np.int64)
    x = ((masks * view.failed) @ masks.T).astype(np.int64)
    alone_n, alone_x = np.diag(n), np.diag(x)
    first = _z(n, x, alone_n[:, None] - n, alone_x[:, None] - x)
    second = _z(n, x, alone_n[None, :] - n, alone_x[None, :] - x)
    fields = np.array([group.field for group in groups])
    fit = (first >= ADDS) & (second >= ADDS) & (n >= min_n) & (fields[:, None] != fields[None, :])
    left, right = (side.tolist() for side in np.nonzero(np.triu(fit, 1)))
    if not left:
        return []

    n, x = n[left, right], x[left, right]
    z = _z(n, x, len(view.failed) - n, int(view.failed.sum()) - x)
    best: dict[Hashable, int] = {}
    for at in np.argsort(-z, kind="stable").tolist():
        a, b = groups[left[at]], groups[right[at]]
        best.setdefault((a.field, a.kind, b.field, b.kind), at)
    kept = list(best.values())
    pairs = [(groups[left[at]], groups[right[at]]) for at in kept]
    names = [f"{a.name} & {b.name}" for a, b in pairs]
    return _tested(view, names, [f"{a.predicate} & {b.predicate}" for a, b in pairs], n[kept], x[kept])


def terms(
    records: pd.DataFrame, *, prompt_id: Any = None, threshold: float = FAILS_BELOW, min_n: int = MIN_N
) -> list[Row]:
    """Words and phrases of two words that at least `min_n` inputs hold and that failing ones hold more often.

    Found word by word, but counted as the predicate matches: anywhere in the text, upper or lower case.
    """
    view = _view(records, prompt_id, threshold)
    inputs = view.table["input"]
    if not all(isinstance(value, str) for value in inputs.tolist()):
        return []
    groups, seen = [], set()
    for term in _candidates(view, inputs.tolist(), min_n):
        literal = _literal(term)
        mask = _booleans(inputs.str.contains(term, case=False, regex=False))
        if literal is None or mask.sum() < min_n or mask.tobytes() in seen:
            continue
        seen.add(mask.tobytes())
        predicate = f'records["input"].str.contains({literal}, case=False, regex=False)'
        groups.append(_Group(term, predicate, mask, "input", term))
    base = view.failed.mean() if len(view.failed) else 0.0
    return [row for row in _tested_groups(view, groups) if row["failures"] > base * row["n"]]


def _candidates(view: _View, inputs: list[str], min_n: int) -> list[str]:
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
        z = np.where(n >= min_n, _z(n, x, n_rows - n, failures - x), 0.0)
        for i in np.argsort(-z, kind="stable")[:TERM_CANDIDATES].tolist():
            if z[i] <= 0:
                break
            code = int(distinct[i])
            words = [names[code]] if width == 1 else [names[code // size], names[code % size]]
            ranked.append((-float(z[i]), width, " ".join(words)))
    return [term for _, _, term in sorted(ranked)[:TERM_CANDIDATES] if len(term) >= SHORTEST_TERM]


def output_format(
    records: pd.DataFrame, labels: Sequence[str] = (), *, prompt_id: Any = None, threshold: float = FAILS_BELOW
) -> list[Row]:
    """Answers whose form is off: empty, none of the `labels` word for word, a label amid other text, longer than any
    expected answer, of several lines where no expected answer is, or ending in a stop where none does. Every group is
    named `output …`: a fix of the form, and no rule about inputs, is what it asks for."""
    view = _view(records, prompt_id, threshold)
    outputs = view.table["output"]
    if not any(isinstance(value, str) for value in outputs.tolist()):
        return []
    column, bare, texts = 'records["output"]', 'records["output"].str.strip()', outputs.str.strip()
    groups = [_Group("output is empty", f'{bare}.eq("")', _booleans(texts.eq("")), "output", "")]
    if outputs.isna().any():
        groups.append(
            _Group("output is missing", f"{column}.isna()", outputs.isna().to_numpy(dtype=bool), "output", "")
        )
    known = [str(label) for label in labels]
    literals = [literal for literal in map(_literal, known) if literal is not None]
    if known and len(literals) == len(known):
        off, off_mask = f"~{bare}.isin([{', '.join(literals)}])", ~_booleans(texts.isin(known))
        groups.append(_Group("output is none of the labels word for word", off, off_mask, "output", ""))
        pattern = "|".join(map(_as_word, known))
        amid = _booleans(outputs.str.contains(pattern, case=False)) & off_mask
        predicate = f"{off} & {column}.str.contains({pattern!r}, case=False)"
        groups.append(_Group("output holds a label amid other text", predicate, amid, "output", ""))
    expected = [str(value).strip() for value in view.table["expected"].tolist() if not _empty(value)]
    if expected:
        longest, most = max(map(len, expected)), max(len(text.split()) for text in expected)
        name, predicate = (
            f"output is longer than any expected ({longest} characters)",
            f"({column}.str.len() > {longest})",
        )
        groups.append(_Group(name, predicate, _booleans(outputs.str.len() > longest), "output", ""))
        name, predicate = (
            f"output has more words than any expected ({most})",
            f'({bare}.str.count(" +") >= {max(most, 1)})',
        )
        groups.append(_Group(name, predicate, _booleans(texts.str.count(" +") >= max(most, 1)), "output", ""))
        if not any("\n" in text for text in expected):
            lines = _booleans(texts.str.contains("\n", regex=False))
            groups.append(
                _Group("output has several lines", f'{bare}.str.contains("\\n", regex=False)', lines, "output", "")
            )
        if not any(text.endswith(".") for text in expected):
            stop = _booleans(texts.str.endswith("."))
            groups.append(_Group("output ends in a stop", f'{bare}.str.endswith(".")', stop, "output", ""))
    return _tested_groups(view, groups)


def _as_word(label: str) -> str:
    """A pattern that finds a label, but not inside a longer word; for Python's and for Arrow's engine."""
    start = r"\b" if re.match(r"\w", label) else ""
    return start + re.escape(label) + (r"\b" if re.search(r"\w$", label) else "")


# --- other tables


def _answers(values: Iterable[Any], labels: Sequence[str]) -> list[str]:
    """Answers as labels where `labels` are known, however they are cased or punctuated; else their stripped text."""
    names = {_plain(label): str(label) for label in labels}
    cache: dict[str, str] = {}
    answers = []
    for value in values:
        text = "" if _empty(value) else str(value)
        if text not in cache:
            bare = text.strip()
            cache[text] = names.get(_plain(text), "(no label)") if names else _text(bare) if bare else "(empty)"
        answers.append(cache[text])
    return answers


def _plain(value: Any) -> str:
    return str(value).strip().strip(".,:;!\"'`*").casefold()


def confusion(
    records: pd.DataFrame, labels: Sequence[str] = (), *, prompt_id: Any = None, threshold: float = FAILS_BELOW
) -> list[Row]:
    """What the champion answered instead: rows {expected, output, n, share}, the most frequent first.

    `share` is of all its records with this expected answer. Without `labels` only what occurs twice is listed.
    """
    view = _view(records, prompt_id, threshold)
    expected = [_text(value) for value in view.table["expected"].tolist()]
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
    view = _view(records, prompt_id)
    wanted = [_text(value) for value in view.table["expected"].tolist()]
    known = [_text(label) for label in labels] or sorted(set(wanted))
    if not 2 <= len(known) <= MOST_LABELS or not (labels or 2 * len(known) <= len(wanted)):
        return []
    given, expected = Counter(_answers(view.table["output"].tolist(), known)), Counter(wanted)
    rows = [{"label": name, "expected": expected[name], "answered": given[name]} for name in [*known, "(no label)"]]
    rows = [{**row, "excess": row["answered"] - row["expected"]} for row in rows if row["expected"] or row["answered"]]
    return sorted(rows, key=lambda row: -row["excess"])


def disagreements(records: pd.DataFrame, *, threshold: float = FAILS_BELOW) -> list[Row]:
    """Where prompts differ: rows {a, b, label, n, only_a_right, only_b_right} per pair of the first six prompts.

    `label` is None in a pair's total, else an expected answer; `n` counts the examples that both have a score for. An
    example of several repeats is right when their mean is. Only where they differ at all.
    """
    scores = _scores(records)
    table = records.assign(score=scores)[~np.isnan(scores)]
    prompts = list(dict.fromkeys(table["prompt_id"].tolist()))[:MOST_PROMPTS]
    table = table[table["prompt_id"].isin(prompts)]
    if len(prompts) < 2:
        return []
    means = table.groupby(["example_id", "prompt_id"], sort=False)["score"].mean().unstack()
    first = table.drop_duplicates("example_id").set_index("example_id")["expected"].reindex(means.index)
    wanted = np.array([_text(value) for value in first.tolist()], dtype=object)
    values = means[prompts].to_numpy(dtype=float)
    labels: list[str | None] = sorted(set(wanted))
    rows = []
    for i in range(len(prompts)):
        for j in range(i + 1, len(prompts)):
            both = ~np.isnan(values[:, i]) & ~np.isnan(values[:, j])
            a, b = both & (values[:, i] >= threshold), both & (values[:, j] >= threshold)
            for label in [None, *(labels if 2 <= len(labels) <= MOST_VALUES else [])]:
                here = both if label is None else both & (wanted == label)
                only_a, only_b = int((here & a & ~b).sum()), int((here & b & ~a).sum())
                if only_a or only_b:
                    names = {"a": str(prompts[i]), "b": str(prompts[j]), "label": label, "n": int(here.sum())}
                    rows.append({**names, "only_a_right": only_a, "only_b_right": only_b})
    return sorted(rows, key=lambda row: (-row["only_a_right"] - row["only_b_right"], row["label"] is not None))


def flaky(records: pd.DataFrame) -> list[Row]:
    """Examples that one prompt got different scores for, the least settled first.

    Rows {prompt_id, example_id, expected, answers, mean, outputs}: `answers` counts the repeats, `outputs` shows up to
    three different ones.
    """
    scores = _scores(records)
    table = records.assign(score=scores)[~np.isnan(scores)]
    groups = table.groupby(["prompt_id", "example_id"], sort=False)["score"]
    spread = groups.transform("max") - groups.transform("min")
    rows = []
    for (prompt, example), part in table[(spread > 1e-9).to_numpy()].groupby(["prompt_id", "example_id"], sort=False):
        rows.append(
            {
                "prompt_id": str(prompt),
                "example_id": str(example),
                "expected": _text(part["expected"].iloc[0]),
                "answers": len(part),
                "mean": round(float(part["score"].mean()), 4),
                "outputs": list(dict.fromkeys(_text(value) for value in part["output"].tolist()))[:3],
            }
        )
    return sorted(rows, key=lambda row: abs(row["mean"] - 0.5))


def _codes(values: Iterable[str]) -> tuple[np.ndarray, list[str]]:
    """Each text's number in order of appearance, and the texts by number."""
    codes, names = pd.factorize(np.array(list(values), dtype=object))
    return codes.astype(np.int64), names.tolist()


def suspicious(records: pd.DataFrame, labels: Sequence[str] = (), *, threshold: float = FAILS_BELOW) -> list[Row]:
    """Examples that every prompt answers with one and the same other answer: their label may be wrong.

    Rows {example_id, expected, answer, answers, prompts, usual, input}. At least two prompts or three answers must
    agree, on an answer that is a label where there are labels. `usual` is how much of what is wrongly answered
    for this expected answer is this one: near 1 the prompts are biased rather than the label wrong, so the unusual
    come first.
    """
    scores = _scores(records)
    table = records[~np.isnan(scores)]
    if not len(table):
        return []
    wanted = [_plain(value) for value in table["expected"].tolist()]
    given = [_plain("" if _empty(value) else value) for value in table["output"].tolist()]
    known = {_plain(label) for label in labels} or set(wanted)
    closed = bool(labels) or len(known) <= MOST_VALUES
    failed = scores[~np.isnan(scores)] < threshold
    example, names = _codes(map(str, table["example_id"].tolist()))
    prompt, prompts = _codes(map(str, table["prompt_id"].tolist()))
    want, wants = _codes(wanted)
    got, gots = _codes(given)
    answers = np.bincount(example)
    asked = np.bincount(pd.unique(example * len(prompts) + prompt) // len(prompts))
    _, first = np.unique(example, return_index=True)
    other = np.bincount(example, weights=~failed | (got != got[first][example]))
    agreed = (other == 0) & (asked >= min(2, len(prompts))) & ((asked >= 2) | (answers >= 3))
    wrong = np.bincount((want * len(gots) + got)[failed], minlength=len(wants) * len(gots))
    rows = []
    for i in np.flatnonzero(agreed).tolist():
        at = int(first[i])
        if not given[at] or given[at] == wanted[at] or (closed and given[at] not in known):
            continue
        row = wrong[want[at] * len(gots) : (want[at] + 1) * len(gots)]
        rows.append(
            {
                "example_id": names[i],
                "expected": _text(table["expected"].iloc[at]),
                "answer": _text(table["output"].iloc[at]),
                "answers": int(answers[i]),
                "prompts": int(asked[i]),
                "usual": round(int(row[got[at]]) / int(row.sum()), 4),
                "input": _text(table["input"].iloc[at]),
            }
        )
    return sorted(rows, key=lambda row: (-row["prompts"], row["usual"], -row["answers"]))


# --- all of them


def _overall(records: pd.DataFrame) -> list[Row]:
    view = _view(records)
    return [
        {
            "prompt_id": str(records["prompt_id"].iloc[0]),
            "n": len(view.failed),
            "failures": int(view.failed.sum()),
            "rate": round(float(view.failed.mean()), 4) if len(view.failed) else 0.0,
            "prompts": int(records["prompt_id"].nunique()),
            "without_score": int(np.isnan(_scores(records)).sum()),
        }
    ]


def _emitted(emit: Emit, analyses: Iterable[tuple[str, Callable[[], list[Row]], str]], most: int = MOST_ROWS) -> None:
    """Run each analysis and emit its first rows; one that fails says so and stops nothing."""
    for name, analysis, note in analyses:
        try:
            rows = analysis()
        except Exception as error:
            emit(name, [], _text(f"failed: {type(error).__name__}: {error}"))
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
        emit("lengths", [], _text(f"failed: {type(error).__name__}: {error}"))
        return records


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
    matches = _booleans(mask if hasattr(mask, "tolist") else np.array(list(mask), dtype=object))
    if len(matches) != len(records):
        raise ValueError(f"the mask has {len(matches)} values for {len(records)} records")
    records = with_lengths(records)
    champion = records["prompt_id"].eq(records["prompt_id"].iloc[0]).to_numpy(dtype=bool) if len(records) else matches
    inside = records[matches & champion]

    def sides() -> list[Row]:
        view = _view(records[champion])
        here = matches[champion & ~np.isnan(_scores(records))]
        n, x = _counts(view, [here, ~here])
        return _tested(view, ["inside", "outside"], [None, None], n, x)

    def wanted() -> list[Row]:
        view = _view(inside)
        expected = [_text(value) for value in view.table["expected"].tolist()]
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
