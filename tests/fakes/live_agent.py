"""An agent that decides by a `Decider`, as a process that can be killed: says what it was told and what was taken.

python -m sage_spo.tests.fakes.live_agent STATE LAST_ID
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from sage_spo import Decider
from sage_spo.seeding import digest, generator

DESCRIPTIONS = ["Press a button.", "One of the buttons is to be pressed."]
INSTRUCTIONS = ["Choose.", "Choose boldly.", "Choose the best.", "Choose what is new."]
OPTIONS: dict[str, Any] = {"projection": None, "hidden": 8, "iterations": 30, "eta": 3.0}


def vectors(texts: Sequence[str]) -> np.ndarray:
    """Made-up embeddings, of eight numbers, that depend on the text alone."""
    return np.array([generator(0, text).standard_normal(8) for text in texts])


def opened(path: object, **changes: Any) -> Decider:
    """The decider that the process works with."""
    settings: dict[str, Any] = {"descriptions": DESCRIPTIONS, "instructions": INSTRUCTIONS, "options": OPTIONS}
    return Decider.open(str(path), embeddings=vectors, **{**settings, **changes})


def value_of(id: int) -> float:
    """The score of what the agent does with meta-prompt `id`, from 0 to 1."""
    return int(digest(id), 16) % 1000 / 1000


def main() -> None:
    decider, last = opened(sys.argv[1]), int(sys.argv[2])
    for id in reversed(decider.unanswered()):  # what it was told before it was killed
        answered(decider, id)
    while decider.standing().issued < last:  # it may have been killed after the last one
        told = decider.meta_prompt()
        print("told", told.id, flush=True)
        answered(decider, told.id)


def answered(decider: Decider, id: int) -> None:
    """Give the score, and say so once it was taken."""
    print("taken", id, decider.observe(value_of(id), id), flush=True)


if __name__ == "__main__":
    main()
