"""Randomness that depends on a run's seed and on what it is for, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def digest(*parts: object) -> str:
    """A stable 32-character hexadecimal digest of the parts' text, or bytes (order and boundaries matter)."""
    framed = []
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        framed += (len(data).to_bytes(8, "big"), data)
    return hashlib.blake2b(b"".join(framed), digest_size=16).hexdigest()


def generator(seed: int, *path: object) -> np.random.Generator:
    """A generator of its own for (seed, iteration, role, index …): the same path gives the same draws."""
    return np.random.default_rng(int(digest(seed, *path), 16))


def shuffled(items: Sequence[T], rng: np.random.Generator) -> list[T]:
    """The items in an order drawn at random."""
    return [items[int(i)] for i in rng.permutation(len(items))]
