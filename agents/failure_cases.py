"""Which of a prompt's failures an editor is shown, and what an edit made of the others (docs/strategies.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np

from ..seeding import shuffled
from ..traces.rows import Record
from .writing import failed

Selection = Literal["random", "all", "newest", "frequent", "none"]


def failures(records: Iterable[Record], of: Collection[str]) -> list[Record]:
    """The records of a prompt on the examples `of` (by id) that have something to learn from, first draws only."""
    return [r for r in records if r.repeat == 0 and failed(r) and r.example_id in of]


def selected(
    cases: Sequence[Record],
    how: Selection,
    most: int,
    rng: np.random.Generator,
    others: Iterable[Sequence[Record]] = (),
) -> list[Record]:
    """The failure cases that an editor is shown: at most `most`, unless `how` is `all`.

    `newest`: those that were measured last come first. `frequent`: those that most of the run's prompts fail, whose
    records are `others`.
    """
    if how == "none":
        return []
    order = shuffled(cases, rng)
    if how == "all":
        return order
    if how == "newest":
        order.sort(key=lambda r: -r.step)
    if how == "frequent":
        times = Counter(r.example_id for records in others for r in records if r.repeat == 0 and failed(r))
        order.sort(key=lambda r: -times[r.example_id])
    return order[:most]


def accuracy(scores: Iterable[float | None]) -> float | None:
    """The mean of the scores that are there; None where none is."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
