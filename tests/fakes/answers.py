"""What the scripted model says: a rule that makes it right more often the better its prompt is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sage_spo.seeding import digest

Answer = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Rule:
    """Answers an input right with a probability that the text before it decides.

    `truth` maps an input to its right answer. The probability is `base` plus the gain of every phrase in `gains`
    found in the system text. Each input has a difficulty that all prompts share (so that two prompts are compared
    on the same luck), except for the share `own_luck` of inputs, drawn anew for every prompt. Nothing but the
    request's messages and `seed` decides.
    """

    truth: Mapping[str, str]
    base: float = 0.4
    gains: Mapping[str, float] = field(default_factory=dict)
    own_luck: float = 0.1
    seed: int = 0

    def __call__(self, request: dict[str, Any]) -> str:
        messages = request["messages"]
        text = str(messages[-1]["content"])
        before = messages[:-1]
        right = self.truth.get(text)
        if right is None:
            return "unknown"
        luck: tuple[object, ...] = (self.seed, text)
        if uniform(self.seed, "own", text, before, request.get("seed")) < self.own_luck:
            luck = (self.seed, text, before, request.get("seed"))
        if uniform(*luck) < self.accuracy(str(before[0]["content"]) if before else ""):
            return right
        wrong = sorted(set(self.truth.values()) - {right}) or ["wrong"]
        return wrong[int(uniform("which", *luck) * len(wrong))]

    def accuracy(self, system: str) -> float:
        """The probability that an input is answered right under this system text."""
        return min(1.0, max(0.0, self.base + sum(gain for phrase, gain in self.gains.items() if phrase in system)))


def rule_for(examples: Iterable[Mapping[str, Any]], **options: Any) -> Rule:
    """A rule that knows the right answers of these examples (`input` and `expected`)."""
    return Rule({str(row["input"]): str(row["expected"]) for row in examples}, **options)


def rule_from_file(path: Path, **options: Any) -> Rule:
    """A rule that knows the examples of a JSON lines file."""
    return rule_for((json.loads(line) for line in path.read_text().splitlines() if line.strip()), **options)


def uniform(*parts: object) -> float:
    """A number in [0, 1) that the parts alone decide."""
    return int(digest(*parts)[:13], 16) / 16**13
