"""Comparing candidates on a few examples, where plain accuracy says next to nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..tasks.task import Task
from ..traces.rows import Record

CLIP = 3.0
"""A single example's difference in log-probability is cut here, so that one surprise does not decide."""


@dataclass(frozen=True)
class Advantage:
    """How much better a candidate did than the champion on the same examples.

    `score` is the mean difference in score; `likelihood` the mean difference in the log-probability of the right
    label (None where the target gives none); `rank` is what candidates are sorted by.
    """

    n: int
    score: float
    likelihood: float | None

    @property
    def rank(self) -> float:
        return self.score if self.likelihood is None else self.likelihood + self.score

    @property
    def promising(self) -> bool:
        """Whether the candidate did better by either measure."""
        return self.score > 0 or (self.likelihood is not None and self.likelihood > 0)


def advantage(task: Task, candidate: Sequence[Record], champion: Sequence[Record]) -> Advantage:
    """Compare two prompts on the examples both have a score for.

    On 24 examples the cross-entropy of label scores ranks prompts far better than accuracy does: it moves with
    every example, also with those whose answer stays the same.
    """
    other = {r.example_id: r for r in champion if r.score is not None}
    pairs = [(r, other[r.example_id]) for r in candidate if r.score is not None and r.example_id in other]
    if not pairs:
        return Advantage(0, 0.0, None)
    score = float(np.mean([(a.score or 0.0) - (b.score or 0.0) for a, b in pairs]))
    gains: list[float] = []
    for a, b in pairs:
        mine, theirs = log_probability(task, a), log_probability(task, b)
        if mine is None or theirs is None:
            return Advantage(len(pairs), score, None)
        gains.append(min(CLIP, max(-CLIP, mine - theirs)))
    return Advantage(len(pairs), score, float(np.mean(gains)))


def log_probability(task: Task, record: Record) -> float | None:
    """Log-probability of the expected label among the labels (natural log); None where labels were not scored."""
    scores = record.label_logprobs
    label = task.example(record.example_id).label
    if not scores or label not in scores:
        return None
    top = max(scores.values())
    return scores[label] - top - math.log(sum(math.exp(value - top) for value in scores.values()))


def reward(task: Task, record: Record, *, likelihood: bool = True) -> float | None:
    """What one answer is worth to a search that compares means, from 0 to 1; None where it is missing.

    Its score; with `likelihood`, where the target scores the labels, the mean of that and the probability of the right
    label, which tells prompts apart on few examples.
    """
    if record.score is None:
        return None
    right = log_probability(task, record) if likelihood else None
    return record.score if right is None else (record.score + math.exp(right)) / 2
