"""Whether a hypothesis about failures holds: counts by its predicate, tests, and what its fix changed where.

A hypothesis names examples by a predicate. What a model or its code says about them counts for nothing here: all
numbers come from the predicate's mask and from the scores.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .distributions import hypergeometric_mid_above
from .intervals import Interval, wilson

LONGEST_PREDICATE = 500
"""Characters; a longer one is code, or a list of examples."""

OUTCOMES = ("score", "missing", "feedback")
"""Columns of `records` that say what became of an example: a predicate over them explains nothing."""

COLUMN_READERS = ("get", "filter", "pop")
"""Methods of a DataFrame that take a column's name."""

EXPRESSION_READERS = ("query", "eval")
"""Methods of a DataFrame that take an expression in which columns are bare names."""

COMPUTING_NAMES = frozenset([
    "records", "pd", "np", "abs", "all", "any", "bool", "dict", "enumerate", "float", "int", "isinstance", "len",
    "list", "max", "min", "range", "round", "set", "sorted", "str", "sum", "tuple", "zip",
])  # fmt: skip
"""What a predicate may name that only computes."""

COMPUTING_FUNCTIONS = frozenset([
    "DataFrame", "NA", "Series", "Timedelta", "Timestamp", "abs", "array", "ceil", "concat", "cut", "exp", "floor",
    "isin", "isna", "isnan", "isnull", "log", "log10", "logical_and", "logical_not", "logical_or", "maximum", "mean",
    "median", "minimum", "mod", "nan", "notna", "notnull", "percentile", "qcut", "quantile", "select", "sign",
    "sqrt", "to_datetime", "to_numeric", "unique", "where", "zeros", "ones",
])  # fmt: skip
"""Functions of pandas and numpy that only compute."""

CHANGING = frozenset([
    "add", "append", "clear", "discard", "extend", "format", "format_map", "insert", "pipe", "pop", "popitem", "remove",
    "reverse", "setdefault", "sort", "update",
])  # fmt: skip
"""Methods that change a list or a mapping in a cell, or read attributes by name."""


def coin(
    example_ids: Iterable[str], rng: np.random.Generator, strata: Mapping[str, Hashable] | None = None
) -> frozenset[str]:
    """The ids of the diagnosis half; all others are the confirmation half.

    Every example is in it with chance 1/2. `strata` gives an example's group, such as whether it failed: each
    group is divided evenly, to within one example, and so is the whole. From two examples on neither half is
    empty; a single one goes to diagnosis. The same ids in any order and the same generator give the same half.
    """
    names = sorted(set(example_ids))
    if len(names) < 2:
        return frozenset(names)
    groups: dict[Hashable, list[str]] = {}
    for name in names:
        groups.setdefault(strata.get(name) if strata else None, []).append(name)
    # Dealt out like cards, group after group, so that an odd example of one group is made up for by the next.
    order = [group[i] for group in groups.values() for i in rng.permutation(len(group))]
    return frozenset(order[int(rng.integers(2)) :: 2])


@dataclass(frozen=True, slots=True)
class Support:
    """How many of the examples that a predicate matches failed, and how many of the others."""

    n: int
    failures: int
    other_n: int
    other_failures: int

    def __post_init__(self) -> None:
        if not (0 <= self.failures <= self.n and 0 <= self.other_failures <= self.other_n):
            raise ValueError(f"failures must lie between 0 and the number of examples: {self.words}")

    @property
    def rate(self) -> float:
        """Share of the matched examples that failed; 0 when none is matched."""
        return _share(self.failures, self.n)

    @property
    def other_rate(self) -> float:
        """Share of the other examples that failed; 0 when there are none."""
        return _share(self.other_failures, self.other_n)

    @property
    def base_rate(self) -> float:
        """Share of all examples that failed."""
        return _share(self.failures + self.other_failures, self.n + self.other_n)

    @property
    def explained(self) -> float:
        """Matched failures beyond what the base rate would give; negative when there are fewer."""
        return self.failures - self.n * self.base_rate

    @property
    def difference(self) -> float:
        """How much more often than the other examples the matched ones failed."""
        return self.rate - self.other_rate

    @property
    def interval(self) -> Interval:
        """The 95 % interval of `difference`; [-1, 1] when either side is empty.

        Newcombe's hybrid score interval for two independent proportions: Newcombe, Statistics in Medicine 17
        (1998) 873-890, method 10.
        """
        if not self.n or not self.other_n:
            return Interval(-1.0, 1.0)
        a, b = wilson(self.failures, self.n), wilson(self.other_failures, self.other_n)
        below = math.hypot(self.rate - a.low, b.high - self.other_rate)
        above = math.hypot(a.high - self.rate, self.other_rate - b.low)
        return Interval(max(-1.0, self.difference - below), min(1.0, self.difference + above))

    @property
    def words(self) -> str:
        """The counts as agents read them: `matched n=50 failures=31 (0.62); unmatched n=150 failures=40 (0.27)`."""
        return (
            f"matched n={self.n} failures={self.failures} ({self.rate:.2f}); "
            f"unmatched n={self.other_n} failures={self.other_failures} ({self.other_rate:.2f})"
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def support(mask: Mapping[str, bool], failed: Mapping[str, bool]) -> Support:
    """The counts over the examples that both know, by id: those without a score or a mask say nothing."""
    counts = {True: [0, 0], False: [0, 0]}
    for name in mask.keys() & failed.keys():
        row = counts[bool(mask[name])]
        row[0] += 1
        row[1] += bool(failed[name])
    (n, failures), (other_n, other_failures) = counts[True], counts[False]
    return Support(n, failures, other_n, other_failures)


def p_value(found: Support) -> float:
    """One-sided p-value of the matched failing no more often than the others: Fisher's exact test with mid-p.

    1.0 when either side is empty, or when all or none failed. On the 12 to 100 examples of a confirmation half
    plain Fisher errs so far on the careful side that Benjamini-Hochberg at 0.10 believes a false hypothesis in
    0.00 to 0.07 of the rounds; mid-p uses up what is allowed, and stayed below q in all 216 null settings tried
    (12 to 100 examples, base rates 0.1 to 0.6, matched shares 0.1 to 0.5, 1 to 10 hypotheses, q 0.1 and 0.2).
    Boschloo's test costs a search over the unknown rate for about the same power.

    Source: Lydersen, Fagerland and Laake, Statistics in Medicine 28 (2009) 1159-1175, who recommend both of these.
    """
    return float(p_values(found.n, found.failures, found.other_n, found.other_failures))


def p_values(n: ArrayLike, failures: ArrayLike, other_n: ArrayLike, other_failures: ArrayLike) -> NDArray[np.float64]:
    """`p_value` for arrays of counts of one shape."""
    n, x, other_n, y = (np.asarray(counts, dtype=np.int64) for counts in (n, failures, other_n, other_failures))
    total, failed = n + other_n, x + y
    p = hypergeometric_mid_above(x, total, failed, n)
    said_nothing = (n == 0) | (other_n == 0) | (failed == 0) | (failed == total)
    return np.asarray(np.where(said_nothing, 1.0, np.clip(p, 0.0, 1.0)))


def adjusted(p_values: Sequence[float], among: int = 0) -> list[float]:
    """Benjamini-Hochberg's adjusted p-values, in the order given: the smallest q at which each is believed.

    `among` is how many were tested, where only the smallest of their p-values are given.
    """
    p = np.asarray(p_values, dtype=float)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("p-values must lie between 0 and 1")
    order = np.argsort(p)
    grown = p[order] * max(among, len(p)) / np.arange(1, len(p) + 1)
    found = np.empty(len(p))
    found[order] = np.minimum(np.minimum.accumulate(grown[::-1])[::-1], 1.0)
    return found.tolist()


def checked_mask(value: Any, n: int) -> list[bool] | str:
    """What a predicate gave for `n` records as plain booleans, or the reason why it is none.

    `value` came out of the sandbox as JSON and may be anything. 0 and 1 count as booleans, null and NaN as false.
    """
    if not isinstance(value, (list, tuple)):
        return "gives no true/false per record"
    mask: list[bool] = []
    for item in value:
        if item is None or (isinstance(item, float) and math.isnan(item)):
            mask.append(False)
        elif isinstance(item, (bool, int, float)) and item in (0, 1):
            mask.append(bool(item))
        else:
            return "gives no true/false per record"
    if len(mask) != n:
        return f"has {len(mask)} {'value' if len(mask) == 1 else 'values'} for {n} {'record' if n == 1 else 'records'}"
    if not any(mask):
        return "matches no record"
    if all(mask):
        return "matches every record"
    return mask


def overlap(a: set[str] | frozenset[str], b: set[str] | frozenset[str]) -> float:
    """Jaccard's index: the share of what either holds that both hold; 0 when both are empty."""
    either = len(a | b)
    return len(a & b) / either if either else 0.0


def predicate_problem(expression: str) -> str | None:
    """Why a text cannot serve as a predicate, in plain words; None when nothing speaks against it.

    A courtesy, so that a model hears early what is wrong: safety is the sandbox's business, and whether it matches
    anything is seen when it runs.
    """
    text = expression.strip()
    if not text:
        return "is empty"
    if len(text) > LONGEST_PREDICATE:
        return f"is {len(text)} characters long; at most {LONGEST_PREDICATE} are allowed"
    try:
        tree = ast.parse(text, mode="eval")
        columns = set(_columns(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is not one Python expression"
    for outcome in OUTCOMES:
        if outcome in columns:
            return f"uses the column {outcome}, which says that an example failed and not why"
    if {"output", "expected"} <= columns:
        return "compares output with expected, which says that an example failed and not why"
    return None


def keeps_to_itself(expression: str) -> bool:
    """Whether a predicate plainly does nothing but compute, so that it may share a process with others.

    Not a matter of safety either: one that may reach further is run on its own, where it changes no other's matches.
    """
    try:
        nodes = list(ast.walk(ast.parse(expression.strip(), mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    # pandas and numpy by another name would offer all of their functions.
    libraries = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and _is_library(node.value)}
    if any(_is_library(node) and id(node) not in libraries for node in nodes):
        return False
    return all(_computes(node, COMPUTING_NAMES | own) for node in nodes)


def _is_library(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("pd", "np")


def _computes(node: ast.AST, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names and not node.id.startswith("_")
    if not isinstance(node, ast.Attribute):
        return True
    if _is_library(node.value):
        return node.attr in COMPUTING_FUNCTIONS
    return not node.attr.startswith("_") and node.attr not in (*EXPRESSION_READERS, *CHANGING)


def _columns(tree: ast.AST) -> Iterator[str]:
    """Names that an expression reads as columns: attributes, subscripts and what `get` and the like are given.

    A text that is merely compared with, as in `records["topic"].eq("score")`, is none.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Subscript):
            yield from _texts(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [text for argument in (*node.args, *(k.value for k in node.keywords)) for text in _texts(argument)]
            if node.func.attr in COLUMN_READERS:
                yield from given
            elif node.func.attr in EXPRESSION_READERS:
                for text in given:
                    yield from re.findall(r"\w+", text)


def _texts(node: ast.AST) -> Iterator[str]:
    """The text constants of a subscript or an argument, also inside a list or a tuple."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (ast.List, ast.Tuple)):
        for element in node.elts:
            yield from _texts(element)


@dataclass(frozen=True, slots=True)
class Change:
    """What a candidate changed against the champion on one set of examples.

    `mean` is the mean difference in score, 0 without examples; `fixed` and `broken` count those that went up and
    down; `variance` is that of the mean, None for fewer than two examples.
    """

    n: int
    mean: float
    fixed: int
    broken: int
    variance: float | None

    @property
    def words(self) -> str:
        return f"n={self.n} change {self.mean:+.2f} (fixed {self.fixed}, broken {self.broken})"


@dataclass(frozen=True, slots=True)
class Effect:
    """A fix's effect on the examples that its hypothesis is about, against all others."""

    matched: Change
    unmatched: Change

    @property
    def difference(self) -> float:
        """How much more the matched examples gained; compare it with `error` before believing it."""
        return self.matched.mean - self.unmatched.mean

    @property
    def error(self) -> float | None:
        """One standard error of `difference`; None when either side has fewer than two examples."""
        if self.matched.variance is None or self.unmatched.variance is None:
            return None
        return math.sqrt(self.matched.variance + self.unmatched.variance)

    @property
    def words(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.2f}"
        return (
            f"matched {self.matched.words}; unmatched {self.unmatched.words}; difference {self.difference:+.2f}{error}"
        )


def difference_in_differences(matched: Sequence[float], unmatched: Sequence[float]) -> Effect:
    """Whether a fix helped where it should: paired differences (candidate - champion) by the hypothesis' mask.

    NaN, an example that either prompt has no score for, is left out. The two sets are different examples, so that
    their variances add (unequal ones: Welch, Biometrika 34 (1947) 28-35). The contrast is that of Angrist and
    Pischke, "Mostly Harmless Econometrics" (2009), section 5.2, with examples as the units.
    """
    return Effect(_change(matched), _change(unmatched))


def _change(differences: Sequence[float]) -> Change:
    d = np.asarray(differences, dtype=float)
    d = d[~np.isnan(d)]
    n = len(d)
    return Change(
        n=n,
        mean=float(d.mean()) if n else 0.0,
        fixed=int(np.sum(d > 0)),
        broken=int(np.sum(d < 0)),
        variance=float(d.var(ddof=1) / n) if n > 1 else None,
    )
