"""The accept rule `regularised`: what a prompt gains on hard examples against what it breaks of what must stay right.

A candidate is accepted when gain - penalty · regress > 0, with a penalty that grows from step to step ("Pick Your
Textual Gradients", arXiv 2609.23716; docs/strategies.md). Hard examples are those that the prompt got wrong,
preserved ones those that were right; both are picked by looking at answers. Where answers differ from draw to draw, the
draws by which they were picked must not be used again: an identical prompt "mends" what was wrong by bad luck and
"breaks" what was right by good luck. `fresh_gate` wants differences between draws that picked nothing; `raw_gate` is
the rule as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .preservation import mean_loss, preservation
from .sequential import probability_better

FIRST_PENALTY, PENALTY_GROWTH = 1.5, 0.1
"""The paper's λ0 and λ1."""

RIGHT = 0.5
"""A preserved example is right while it scores at least this much."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the rule saw of a candidate, and whether it lets it pass.

    `gain` is the mean difference (candidate - prompt) on `hard` examples, `regress` the loss on `preserved` ones, never
    negative, `penalty` its weight λ_t, and `value` = gain - penalty · regress. `fixed` and `worse` count the hard
    examples that score higher and lower, `broken` the preserved ones that score lower.
    """

    gain: float
    regress: float
    penalty: float
    hard: int
    preserved: int
    fixed: int
    worse: int
    broken: int
    better: float | None
    """Probability that the candidate is better on hard examples; None where the rule does not ask for it."""
    passes: bool

    @property
    def value(self) -> float:
        return self.gain - self.penalty * self.regress


def penalty(step: int, first: float = FIRST_PENALTY, growth: float = PENALTY_GROWTH) -> float:
    """λ_t of the step, counted from 0: `first` + `growth` · `step`."""
    return first + growth * step


def raw_gate(gains: Sequence[float], scores: Sequence[tuple[float, float]], penalty: float) -> Gate:
    """The rule as published.

    `gains`: candidate - prompt on the hard examples, by the very draw of the prompt that picked them. `scores`: of
    each preserved example the score that picked it and the candidate's; regress is the share of them that turns from
    right to wrong. Without hard examples nothing passes.
    """
    broken = sum(before >= RIGHT > after for before, after in scores)
    gain, regress = _mean(gains), broken / max(1, len(scores))
    return Gate(
        gain=gain,
        regress=regress,
        penalty=penalty,
        hard=len(gains),
        preserved=len(scores),
        fixed=sum(d > 0 for d in gains),
        worse=sum(d < 0 for d in gains),
        broken=broken,
        better=None,
        passes=bool(gains) and gain - penalty * regress > 0,
    )


def fresh_gate(
    gains: Sequence[float],
    losses: Sequence[float],
    penalty: float,
    *,
    confidence: float = 0.8,
    required: bool = False,
) -> Gate:
    """The rule on draws that picked nothing.

    `gains`: candidate - prompt on the hard examples; `losses`: prompt - candidate on the preserved ones; each in
    [-1, 1]. regress is max(0, mean loss). It passes when gain - penalty · regress is positive and the candidate is
    better on the hard examples with probability `confidence`. On a set that the user named (`required`), regress is
    the one-sided 90 % upper bound of the mean loss: harmlessness must be shown there.
    """
    gain, regress = _mean(gains), max(0.0, _mean(losses))
    if required:
        regress = max(regress, upper_bound(losses))
    better = probability_better(gains)
    return Gate(
        gain=gain,
        regress=regress,
        penalty=penalty,
        hard=len(gains),
        preserved=len(losses),
        fixed=sum(d > 0 for d in gains),
        worse=sum(d < 0 for d in gains),
        broken=sum(d > 0 for d in losses),
        better=better,
        passes=bool(gains) and gain - penalty * regress > 0 and better >= confidence,
    )


def upper_bound(losses: Sequence[float]) -> float:
    """The one-sided 90 % upper bound of the mean loss, as of `preservation`; 1.0 where nothing was measured."""
    if all(loss in (-1.0, 0.0, 1.0) for loss in losses):
        return preservation(sum(x < 0 for x in losses), sum(x > 0 for x in losses), len(losses)).high
    return mean_loss([-loss for loss in losses]).high


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
