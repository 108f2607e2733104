"""Randomness that depends on a run's seed and on what it is for, and on nothing else."""

from __future__ import annotations

import hashlib

import numpy as np


def digest(*parts: object) -> str:
    """A stable 32-character hexadecimal digest of the parts' text (order and boundaries matter)."""
    h = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = str(part).encode()
        h.update(len(data).to_bytes(8, "big"))
        h.update(data)
    return h.hexdigest()


def generator(seed: int, *path: object) -> np.random.Generator:
    """A generator of its own for (seed, iteration, role, index …): the same path gives the same draws."""
    return np.random.default_rng(int(digest(seed, *path), 16))
