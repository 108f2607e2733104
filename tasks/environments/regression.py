"""Linear regression as a black box: find the weight and the offset of a line from the error of each guess alone.

Source: Yang et al., Large Language Models as Optimizers (arXiv 2309.03409, section 3.1), with the sizes of
arXiv 2502.00728: 50 points x ~ U[-1, 1], y = w·x + b + noise, warm starts in [10, 20].
"""

from __future__ import annotations

import re

import numpy as np

from ...seeding import generator
from .protocol import Description, Outcome, Wording

POINTS, WARM_STARTS = 50, 5
LARGEST = 1e6
NOISE = 1.0
"""Standard deviation of the noise on y."""
_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_PAIR = re.compile(rf"[\[(]\s*(?:w\s*=\s*)?({_NUMBER})\s*,\s*(?:b\s*=\s*)?({_NUMBER})\s*[\])]")


class Regression:
    """Guesses (w, b) of a line through (`weight`, `offset`). Value: the sum of squared errors over the 50 points.

    Regret: how far that is above the least-squares optimum of the same points.
    """

    def __init__(self, weight: float, offset: float) -> None:
        self._true = (weight, offset)
        self.reset(0)

    def reset(self, seed: int) -> list[str]:
        """Draw the points; returns the warm starts, whole numbers in [10, 20]."""
        weight, offset = self._true
        rng = generator(seed, "regression", weight, offset)
        self._x = rng.uniform(-1.0, 1.0, POINTS)
        self._y = weight * self._x + offset + NOISE * rng.standard_normal(POINTS)
        design = np.column_stack([self._x, np.ones(POINTS)])
        best = np.linalg.lstsq(design, self._y, rcond=None)[0]
        self._least = self._error(float(best[0]), float(best[1]))
        return [_shown(float(w), float(b)) for w, b in rng.integers(10, 21, (WARM_STARTS, 2))]

    def describe(self) -> Description:
        """The texts; the points stay hidden, as in the source."""
        return Description(
            task=(
                "You are looking for the minimum of an unknown function of two numbers, w and b. Below are pairs "
                "[w, b] that were tried, each with the function's value there. The lower the value, the better the "
                "pair."
            ),
            instruction=(
                "Study how the value changes with w and with b. Then propose one new pair, different from all pairs "
                "above, whose value should be lower than any value above."
            ),
            answer="End your answer with the new pair in square brackets, such as [12, 34.5]. Write no code.",
            goal="minimise",
            rounds=50,
            low=0.0,
            unreadable="worst",
            eta=100.0,
            wordings={
                "opro": Wording(
                    "Now you will help me minimise a function of w and b. I have some pairs [w, b] and the values of "
                    "the function there, in descending order of value.",
                    "Give me a new pair [w, b] that is different from all pairs above and has a value lower than any "
                    "of them.",
                ),
                "opro-clarified": Wording(
                    "Now you will help me minimise a function of two input variables, w and b. I have some pairs "
                    "[w, b] and the values of the function there. The pairs are in descending order of value, so that "
                    "the last ones are the best: lower values are better.",
                    "Give me a new pair [w, b] that is different from all pairs above and has a function value lower "
                    "than any of them. It may lie outside the range of the pairs above.",
                ),
            },
        )

    def parse(self, reply: str) -> str:
        """The last pair in the reply."""
        pairs = _PAIR.findall(reply)
        if not pairs:
            raise ValueError("it holds no pair of numbers in square brackets")
        w, b = (float(number) for number in pairs[-1])
        if not max(abs(w), abs(b)) <= LARGEST:
            raise ValueError(f"w and b must lie between {-LARGEST:g} and {LARGEST:g}")
        return _shown(w, b)

    def step(self, action: str, action_id: str) -> Outcome:
        """The sum of squared errors of the pair, which is no matter of chance."""
        found = _PAIR.fullmatch(action)
        if found is None:
            raise ValueError(f"'{action}' is no pair [w, b]")
        error = self._error(float(found[1]), float(found[2]))
        return Outcome(error, max(0.0, error - self._least))

    def _error(self, w: float, b: float) -> float:
        return float(np.sum((self._y - w * self._x - b) ** 2))


def _shown(w: float, b: float) -> str:
    return f"[{w:.6g}, {b:.6g}]"
