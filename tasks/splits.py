"""Dividing examples into search, holdout and test, by their content and the split's seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import TaskError
from ..seeding import digest
from .example import Example
from .fields import Placed, duplicate_id

SPLITS = ("search", "holdout", "test")
LEAST = 5
"""Fewest examples a split may have."""
MOST_STRATA = 20
"""Up to so many different expected answers, each is spread evenly over the splits."""


class Shares(BaseModel):
    """What part of the examples each split gets (they add up to 1), and the seed that draws them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    search: float = Field(default=0.5, gt=0.0, lt=1.0)
    holdout: float = Field(default=0.2, gt=0.0, lt=1.0)
    test: float = Field(default=0.3, gt=0.0, lt=1.0)
    seed: int = 0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.search + self.holdout + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"search, holdout and test add up to {total:.6g}, not to 1")
        return self


def split_sizes(n: int, shares: Shares) -> dict[str, int]:
    """How many of `n` examples each split gets: the nearest whole numbers that add up to `n`."""
    exact = {name: n * getattr(shares, name) for name in SPLITS}
    sizes = {name: int(exact[name] + 1e-9) for name in SPLITS}
    by_remainder = sorted(SPLITS, key=lambda name: (sizes[name] - exact[name], SPLITS.index(name)))
    for name in by_remainder[: n - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def split_examples(placed: Sequence[Placed], shares: Shares) -> dict[str, tuple[Placed, ...]]:
    """The examples of each split.

    Depends on what the examples say and on the shares and their seed, never on the order of the file. Equal inputs
    come into one split; up to `MOST_STRATA` different expected answers are spread evenly. Raises TaskError when a
    split would have fewer than `LEAST` examples.
    """
    sizes = split_sizes(len(placed), shares)
    chosen: dict[str, list[Placed]] = {name: [] for name in SPLITS}
    taken = 0
    for group in _in_order(placed, shares.seed):
        taken += len(group)
        behind = {name: sizes[name] * taken / len(placed) - len(chosen[name]) for name in SPLITS}
        chosen[max(SPLITS, key=lambda name: behind[name])] += group
    _check_made(chosen, len(placed), shares)
    return {name: tuple(group) for name, group in chosen.items()}


def check_sizes(splits: Mapping[str, Sequence[Placed]]) -> None:
    """Raises TaskError when one of the three given splits has fewer than `LEAST` examples."""
    for name in SPLITS:
        n = len(splits[name])
        if n < LEAST:
            raise TaskError(f"The {name} split has {_count(n)}; it needs {LEAST}: bring {LEAST - n} more.")


def check_disjoint(splits: Mapping[str, Sequence[Placed]]) -> None:
    """Raises TaskError naming both places when an input or an id is in two splits."""
    seen: dict[str, tuple[str, Placed]] = {}
    for name, placed in splits.items():
        for one in placed:
            other_name, other = seen.setdefault(one.example.input, (name, one))
            if other_name != name:
                raise TaskError(
                    f"The same example is in two splits: {other.where} ({other_name}, id '{other.example.id}') and "
                    f"{one.where} ({name}, id '{one.example.id}'). Remove one of them."
                )
    twice = duplicate_id(one for placed in splits.values() for one in placed)
    if twice:
        first, second = twice
        raise TaskError(
            f"{second.where}: id '{second.example.id}' is also used at {first.where}; ids must be unique in a task."
        )


def _in_order(placed: Sequence[Placed], seed: int) -> Iterable[list[Placed]]:
    """Groups of examples with one input, stratum after stratum, each stratum shuffled by content and seed."""
    groups: dict[str, list[Placed]] = {}
    for one in placed:
        groups.setdefault(one.example.input, []).append(one)
    labels = {one.example.label for one in placed}

    def stratum(group: list[Placed]) -> str:
        return min(one.example.label for one in group) if len(labels) <= MOST_STRATA else ""

    for group in groups.values():
        group.sort(key=lambda one: _content(one.example))
    return sorted(groups.values(), key=lambda group: (stratum(group), digest(seed, group[0].example.input)))


def _content(example: Example) -> tuple[str, str]:
    return example.content, example.id


def _check_made(chosen: Mapping[str, Sequence[Placed]], n: int, shares: Shares) -> None:
    small = [name for name in SPLITS if len(chosen[name]) < LEAST]
    if not small:
        return
    different = len({one.example.input for group in chosen.values() for one in group})
    enough = LEAST * len(SPLITS)
    while min(split_sizes(enough, shares).values()) < LEAST:
        enough += 1
    repeated = f" with only {different} different inputs (equal ones share a split)" if different < n else ""
    raise TaskError(
        f"{_count(n)}{repeated} make a {small[0]} split of {len(chosen[small[0]])}, and every split needs {LEAST}: "
        f"bring {max(1, enough - different)} more, or set other shares under split: in task.yaml."
    )


def _count(n: int) -> str:
    return "1 example" if n == 1 else f"{n} examples"
