"""How often groups fail, how that compares with all others, and the rows that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .groups import Group
from .records import Row, View

MOST_TESTED = 300
"""Groups that get an exact p-value; a normal approximation picks them."""

LONGEST_PREDICATE = 500


def counts(view: View, masks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and failures in each mask."""
    table = np.array(masks, dtype=bool).reshape(len(masks), len(view.failed))
    return table.sum(axis=1), (table & view.failed).sum(axis=1)


def z_scores(n: np.ndarray, x: np.ndarray, other_n: np.ndarray, other_x: np.ndarray) -> np.ndarray:
    """Pooled two-proportion statistic, positive where the first fail more often; 0 where one side is empty."""
    total = np.maximum(n + other_n, 1)
    share = (x + other_x) / total
    variance = share * (1 - share) * total / np.maximum(n * other_n, 1)
    difference = x / np.maximum(n, 1) - other_x / np.maximum(other_n, 1)
    known = (variance > 0) & (n > 0) & (other_n > 0)
    return np.where(known, difference / np.sqrt(np.where(known, variance, 1.0)), 0.0)


def p_values(n: np.ndarray, x: np.ndarray, total: int, failed: int) -> np.ndarray:
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


def tested(
    view: View, names: Sequence[str], predicates: Sequence[str | None], n: np.ndarray, x: np.ndarray
) -> list[Row]:
    """Rows for groups given by their counts, the strongest first; nothing for empty groups."""
    total, failed = len(view.failed), int(view.failed.sum())
    z = np.where(n > 0, z_scores(n, x, total - n, failed - x), -np.inf)
    order = np.argsort(-z, kind="stable")[:MOST_TESTED]
    order = order[n[order] > 0]
    p = p_values(n[order], x[order], total, failed)
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


def tested_groups(view: View, groups: Sequence[Group]) -> list[Row]:
    """Rows for groups, the strongest first; each predicate once."""
    unlike = list({group.predicate: group for group in groups}.values())
    if not unlike:
        return []
    n, x = counts(view, [group.mask for group in unlike])
    return tested(view, [group.name for group in unlike], [group.predicate for group in unlike], n, x)


def best_of_kind(view: View, groups: Sequence[Group]) -> list[Group]:
    """Of the groups of each kind the one that fails most clearly."""
    if not groups:
        return []
    n, x = counts(view, [group.mask for group in groups])
    z = z_scores(n, x, len(view.failed) - n, int(view.failed.sum()) - x)
    best: dict[tuple[str, str], Group] = {}
    for i in np.argsort(-z, kind="stable").tolist():
        best.setdefault((groups[i].field, groups[i].kind), groups[i])
    return list(best.values())
