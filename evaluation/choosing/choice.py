"""What a chooser says, what it promises, and how an arm is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
State = dict[str, NDArray[Any]]
"""A chooser's learned state: named arrays, fit for `np.savez`."""

LARGEST = 1e6
"""A score beyond it, either way, would overflow the network's numbers of single precision."""


@dataclass(frozen=True)
class Choice:
    """One draw: the arm, the probability it was drawn with, and the entropy (nats) of the distribution it came from.

    An arm chosen without chance has probability 1 and entropy 0.
    """

    arm: int
    probability: float
    entropy: float


class Chooser(Protocol):
    """Chooses one of `arms` arms, round after round.

    Rounds need not alternate: several choices may be open, and their scores may come late, in any order, or never.
    """

    @property
    def arms(self) -> int:
        """How many arms there are."""
        ...

    def choose(self, rng: np.random.Generator) -> Choice:
        """The next arm; changes nothing, so that the same state and generator give the same choice."""
        ...

    def observe(self, arm: int, score: float, probability: float | None = None) -> None:
        """Learn the score of an arm, drawn with `probability` (None: what the arm's probability is now).

        It replaces what the chooser holds and changes none of it in place, so that a shallow copy may learn while
        others choose by the original. A network's fit takes up to a second: in an event loop, give it a thread.
        Raises ValueError on a score that is not finite and on an arm that does not exist, the state untouched.
        """
        ...

    def state(self) -> State:
        """Everything needed to go on exactly: `make_chooser(…, state=…)` of it does."""
        ...


def checked(arm: int, arms: int, score: float) -> float:
    """The score, as a float. Raises ValueError where it is not finite, beyond `LARGEST`, or of no arm."""
    if not 0 <= arm < arms:
        raise ValueError(f"arm {arm} is none of the {arms} arms")
    value = float(score)
    if not math.isfinite(value):
        raise ValueError(f"a score must be a finite number, not {value}")
    if abs(value) > LARGEST:
        raise ValueError(f"a score of {value:g} is out of range: scale scores to about 0 to 1 (at most {LARGEST:g})")
    return value


def softmax(scores: Floats) -> NDArray[np.float64]:
    """exp(scores) divided by its sum, the maximum subtracted first; shape as given."""
    weights = np.exp(np.asarray(scores, dtype=np.float64) - np.max(scores))
    return weights / weights.sum()


def entropy(probabilities: NDArray[np.float64]) -> float:
    """Of a distribution, in nats, from 0 to log K."""
    positive = probabilities[probabilities > 0]
    return max(0.0, float(-(positive * np.log(positive)).sum()))


def draw(probabilities: NDArray[np.float64], rng: np.random.Generator) -> Choice:
    """An arm drawn from the probabilities, which sum to 1."""
    arm = int(np.searchsorted(np.cumsum(probabilities), rng.random() * probabilities.sum(), side="right"))
    arm = min(arm, len(probabilities) - 1)
    return Choice(arm, float(probabilities[arm]), entropy(probabilities))


def best(scores: Floats) -> Choice:
    """The arm with the highest score, the first one on a tie; no chance in it."""
    return Choice(int(np.argmax(scores)), 1.0, 0.0)
