"""Travelling salesman: find a short tour through all cities from tours and their lengths.

Source: arXiv 2309.03409, section 3.2, with the sizes of arXiv 2502.00728: cities in [-100, 100]², five warm starts.
The optimum is exact (Held and Karp, J. SIAM 10, 1962).
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ...seeding import generator
from .protocol import Description, Outcome, Wording

ROUNDS = {10: 100, 15: 200, 20: 300}
"""Rounds by number of cities."""
WARM_STARTS = 5
_TOUR = re.compile(r"<tour>([^<]*)</tour>", re.IGNORECASE)
_LIST = re.compile(r"\d+(?:\s*,\s*\d+)+")


class TravellingSalesman:
    """Tours through `cities` cities. Value: the length of the closed tour. Regret: its optimality gap in per cent."""

    def __init__(self, cities: int) -> None:
        self._n = cities
        self.reset(0)

    def reset(self, seed: int) -> list[str]:
        """Draw the cities; returns the warm starts, random tours."""
        rng = generator(seed, "tsp", self._n)
        self._cities = np.round(rng.uniform(-100.0, 100.0, (self._n, 2)), 1)
        self._distances = np.linalg.norm(self._cities[:, None] - self._cities[None], axis=2)
        self._best: float | None = None
        return [_shown([0, *(int(c) for c in 1 + rng.permutation(self._n - 1))]) for _ in range(WARM_STARTS)]

    def describe(self) -> Description:
        """The texts, with the coordinates of the cities."""
        points = "; ".join(f"({i}): ({x:g}, {y:g})" for i, (x, y) in enumerate(self._cities))
        known = f"The cities and their coordinates are {points}."
        example = _shown(list(range(self._n)))
        return Description(
            task=(
                f"You are looking for the shortest round trip through {self._n} cities, numbered from 0 to "
                f"{self._n - 1}. Below are round trips that were tried, each with its length. The shorter, the better."
            ),
            instruction=(
                "Look for legs of the best trips that cross each other or lead far away, and mend them. Then propose "
                "one new trip, different from all trips above and shorter than any of them."
            ),
            answer=(
                f"{known} A trip starts at city 0 and visits every city once. End your answer with the new trip "
                f"between the tags <tour> and </tour>, such as <tour>{example}</tour>. Write no code."
            ),
            goal="minimise",
            rounds=ROUNDS.get(self._n, 10 * self._n),
            low=0.0,
            unreadable="worst",
            eta=100.0,
            value="length",
            wordings={
                "opro": Wording(
                    "You are given a list of points with coordinates. Below are some previous traces and their "
                    "lengths, in descending order of length.",
                    "Give me a new trace that is different from all traces above, and has a length lower than any of "
                    "them. The trace should traverse all points exactly once.",
                ),
                "opro-clarified": Wording(
                    "You are given a list of points with coordinates. Your task is to find the trace of minimal "
                    "length that visits every point exactly once and returns to its start. Below are some previous "
                    "traces and their lengths, in descending order of length: the last ones are the best.",
                    "Give me a new trace that is different from all traces above, and has a length lower than any of "
                    "them. The trace must traverse all points exactly once; the way back to its start counts.",
                ),
            },
        )

    def parse(self, reply: str) -> str:
        """The tour in the last pair of tags, else the last list of numbers; turned so that it starts at city 0."""
        tagged = _TOUR.findall(reply)
        lists = _LIST.findall(tagged[-1] if tagged else reply)
        if not lists:
            raise ValueError("it holds no list of cities between <tour> and </tour>")
        cities = [int(city) for city in re.findall(r"\d{1,9}", lists[-1])]
        if sorted(cities) != list(range(self._n)):
            raise ValueError(f"a trip visits each of the cities 0 to {self._n - 1} once")
        start = cities.index(0)
        return _shown(cities[start:] + cities[:start])

    def step(self, action: str, action_id: str) -> Outcome:
        """The length of the tour, which is no matter of chance."""
        tour = np.array([int(city) for city in action.split(",")])
        if sorted(tour) != list(range(self._n)):
            raise ValueError(f"'{action}' is no trip through all {self._n} cities")
        length = float(self._distances[tour, np.roll(tour, -1)].sum())
        if self._best is None:
            self._best = shortest_tour(self._distances)
        return Outcome(length, max(0.0, 100.0 * (length / self._best - 1.0)))


def shortest_tour(distances: NDArray[np.float64]) -> float:
    """The length of the shortest closed tour, exact; distances of shape (n, n), n from 2 to about 20.

    Dynamic programming over sets of cities: O(n² 2ⁿ) steps, 8·n·2ⁿ⁻¹ bytes (80 MB and a few seconds at n = 20).
    """
    m = len(distances) - 1
    if m < 1:
        raise ValueError("a tour needs two cities at least")
    among, home = distances[1:, 1:], distances[0, 1:]
    # length[S, j]: the shortest way from city 0 through the set S of the others, ending at j.
    length = np.full((1 << m, m), np.inf)
    length[1 << np.arange(m), np.arange(m)] = home
    sets = np.arange(1 << m, dtype=np.int64)
    sizes = np.bitwise_count(sets)
    for size in range(2, m + 1):
        of_size = sets[sizes == size]
        for last in range(m):
            ending = of_size[of_size >> last & 1 == 1]
            length[ending, last] = (length[ending ^ (1 << last)] + among[:, last]).min(axis=1)
    return float((length[-1] + home).min())


def _shown(tour: list[int]) -> str:
    return ",".join(map(str, tour))
