"""Pairs of an input and its right output: what an instruction is inferred from."""

from __future__ import annotations

from ..evaluation.panels import by_turns
from ..sandbox.text import clean
from ..seeding import shuffled
from ..tasks.example import Example
from .ask import fenced
from .operators import Situation
from .writing import failed

REASONED = ("reasoning", "rationale")
"""Metadata fields that hold how an example's answer is found."""

Pair = tuple[Example, str]
"""An example and a right output for it."""


def right_pairs(s: Situation, most: int) -> list[Pair]:
    """At most so many pairs, drawn at random, answers by turns; none on which what is made of them will be screened.

    Examples that come with their reasoning go first, then those that the situation's prompt answered rightly, with its
    own output, then any other with the expected answer (docs/strategies.md).
    """
    right = {r.example_id: r.output for r in s.records if r.repeat == 0 and r.score is not None and not failed(r)}
    showable = [e for e in s.task.search if e.id not in s.unseen]
    order = by_turns(shuffled(showable, s.rng), lambda e: e.label)
    order.sort(key=lambda e: 0 if _reasoning(e) else 1 if e.id in right else 2)
    return [(e, _output(e, right.get(e.id, ""))) for e in order[:most]]


def shown_pairs(pairs: list[Pair]) -> list[dict[str, str]]:
    """The pairs as they stand in a request, for `pairs.txt`."""
    return [{"input": fenced(example.input), "output": fenced(output, cap=1200)} for example, output in pairs]


def _reasoning(example: Example) -> str:
    return next((str(example.metadata[name]) for name in REASONED if example.metadata.get(name)), "")


def _output(example: Example, right: str) -> str:
    reasoning = _reasoning(example)
    if reasoning:
        return f"{reasoning}\n{example.label}"
    return clean(right).strip() or example.label
