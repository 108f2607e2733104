"""Landscapes with a known truth: prompts as a search makes them, true scores that are a Gaussian random field over the
prompts' embeddings, and binary answers on a panel, which near prompts give alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from sage_spo.evaluation.variogram import distances, pairs_of

SIZE = 16
"""Numbers of an embedding."""


@dataclass(frozen=True)
class Field:
    """Embeddings (prompts, SIZE), generations, true scores (prompts,), and scores on a panel (prompts, examples)."""

    vectors: np.ndarray
    generations: list[int]
    truth: np.ndarray
    scores: np.ndarray

    @property
    def median(self) -> float:
        """The median distance between two prompts."""
        return float(np.median(pairs_of(distances(self.vectors))))


def make_field(
    rng: np.random.Generator,
    prompts: int = 60,
    *,
    range: float = 0.0,
    spread: float = 0.15,
    trend: float = 0.0,
    shared: float = 1.0,
    examples: int = 48,
) -> Field:
    """A field whose true scores have the standard deviation `spread` and a correlation that has fallen to 5 % at
    `range` median distances (0: none at all), and that rise by `trend` with every generation.

    `shared` is the range, likewise, of the noise: how far answers to one example are alike (0: no further than for any
    two prompts).
    """
    vectors, generations = _search(rng, prompts)
    apart = distances(vectors)
    median = float(np.median(pairs_of(apart)))
    deep = np.array(generations) - np.mean(generations)
    truth = 0.6 + spread * _draw(rng, apart, range * median, 1)[:, 0] + trend * deep
    truth = np.clip(truth, 0.03, 0.97)
    hardness = np.sqrt(0.4) * rng.normal(size=examples)
    own = np.sqrt(0.6) * _draw(rng, apart, shared * median, examples)
    scores = (hardness + own < norm.ppf(truth)[:, None]).astype(np.float64)
    return Field(vectors, generations, truth, scores)


def _search(rng: np.random.Generator, prompts: int) -> tuple[np.ndarray, list[int]]:
    """Unit vectors, each an edit of one of the twelve newest."""
    vectors, generations = [_unit(rng.normal(size=SIZE))], [0]
    while len(vectors) < prompts:
        parent = int(rng.integers(max(0, len(vectors) - 12), len(vectors)))
        edit = 0.25 * rng.uniform(0.3, 1.7) * _unit(rng.normal(size=SIZE))
        vectors.append(_unit(vectors[parent] + edit))
        generations.append(generations[parent] + 1)
    return np.array(vectors), generations


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _draw(rng: np.random.Generator, apart: np.ndarray, range: float, columns: int) -> np.ndarray:
    """Standard normal fields with an exponential correlation, shape (prompts, columns)."""
    white = rng.normal(size=(len(apart), columns))
    if range == 0:
        return white
    return np.linalg.cholesky(np.exp(-3 * apart / range) + 1e-9 * np.eye(len(apart))) @ white
