"""What may be wrong with a task's data, found without calling any model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .task import SplitName, Task

SPLIT_NAMES: tuple[SplitName, ...] = ("search", "holdout", "test", "preserve")
_BLOCK = 500
_COMMON = 200
_MOST_COMMON = 4000


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two examples of different splits that say nearly the same; `overlap` in [0, 1] is 1 for the same words."""

    first_id: str
    first_split: SplitName
    second_id: str
    second_split: SplitName
    overlap: float


def near_duplicates(task: Task, threshold: float = 0.7, limit: int = 10_000) -> list[NearDuplicate]:
    """Pairs of examples across splits whose inputs overlap by at least `threshold`, the `limit` closest, best first.

    The overlap is the Jaccard index over words and pairs of neighbouring words, each as often as it occurs (one word
    changed in ten leaves about 0.7); case and punctuation do not count. Exact; some seconds for 5,000 examples.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must lie in (0, 1], not {threshold}")
    items = [(name, example.id, example.input) for name in SPLIT_NAMES for example in task.examples(name)]
    if not items:
        return []
    features = [_features(text) for _, _, text in items]
    size = np.array([len(one) for one in features])
    split = np.array([SPLIT_NAMES.index(name) for name, _, _ in items])
    firsts, seconds, overlaps = [], [], []
    for start, shared in _shared(features):
        rows = np.arange(start, start + len(shared))
        overlap = shared / np.maximum(size[rows, None] + size[None, :] - shared, 1)
        apart = (split[rows, None] != split[None, :]) & (rows[:, None] < np.arange(len(items)))
        first, second = np.nonzero(apart & (overlap >= threshold - 1e-9))
        firsts.append(rows[first])
        seconds.append(second)
        overlaps.append(overlap[first, second])
    first, second, overlap = map(np.concatenate, (firsts, seconds, overlaps))
    best = np.lexsort((second, first, -overlap))[:limit]
    return [
        NearDuplicate(items[i][1], items[i][0], items[j][1], items[j][0], float(value))
        for i, j, value in zip(first[best], second[best], overlap[best], strict=True)
    ]


def _shared(features: Sequence[set[str]]) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows of the matrix of how many features two examples share, each with its first row's number."""
    from scipy import sparse  # takes a moment to import

    frequency = Counter(feature for one in features for feature in one)
    # A feature of one example alone is shared with none. Common ones go through a dense product: in a sparse one they
    # cost the square of their frequency.
    ranked = [(feature, count) for feature, count in frequency.most_common() if count > 1]
    common = min(sum(count > _COMMON for _, count in ranked), _MOST_COMMON)
    column = {feature: index for index, (feature, _) in enumerate(ranked)}
    pairs = [(row, column[feature]) for row, one in enumerate(features) for feature in one if feature in column]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    matrix = sparse.csr_array((np.ones(len(pairs), np.float32), (rows, columns)), (len(features), max(1, len(ranked))))
    dense, rest = matrix[:, :common].toarray(), matrix[:, common:].tocsr()
    across = rest.T.tocsr()
    for start in range(0, len(features), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield start, dense[block] @ dense.T + (rest[block] @ across).toarray()


def _features(text: str) -> set[str]:
    """Words and pairs of neighbours, each numbered by its occurrence, so that repetition counts."""
    words = re.findall(r"\w+", text.casefold())
    seen: Counter[str] = Counter()
    numbered = set()
    for part in [*words, *(f"{one} {next_one}" for one, next_one in pairwise(words))]:
        seen[part] += 1
        numbered.add(f"{part} #{seen[part]}")
    return numbered
