"""Which edits of a bundle earn their place: each is left out in turn, on examples that the bundle mended.

Causes of failure hide one another: an example that fails for two reasons stays wrong until both are mended, so that
good edits tried alone look idle. They are therefore tried together, and an edit stays when examples that it is about
are right with it and wrong without it. Edits that can stand in for each other (those that name the same answers) are
left out together, and put back one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..evaluation.evaluator import Evaluator, Job
from ..evaluation.usefulness import (
    FAILS_AGAIN,
    MENDS,
    MENDS_NOT,
    REFUTED,
    STAYS_RIGHT,
    STAYS_WRONG,
    TRUSTED,
    named,
)
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .edits import Edit
from .operators import answers_named
from .workspace import FAILS_BELOW

ABOUT = 8
"""For each edit the bundle is measured on so many of the failures that the edit is about."""

FEW = 72
"""Where there are no more failures than this, the bundle is measured on all of them."""

LEFT_OUT = 4
"""The bundle without an edit is measured on at most so many of those that the bundle mended."""

RIVALS_OUT = 8
"""The bundle without all edits that name the same answers is measured on so many of those that the bundle mended."""

PUT_BACK = 5
"""One of these edits alone is measured on so many of those that fail without all of them."""

MISSED = 1 / 3
"""Of edits that can stand in for each other one stays that mends at least this share of what fails without them."""


@dataclass(frozen=True)
class Trial:
    """One edit of a bundle: what it is for (`key`), the examples it is about (empty: any), those its writer saw, and
    the log odds, before it is measured, that it is of use."""

    key: tuple[int, int]
    edit: Edit
    matched: frozenset[str]
    shown: frozenset[str]
    prior: float = named(1)


@dataclass(frozen=True)
class Share:
    """What one edit is worth within the bundle: of `failing` failures that it is about the bundle mended `fixed`; of
    `tested` of these it is missed on `lost`. `evidence` is what all this says for it, as log likelihood ratio."""

    trial: Trial
    failing: int
    fixed: int
    tested: int
    lost: int
    evidence: float = 0.0
    stood_in: bool = False
    """Whether another edit does the same work, so that this one is good and not needed."""
    harm: str = ""
    """What speaks for its doing harm where nobody searched, in words."""

    @property
    def odds(self) -> float:
        """The log odds that it is of use, after all that is known."""
        return self.trial.prior + self.evidence

    @property
    def earned(self) -> bool:
        """Whether it is more likely of use than not, and needed."""
        return self.odds > 0 and not self.stood_in and not self.harm

    @property
    def idle(self) -> bool:
        """Whether enough was seen to say that it does nothing."""
        return bool(self.harm) or (not self.stood_in and self.odds < REFUTED)

    @property
    def words(self) -> str:
        if self.harm:
            return self.harm
        if not self.fixed:
            return f"fixed none of {self.failing} failures that it is about"
        missed = f"; left out, {self.lost} of {self.tested} fail again" if self.tested else ""
        return f"together fixed {self.fixed} of {self.failing}{missed}"


async def attribute(
    evaluator: Evaluator, build: Callable[[Sequence[Edit]], Prompt], trials: Sequence[Trial], failing: Sequence[Example]
) -> list[Share]:
    """What each edit is worth, in order; raises BudgetExceeded where it cannot be paid.

    `build` makes the prompt with some of the edits; `failing` are examples that it is known to fail with none of them,
    in the order in which they are to be measured.
    """
    demos = {i for trial in trials for i in trial.edit.demo_ids}
    failing = [e for e in failing if e.id not in demos]
    labels = evaluator.task.labels
    about = [_about(trial, failing, labels) for trial in trials]
    together = build([t.edit for t in trials])
    most = ABOUT if len(failing) > FEW else FEW
    union = list({e.id: e for chosen in about for e in chosen[:most]}.values())
    await evaluator.measure(Job(together, union))
    now = {i: score for i, score in evaluator.scores(together.id, union).items() if score is not None}
    fixed = [[e for e in chosen if now.get(e.id, 0.0) >= FAILS_BELOW] for chosen in about]
    shares = [
        Share(trial, n := sum(e.id in now for e in chosen), len(mended), 0, 0, 0.0 if mended else n * STAYS_WRONG)
        for trial, chosen, mended in zip(trials, about, fixed, strict=True)
    ]
    bundle = _Bundle(evaluator, build, shares, fixed)
    rivals = _rivals(trials, labels)
    in_groups = {i for group in rivals for i in group}
    alone = [i for i, t in enumerate(trials) if i not in in_groups and t.prior < TRUSTED]
    await bundle.leave_out(alone, 0)
    await bundle.leave_out([i for i in alone if bundle.shares[i].lost == 1], LEFT_OUT)
    await bundle.stand_in(alone)
    await bundle.put_back(rivals)
    return bundle.shares


def _rivals(trials: Sequence[Trial], labels: Sequence[str]) -> list[list[int]]:
    """Edits in doubt that name the same answers, where there are two or more: they may do the same work."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, trial in enumerate(trials):
        answers = answers_named(trial.edit.text, labels)
        if answers and trial.prior < TRUSTED:
            groups.setdefault(answers, []).append(i)
    return [group for group in groups.values() if len(group) > 1]


@dataclass
class _Bundle:
    """A bundle under trial: the shares found so far, and what it mended of the failures that each edit is about."""

    evaluator: Evaluator
    build: Callable[[Sequence[Edit]], Prompt]
    shares: list[Share]
    fixed: Sequence[Sequence[Example]]
    chance: set[str] = field(default_factory=set)
    """Examples that were mended by chance."""

    def without(self, indices: Sequence[int], but: Sequence[int] = ()) -> Prompt:
        """The prompt with all edits but these, of which those in `but` stay."""
        gone = set(indices) - set(but)
        return self.build([share.trial.edit for i, share in enumerate(self.shares) if i not in gone])

    async def leave_out(self, indices: Sequence[int], start: int) -> None:
        """Leave each of these edits out, on the next few examples that the bundle mended."""
        jobs = {
            i: Job(self.without([i]), chosen) for i in indices if (chosen := self.fixed[i][start : start + LEFT_OUT])
        }
        found = await self._wrong(list(jobs.values()))
        await self._find_chance({e.id: e for job in jobs.values() for e in job.examples}, found)
        for i, wrong in zip(jobs, found, strict=True):
            told = [bad for name, bad in wrong.items() if name not in self.chance]
            tested, lost = len(told), sum(told)
            share = self.shares[i]
            self.shares[i] = replace(
                share,
                tested=share.tested + tested,
                lost=share.lost + lost,
                evidence=share.evidence + lost * FAILS_AGAIN + (tested - lost) * STAYS_RIGHT,
            )

    async def _find_chance(self, examples: Mapping[str, Example], found: Sequence[Mapping[str, bool]]) -> None:
        """Of the examples that failed again, those that also fail with all edits in another order: they were mended by
        chance, and would be missed whichever edit is left out."""
        lost = [e for name, e in examples.items() if any(wrong.get(name) for wrong in found)]
        if not lost:
            return
        control = self.build([share.trial.edit for share in reversed(self.shares)])
        if control.id != self.without([]).id:
            [wrong] = await self._wrong([Job(control, lost)])
            self.chance |= {name for name, bad in wrong.items() if bad}

    async def stand_in(self, indices: Sequence[int]) -> None:
        """Two edits that say the same are both dispensable, alone: of those that can stand in for each other one stays.

        The bundle without all that are not missed is measured on what these mended. Where it fails, they are put back
        one after the other, and one that mends its share of these examples stays.
        """
        open_ones = [i for i in indices if not self.shares[i].earned and self.shares[i].fixed]
        if len(open_ones) < 2:
            return
        about = {i: [e for e in self.fixed[i][:LEFT_OUT] if e.id not in self.chance] for i in open_ones}
        examples = list({e.id: e for chosen in about.values() for e in chosen}.values())
        [wrong] = await self._wrong([Job(self.without(open_ones), examples)])
        missed = {i for i, bad in wrong.items() if bad}
        at_first, back = frozenset(missed), list[int]()
        for i in open_ones:
            own = [e for e in about[i] if e.id in missed]
            if len(own) < sum(e.id in at_first for e in about[i]):
                self.shares[i] = replace(self.shares[i], stood_in=True)
            if not own or len(own) < MISSED * len(about[i]):
                continue
            [wrong] = await self._wrong([Job(self.without(open_ones, [*back, i]), own)])
            mended = {name for name, bad in wrong.items() if not bad}
            if mended and len(mended) >= MISSED * len(own):
                evidence = len(mended) * MENDS + (len(own) - len(mended)) * MENDS_NOT
                self.shares[i] = replace(
                    self.shares[i], tested=len(own), lost=len(mended), evidence=evidence, stood_in=False
                )
                if self.shares[i].earned:
                    back.append(i)
                    missed -= mended

    async def put_back(self, groups: Sequence[Sequence[int]]) -> None:
        """Leave all edits of each group out, and put each back alone on what fails without them. The one that mends
        most stays, then those that mend what those before did not."""
        mended = [self._by_turns(group) for group in groups]
        jobs = [Job(self.without(group), chosen) for group, chosen in zip(groups, mended, strict=True)]
        back: list[tuple[int, Job]] = []
        failing: list[list[Example]] = []
        for group, chosen, wrong in zip(groups, mended, await self._wrong(jobs), strict=True):
            failing.append(lost := [e for e in chosen if wrong.get(e.id)])
            tested = len(wrong)
            for i in group:
                if lost:
                    back.append((i, Job(self.without(group, [i]), lost[:PUT_BACK])))
                elif self.shares[i].fixed:
                    evidence = min(tested, LEFT_OUT) * STAYS_RIGHT
                    self.shares[i] = replace(self.shares[i], tested=tested, evidence=evidence)
        found = await self._wrong([job for _, job in back])
        mends = {i: {e for e, bad in wrong.items() if not bad} for (i, _), wrong in zip(back, found, strict=True)}
        for group, lost in zip(groups, failing, strict=True):
            open_ones = {e.id for e in lost[:PUT_BACK]}
            for i in sorted(
                (i for i in group if i in mends), key=lambda i: (-len(mends[i]), -self.shares[i].trial.prior)
            ):
                new, spare = len(mends[i] & open_ones), bool(mends[i]) and not mends[i] & open_ones
                # One that mends nothing alone is judged on all of them: no other has done its work.
                tested = len(open_ones) if mends[i] else len(lost[:PUT_BACK])
                evidence = new * MENDS + (tested - new) * MENDS_NOT
                share = replace(self.shares[i], tested=tested, lost=new, evidence=evidence, stood_in=spare)
                self.shares[i] = share
                if share.earned:
                    open_ones -= mends[i]

    def _by_turns(self, group: Sequence[int]) -> list[Example]:
        """What the bundle mended of the failures that these edits are about, of each edit in turn."""
        longest = max(len(self.fixed[i]) for i in group)
        turns = [self.fixed[i][k] for k in range(longest) for i in group if k < len(self.fixed[i])]
        return list({e.id: e for e in turns}.values())[:RIVALS_OUT]

    async def _wrong(self, jobs: Sequence[Job]) -> list[dict[str, bool]]:
        """For each job whether its examples, by id, are failed; without those that have no score."""
        if any(job.examples for job in jobs):
            await self.evaluator.measure(*(job for job in jobs if job.examples))
        return [
            {
                name: score < FAILS_BELOW
                for name, score in self.evaluator.scores(job.prompt.id, job.examples).items()
                if score is not None
            }
            for job in jobs
        ]


def _about(trial: Trial, failing: Sequence[Example], labels: Sequence[str]) -> list[Example]:
    """Failures that an edit is about, those that its writer did not see first."""
    matched = [e for e in failing if e.id in trial.matched]
    if len(matched) < ABOUT // 2:  # too few to judge by: those that want an answer which the edit names
        named_labels = answers_named(trial.edit.text, labels)
        matched += [e for e in failing if e not in matched and (e.label in named_labels or not named_labels)]
    return sorted(matched, key=lambda e: e.id in trial.shown)
