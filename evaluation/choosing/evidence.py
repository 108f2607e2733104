"""What was observed of each arm, and the guards that keep it finite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .choice import State, checked

FADED = 1e-3
"""An arm seen less often than this, fading counted, is as good as never seen."""


@dataclass(frozen=True)
class Evidence:
    """How often each of K arms was observed, and the sum of its scores; both of shape (K,)."""

    counts: NDArray[np.float64]
    totals: NDArray[np.float64]

    @classmethod
    def of(cls, arms: int, state: Mapping[str, NDArray[Any]] | None) -> Evidence:
        """What a saved state says, or nothing yet."""
        return cls(restored(state, "counts", arms), restored(state, "totals", arms))

    def plus(self, arm: int, score: float, fading: float = 1.0) -> Evidence:
        """With one more score, everything before it multiplied by `fading`; raises ValueError as `checked` does."""
        value = checked(arm, len(self.counts), score)
        counts, totals = self.counts * fading, self.totals * fading
        counts[arm] += 1
        totals[arm] += value
        return Evidence(counts, totals)

    def rows(self) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
        """The arms seen, in order, the mean score of each, and how often each was seen; none that has faded."""
        seen = np.flatnonzero(self.counts > FADED)
        means = self.totals[seen] / self.counts[seen]
        return seen, means.astype(np.float32), self.counts[seen].astype(np.float32)

    def state(self) -> State:
        """As named arrays."""
        return {"counts": self.counts.copy(), "totals": self.totals.copy()}


def restored(state: Mapping[str, NDArray[Any]] | None, name: str, size: int, fill: float = 0.0) -> NDArray[np.float64]:
    """The array `name` of a saved state, or `size` times `fill` where there is no state.

    Raises ValueError where the state lacks it, or holds one of another size or with a number that is not finite.
    """
    if state is None:
        return np.full(size, fill)
    if name not in state:
        raise ValueError(f"the saved state lacks '{name}': it is another chooser's")
    found = np.array(state[name], dtype=np.float64)
    if found.shape != (size,):
        raise ValueError(f"'{name}' of the saved state has shape {found.shape}, not ({size},): it is of other arms")
    return finite(found)


def finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values; raises ValueError where one is not finite, so that none enters a sum."""
    if not np.isfinite(values).all():
        raise ValueError("a learned score came out not finite; it was not taken in")
    return values
