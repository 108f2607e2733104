"""Agents that decide in sequence, scripted: how well one decides under a meta-prompt is known, and told by its words.

Each reply depends on the request alone. Rephrasing a text ends it with some of `MANNERS`; each of these words adds its
weight to the agent's skill, from 0 to 1: the chance that it decides well. So every meta-prompt's true worth is known,
close texts are alike, and the best of them is worth finding. In a test or a benchmark:

    with FakeServer(ScriptedActor()) as server:
        decide("bandits:buttons-hard", "expo", agent=f"openai:actor@{server.url}", …)

As a process (prints its address): `python -m sage_spo.tests.fakes.acting`.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sage_spo.seeding import digest, generator

from .agent import form_of

MANNERS = (
    *("calmly", "boldly", "patiently", "quickly", "carefully", "freely", "strictly", "gently", "plainly", "warmly"),
    *("coolly", "firmly", "slowly", "keenly", "fairly", "neatly", "loosely", "soundly", "rarely", "wisely", "idly"),
    *("dimly", "briskly", "vaguely"),
)
WORDS_A_TEXT = 4
START, SPREAD = 0.45, 0.13
LEAST, MOST = 0.02, 0.98
_LINE = re.compile(r"^(\S+): chosen (\d+) times, (?:average \w+ ([\d.]+)|no)", re.MULTILINE)
_PAIR = re.compile(r"^\[(\S+), (\S+)\] → \w+ (\S+)$", re.MULTILINE)
_TOUR = re.compile(r"^([\d,]+) → \w+ (\S+)$", re.MULTILINE)
_CITY = re.compile(r"\((\d+)\): \((\S+), (\S+)\)")
_INDEX = re.compile(r"This is version (\d+) of many")
_ASKED = re.compile(r"<(data-\w+)>\n(.*?)\n</\1>", re.DOTALL)


def weights(seed: int = 0) -> dict[str, float]:
    """What each word adds to the skill; they sum to 0."""
    drawn = generator(seed, "manners").permutation(np.linspace(-SPREAD, SPREAD, len(MANNERS)))
    return dict(zip(MANNERS, map(float, drawn), strict=True))


@dataclass(frozen=True)
class ScriptedActor:
    """For a FakeServer: rephrases and decides.

    `seed`: of the words' weights. `switch_at`: from the round after so many plays (bandits alone) the words have the
    opposite weights. `sloppy`: the share of its answers that hold no action. `copies`: rephrasings are so many
    different ones.
    """

    seed: int = 0
    switch_at: int | None = None
    sloppy: float = 0.0
    copies: int | None = None

    def __call__(self, request: Mapping[str, Any]) -> str:
        text = str(request["messages"][0]["content"])
        if form_of(request) == "Rephrasing":
            return json.dumps({"text": self.rephrased(text)})
        rng = generator(self.seed, "act", digest(json.dumps(request, sort_keys=True)))
        if rng.random() < self.sloppy:
            return "I would rather not say."
        good = rng.random() < self.skill(text)
        if lines := _LINE.findall(text):
            return f"<answer>{_button(lines, good, rng)}</answer>"
        if cities := _CITY.findall(text):
            return f"<tour>{','.join(map(str, _tour(cities, _TOUR.findall(text), good, rng)))}</tour>"
        return "[{:.2f}, {:.2f}]".format(*_point(_PAIR.findall(text), good, rng))

    def rephrased(self, request: str) -> str:
        """The text that the request holds, ended with some of the words."""
        found, index = _ASKED.search(request), _INDEX.search(request)
        text = found[2] if found else ""
        number = int(index[1]) if index else 0
        rng = generator(self.seed, "rephrase", text, number % self.copies if self.copies else number)
        words = rng.choice(MANNERS, WORDS_A_TEXT, replace=False)
        return f"{text} Do it {', '.join(words)}."

    def skill(self, text: str) -> float:
        """The chance that it decides well when it is told this."""
        worth = weights(self.seed)
        total = sum(worth[word] for word in re.findall(r"[a-z]+", text) if word in worth)
        plays = sum(int(count) for _, count, _ in _LINE.findall(text))
        turned = self.switch_at is not None and plays >= self.switch_at
        return min(MOST, max(LEAST, START + (-total if turned else total)))


def _button(lines: list[tuple[str, str, str]], good: bool, rng: np.random.Generator) -> str:
    """Well: by an upper bound on the mean; badly: any."""
    if not good:
        return lines[int(rng.integers(len(lines)))][0]
    plays = 1 + sum(int(count) for _, count, _ in lines)

    def bound(line: tuple[str, str, str]) -> float:
        count = int(line[1])
        return float(line[2]) + math.sqrt(0.5 * math.log(plays) / count) if count else math.inf

    return max(lines, key=bound)[0]


def _point(lines: list[tuple[str, str, str]], good: bool, rng: np.random.Generator) -> tuple[float, float]:
    """Well: a tenth to a third of the way from the best pair to the minimum of a parabola through all; badly:
    anywhere."""
    if not good:
        return float(rng.uniform(-10, 50)), float(rng.uniform(-10, 50))
    table = np.array([[float(number) for number in line] for line in lines])
    w, b, value = table[:, 0], table[:, 1], table[:, 2]
    best = table[np.argmin(value), :2]
    if len(table) < 7:
        return float(best[0] + rng.normal(0, 4)), float(best[1] + rng.normal(0, 4))
    design = np.column_stack([w * w, w * b, b * b, w, b, np.ones_like(w)])
    a, c, d, e, f, _ = np.linalg.lstsq(design, value, rcond=None)[0]
    if 4 * a * d - c * c <= 1e-9 or a <= 0:
        return float(best[0] + rng.normal(0, 2)), float(best[1] + rng.normal(0, 2))
    least = np.linalg.solve(np.array([[2 * a, c], [c, 2 * d]]), -np.array([e, f]))
    step = best + rng.uniform(0.1, 0.3) * (np.clip(least, -100, 100) - best)
    return float(step[0] + rng.normal(0, 0.3)), float(step[1] + rng.normal(0, 0.3))


def _tour(
    cities: list[tuple[str, str, str]], lines: list[tuple[str, str]], good: bool, rng: np.random.Generator
) -> list[int]:
    """Well: the best trip with the best of a few stretches turned round; badly: some trip with cities mixed up."""
    points = {int(i): np.array([float(x), float(y)]) for i, x, y in cities}
    known = [([int(city) for city in tour.split(",")], float(length)) for tour, length in lines]
    n = len(points)
    if not known:
        return [0, *(int(c) for c in 1 + rng.permutation(n - 1))]
    if not good:
        tour = list(known[int(rng.integers(len(known)))][0])
        places = 1 + rng.permutation(n - 1)[:4]
        moved = [tour[place] for place in rng.permutation(places)]
        for place, city in zip(places, moved, strict=True):
            tour[place] = city
        return tour
    tour = min(known, key=lambda one: one[1])[0]

    def length(of: list[int]) -> float:
        return sum(float(np.linalg.norm(points[a] - points[b])) for a, b in zip(of, of[1:] + of[:1], strict=True))

    turns = [tour[:i] + tour[i : j + 1][::-1] + tour[j + 1 :] for i in range(1, n - 1) for j in range(i + 1, n)]
    picked = [turns[int(i)] for i in rng.permutation(len(turns))[:5]]
    return min(picked, key=length)


def main() -> None:
    from .server import FakeServer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--switch-at", type=int)
    parser.add_argument("--sloppy", type=float, default=0.0)
    options = parser.parse_args()
    actor = ScriptedActor(options.seed, options.switch_at, options.sloppy)
    with FakeServer(actor, port=options.port) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
