"""Sizes and rates of the choosers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any


def _finite(of: object, name: str, *, above: float | None = None, most: float = math.inf) -> None:
    value = getattr(of, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, not {value!r}")
    low = 0.0 if above is None else above
    if not math.isfinite(value) or value < low or value > most or (above is not None and value == above):
        bounds = f"{'above' if above is not None else 'at least'} {low:g}"
        raise ValueError(f"{name} must be {bounds}{f' and at most {most:g}' if most < math.inf else ''}, not {value}")


@dataclass(frozen=True)
class NetworkOptions:
    """The network d → `hidden` → 1 and its fit (ALGORITHMS: EXPO, arXiv 2502.00728; Adam: Kingma and Ba 2015).

    `projection`: columns that each embedding is projected to first (None: none). `decay`: λ of the weight decay λ/n.
    `batch`: with more distinct arms than this among the observations, an iteration sees so many of them (None: all).
    """

    projection: int | None = 256
    hidden: int = 256
    iterations: int = 500
    rate: float = 1e-3
    decay: float = 0.1
    batch: int | None = 64

    def __post_init__(self) -> None:
        for name in ("projection", "hidden", "iterations", "batch"):
            value = getattr(self, name)
            if value is None and name in ("projection", "batch"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1, not {value!r}")
        _finite(self, "rate", above=0)
        _finite(self, "decay")


FAITHFUL = NetworkOptions(projection=None, hidden=1536, iterations=1000, batch=None)
"""The paper's size: 3,072 numbers an embedding → 1,536 → 1, 1,000 iterations, all observations in each."""


@dataclass(frozen=True)
class ChooserOptions:
    """What the choosers take; each reads what concerns it.

    `eta`: η of the softmax over cumulative scores (the paper: 100 for regression and TSP, 10 for bandits).
    `discount`: γ of the discounted variants, the factor that older evidence loses a round.
    `share`: α of fixed share and EXP3.S, the part of the weight that is spread evenly each round.
    `mixing`: γ of EXP3.S, the part of the choices that is uniform. `exploration`: width of the upper bounds (ν of
    NeuralUCB; the factor in front of the root for UCB1 and discounted UCB).
    """

    eta: float = 10.0
    discount: float = 0.9
    share: float = 0.01
    mixing: float = 0.1
    exploration: float = 1.0
    network: NetworkOptions = field(default_factory=NetworkOptions)

    def __post_init__(self) -> None:
        _finite(self, "eta", above=0)
        _finite(self, "exploration")
        _finite(self, "discount", above=0, most=1)
        _finite(self, "share", most=1)
        _finite(self, "mixing", above=0, most=1)

    def faithful(self) -> ChooserOptions:
        """The same at the paper's size."""
        return replace(self, network=FAITHFUL)

    def numbers(self) -> dict[str, Any]:
        """The options as plain values, by name."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "network"}
        return own | {f.name: getattr(self.network, f.name) for f in fields(self.network)}
