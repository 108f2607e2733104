"""The choosers by name, made anew or from a saved state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError, nearest
from .arms import Arms
from .choice import Choice, Chooser, Floats, State
from .classical import Exp3S, Fixed, Thompson, UpperBound
from .expo import Expo, Rule
from .neural_ucb import NeuralUCB
from .options import ChooserOptions, NetworkOptions

__all__ = ["CHOOSERS", "Choice", "Chooser", "ChooserOptions", "NetworkOptions", "State", "make_chooser"]

CHOOSERS: dict[str, str] = {
    "expo": "softmax of η times the predictions summed over rounds",
    "expo-discounted": "expo, older rounds fading by a factor",
    "expo-fixed-share": "expo, part of the weight spread evenly each round",
    "expo-fading": "expo-discounted, fitted to the scores minus their mean, old ones fading too (this project's own)",
    "stochastic": "expo without the adversarial part: the arm that the newest network predicts to be best",
    "neural-ucb": "the same network with an upper confidence bound",
    "exp3s": "EXP3.S: importance-weighted, no network",
    "ucb1": "UCB1, no network",
    "discounted-ucb": "discounted UCB, no network",
    "thompson": "Beta Thompson sampling, no network",
    "fixed": "always the first arm",
}
"""Every chooser, and what it does in a line."""

RULES: dict[str, Rule] = {
    "expo": "sum",
    "expo-discounted": "discounted",
    "expo-fixed-share": "fixed-share",
    "expo-fading": "fading",
    "stochastic": "newest",
}

NEEDS_EMBEDDINGS = frozenset({*RULES, "neural-ucb"})
"""The choosers with a network; to the others an arm is its number."""


def make_chooser(
    name: str,
    *,
    arms: Floats | Sequence[Floats],
    options: ChooserOptions | None = None,
    seed: int = 0,
    state: Mapping[str, NDArray[Any]] | None = None,
) -> Chooser:
    """The chooser called `name`, as new or as `state` (of a chooser of the same arguments) left it.

    `arms`: one table of embeddings, shape (K, d), or several, whose combinations are the arms: arm i·J + j is row i of
    the first and row j of the second. Choosers without a network use the number of arms alone.
    Raises UsageError for an unknown name, ValueError for arms, options or a state that cannot be.
    """
    if name not in CHOOSERS:
        raise UsageError(f"there is no chooser '{name}' (there are {', '.join(CHOOSERS)}).{nearest(name, CHOOSERS)}")
    chosen = options or ChooserOptions()
    if name in NEEDS_EMBEDDINGS:
        table = Arms(arms, projection=chosen.network.projection, seed=seed)
        if name in RULES:
            return Expo(table, chosen, seed, RULES[name], state)
        return NeuralUCB(table, chosen, seed, state)
    tables = [arms] if isinstance(arms, np.ndarray) else arms
    size = math.prod(len(table) for table in tables)
    if not size:
        raise ValueError("a chooser needs at least one arm")
    if name in ("ucb1", "discounted-ucb"):
        return UpperBound(size, chosen, 1.0 if name == "ucb1" else chosen.discount, state)
    if name == "thompson":
        return Thompson(size, state)
    return Exp3S(size, chosen, state) if name == "exp3s" else Fixed(size)
