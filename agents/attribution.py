"""Which edits of a bundle earn their place: each is left out in turn, on examples that the bundle mended.

Causes of failure hide one another: an example that fails for two reasons stays wrong until both are mended, so that
good edits tried alone look idle. They are therefore tried together, and an edit stays when an example that it is
about is right with it and wrong without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..evaluation.evaluator import Evaluator, Job
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .edits import Edit, edited
from .workspace import FAILS_BELOW

ABOUT = 8
"""For each edit the bundle is measured on so many of the failures that the edit is about."""

LEFT_OUT = 4
"""The bundle without an edit is measured on at most so many of those that the bundle mended."""


MISSED = 1 / 3
"""An edit earns its place when at least this share of what the bundle mended fails again without it."""


@dataclass(frozen=True)
class Trial:
    """One edit of a bundle: what it is for (`key`), the examples it is about (empty: any), those its writer saw."""

    key: tuple[int, int]
    edit: Edit
    matched: frozenset[str]
    shown: frozenset[str]


@dataclass(frozen=True)
class Share:
    """What one edit is worth within the bundle: of `failing` failures that it is about the bundle mended `fixed`;
    left out, `lost` of `tested` of these fail again."""

    trial: Trial
    failing: int
    fixed: int
    tested: int
    lost: int
    stood_in: bool = False
    """Whether another edit does the same work, so that this one is good and not needed."""

    @property
    def earned(self) -> bool:
        """Whether it is missed: one example that fails again is looked into on more examples, where there are more."""
        return self.lost > 0 and self.lost >= MISSED * self.tested

    @property
    def idle(self) -> bool:
        """Whether enough was seen to say that it does nothing."""
        return not self.earned and not self.stood_in and self.tested >= 2

    @property
    def words(self) -> str:
        if not self.fixed:
            return f"fixed none of {self.failing} failures that it is about"
        return f"together fixed {self.fixed} of {self.failing}; left out, {self.lost} of {self.tested} fail again"


async def attribute(
    evaluator: Evaluator,
    champion: Prompt,
    trials: Sequence[Trial],
    examples: Sequence[Example],
    rng: np.random.Generator,
) -> list[Share]:
    """What each edit is worth, in order; raises BudgetExceeded where it cannot be paid.

    `examples` are those that the champion was measured on and may be compared on.
    """
    demos = {i for trial in trials for i in trial.edit.demo_ids}
    examples = [e for e in examples if e.id not in demos]
    known = evaluator.scores(champion.id, examples)
    order = shuffled(examples, rng)
    failing = [e for e in order if known.get(e.id) is not None and (known[e.id] or 0.0) < FAILS_BELOW]
    about = [_about(trial, failing, evaluator.task.labels) for trial in trials]
    together = edited(evaluator.task, champion, [t.edit for t in trials], "all edits")
    union = list({e.id: e for chosen in about for e in chosen[:ABOUT]}.values())
    await evaluator.measure(Job(together, union))
    now = {i: score for i, score in evaluator.scores(together.id, union).items() if score is not None}
    fixed = [[e for e in chosen if now.get(e.id, 0.0) >= FAILS_BELOW] for chosen in about]
    shares = [
        Share(trial, sum(e.id in now for e in chosen), len(mended), 0, 0)
        for trial, chosen, mended in zip(trials, about, fixed, strict=True)
    ]
    shares = await _left_out(evaluator, champion, shares, fixed, 0)
    shares = await _left_out(evaluator, champion, shares, fixed, LEFT_OUT)
    return await _without_stand_ins(evaluator, champion, shares, fixed)


async def _left_out(
    evaluator: Evaluator, champion: Prompt, shares: list[Share], fixed: Sequence[Sequence[Example]], start: int
) -> list[Share]:
    """The shares after leaving each edit out on the next few examples that the bundle mended.

    From the second time on only the edits in doubt are: one example may fail again by chance.
    """
    edits = [share.trial.edit for share in shares]
    found, jobs = list(shares), {}
    for i, share in enumerate(shares):
        examples = fixed[i][start : start + LEFT_OUT]
        if examples and (start == 0 or share.lost == 1):
            others = [edit for k, edit in enumerate(edits) if k != i]
            jobs[i] = Job(edited(evaluator.task, champion, others, "one edit left out"), examples)
    if jobs:
        measured = await evaluator.measure(*jobs.values())
        for i, job in list(jobs.items())[:measured]:
            scores = [s for s in evaluator.scores(job.prompt.id, job.examples).values() if s is not None]
            lost = sum(score < FAILS_BELOW for score in scores)
            found[i] = replace(shares[i], tested=shares[i].tested + len(scores), lost=shares[i].lost + lost)
    return found


async def _without_stand_ins(
    evaluator: Evaluator, champion: Prompt, shares: Sequence[Share], fixed: Sequence[Sequence[Example]]
) -> list[Share]:
    """Two edits that say the same are both dispensable, alone: of those that can stand in for each other one stays.

    The bundle of those that are missed is measured on what the others mended. Where it fails, the others are added
    one after the other, and one that mends its share of these examples stays.
    """
    found = list(shares)
    open_ones = [i for i, share in enumerate(shares) if not share.earned and share.fixed]
    about = {i: fixed[i][:LEFT_OUT] for i in open_ones}
    examples = list({e.id: e for chosen in about.values() for e in chosen}.values())
    needed = [share.trial.edit for share in shares if share.earned]
    missed = await _wrong(evaluator, champion, needed, examples)
    at_first = frozenset(missed)
    for i in open_ones:
        own = [e for e in about[i] if e.id in missed]
        if len(own) < sum(e.id in at_first for e in about[i]):
            found[i] = replace(shares[i], stood_in=True)
        if not own or len(own) < MISSED * len(about[i]):
            continue
        mended = {e.id for e in own} - await _wrong(evaluator, champion, [*needed, shares[i].trial.edit], own)
        if mended and len(mended) >= MISSED * len(own):
            found[i] = replace(shares[i], tested=len(own), lost=len(mended))
            needed.append(shares[i].trial.edit)
            missed -= mended
    return found


async def _wrong(
    evaluator: Evaluator, champion: Prompt, edits: Sequence[Edit], examples: Sequence[Example]
) -> set[str]:
    """The ids of the examples, failures of the champion, that it still fails with the edits."""
    if not edits or not examples:
        return {e.id for e in examples}
    prompt = edited(evaluator.task, champion, edits, "edits that are missed")
    await evaluator.measure(Job(prompt, examples))
    return {
        i for i, score in evaluator.scores(prompt.id, examples).items() if score is not None and score < FAILS_BELOW
    }


def _about(trial: Trial, failing: Sequence[Example], labels: Sequence[str]) -> list[Example]:
    """Failures that an edit is about, those that its writer did not see first."""
    matched = [e for e in failing if e.id in trial.matched]
    if len(matched) < ABOUT // 2:  # too few to judge by: those that want an answer which the edit names
        named = [label for label in labels if label.lower() in trial.edit.text.lower()]
        matched += [e for e in failing if e not in matched and (e.label in named or not named)]
    return sorted(matched, key=lambda e: e.id in trial.shown)
