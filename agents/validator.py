"""The validator: measures candidates against the champion and says which is accepted. It asks no language model.

Screen all candidates on a small panel, race the most promising ones on growing blocks of fresh examples, then look
on the holdout split whether the winner breaks what worked (docs/validation.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..errors import BudgetExceeded
from ..evaluation.evaluator import Evaluator, Job, paired_differences
from ..evaluation.panels import Panels, shown_last, without_demos
from ..evaluation.preservation import Preservation, mean_loss, preservation
from ..evaluation.screening import Advantage, advantage
from ..evaluation.sequential import anytime_p, probability_better
from ..evaluation.spending import candidate_alpha
from ..evaluation.threshold import passes_threshold
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import SplitName

HANDLED = 0.5
"""An example of the user's preserve set is guarded when the champion scores at least this much on it."""


class ValidationRules(BaseModel):
    """How candidates are measured and accepted (docs/validation.md).

    With `screen`, candidates are compared on a small panel first: `keep` is the share that goes on after each third of
    it, and the best `finalists` race on the other examples; without, all of them race on any of the search split. A
    race goes over blocks of `block` examples, at most `max_race` in all. The first `holdout` examples of the holdout
    split are looked at before a candidate is accepted; it must not break more than `max_regression` of them (a rate).
    Where more than `max_missing` of a candidate's answers are missing, it is not accepted.

    `accept`: `likely` takes a candidate whose probability of being better reaches `confidence` (where its text is
    shorter, `shorter`, if that is set); `significant` spends an error rate of 5 % over all candidates of the run
    (anytime-valid); `argmax` takes the higher mean, as SPO does; `threshold` takes a mean that is higher by
    `least_gain`, or by anything where the champion's is within `least_gain` of 1 (arXiv 2406.13443). A finalist is out
    as soon as its probability of being better falls under `drop_below` after the first block, `drop_step` more after
    each further one, and has won as soon as it reaches `clearly_better`.

    `estimate`: how prompts are ranked, by `shrunken` estimates or, as in the papers, by the `mean` of their scores.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    screen: bool = True
    keep: float = Field(default=0.6, gt=0, le=1)
    finalists: int = Field(default=2, ge=1, le=64)
    block: int = Field(default=24, ge=1)
    max_race: int = Field(default=72, ge=1)
    holdout: int = Field(default=36, ge=0)
    accept: Literal["likely", "significant", "argmax", "threshold"] = "likely"
    confidence: float = Field(default=0.8, ge=0.5, lt=1)
    shorter: float | None = Field(default=None, ge=0, lt=1)
    least_gain: float = Field(default=0.1, ge=0, le=1)
    clearly_better: float = Field(default=0.95, ge=0.5, le=1)
    drop_below: float = Field(default=0.3, ge=0, lt=1)
    drop_step: float = Field(default=0.15, ge=0, lt=1)
    max_regression: float = Field(default=0.05, ge=0, lt=1)
    max_missing: float = Field(default=0.10, ge=0, lt=1)
    estimate: Literal["shrunken", "mean"] = "shrunken"

    def fitted(self, examples: int) -> ValidationRules:
        """The rules for a search split of so many examples: no race is longer."""
        lengths = {"block": min(self.block, examples), "max_race": min(self.max_race, examples)}
        return self.model_copy(update=lengths)


def bold(rules: ValidationRules) -> ValidationRules:
    """The rules for a candidate whose edits were left out one by one and missed.

    That is evidence of another kind, so it need only be more likely better than not on a short race; the records of
    the next diagnosis show whether it keeps the lead. One that only leaves sentences out need not be better at all.
    """
    if rules.accept != "likely":
        return rules
    changes = {"confidence": 0.5, "shorter": 0.35, "drop_below": 0.1, "drop_step": 0.0, "max_race": 2 * rules.block}
    return rules.model_copy(update=changes)


@dataclass(frozen=True)
class Verdict:
    """What became of one candidate: accepted or not, why in words, and the figures behind it."""

    prompt_id: str
    accepted: bool
    outcome: str
    reason: str
    stats: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The verdicts of one iteration, in the order of the candidates; `budget_spent` where money cut it short."""

    champion: Prompt
    verdicts: list[Verdict]
    budget_spent: bool = False


@dataclass
class Validator:
    """Validates candidates of one run. `flip_rate` is what A/A runs of the seed prompt showed."""

    evaluator: Evaluator
    panels: Panels
    rules: ValidationRules = field(default_factory=ValidationRules)
    flip_rate: float = 0.0
    deterministic: bool = True

    async def validate(
        self,
        champion: Prompt,
        candidates: Sequence[Prompt],
        *,
        iteration: int = 1,
        index: int = 0,
        track: Sequence[Example] = (),
        split: SplitName = "search",
    ) -> Outcome:
        """Measure the candidates against the champion. `index` counts the run's candidates before these.

        With a `track`, examples of the `split` to race on in this order, candidates race at once, without a screen.
        """
        verdicts: dict[str, Verdict] = {}
        panel = () if track or not self.rules.screen else self.panels.panel(iteration)
        track = tuple(track) or (self.panels.track(iteration) if panel else self.panels.everything)
        try:
            screened = await self._screen(champion, candidates, panel, track, split)
        except BudgetExceeded as stop:
            return Outcome(champion, [_not_measured(c, str(stop)) for c in candidates], budget_spent=True)
        for candidate in candidates[len(screened) :]:
            verdicts[candidate.id] = _not_measured(candidate, "the budget had no room to screen it")
        # Those that were seen on the whole panel come first: the rest fell out before.
        ranked = sorted(screened.items(), key=lambda item: (-item[1].n, -item[1].rank))
        finalists = [c for c, a in ranked if a.promising][: self.rules.finalists if self.rules.screen else None]
        for candidate, shown in screened.items():
            if candidate not in finalists:
                verdicts[candidate.id] = Verdict(
                    candidate.id, False, "screened out", _screen_words(shown), {"screen": asdict(shown)}
                )
        spent = len(screened) < len(candidates)
        races, cut = await self._race(champion, finalists, track or panel, split)
        order = sorted(finalists, key=lambda c: -self._lead(races[c]))
        winner: Prompt | None = None
        for candidate in order:
            base = {
                "screen": asdict(screened[candidate]),
                **_race_stats(races[candidate]),
                "reused": self._reused(candidate),
            }
            rank = index + list(candidates).index(candidate) + 1
            if not self._passes(champion, candidate, races[candidate], rank):
                verdict = Verdict(candidate.id, False, "not better", _race_words(races[candidate]), base)
            elif reason := self._missing(candidate):
                verdict = Verdict(candidate.id, False, "inconclusive", reason, base)
            elif winner is not None:
                verdict = Verdict(candidate.id, False, "second best", "another finalist was accepted", base)
            else:
                verdict, ran_out = await self._guard(champion, candidate, races[candidate], rank, base)
                cut = cut or ran_out
                winner = candidate if verdict.accepted else None
            verdicts[candidate.id] = verdict
        spent = spent or cut or not self._room_for_another()
        return Outcome(winner or champion, [verdicts[c.id] for c in candidates], budget_spent=spent)

    def _room_for_another(self) -> bool:
        """Whether the budget could pay one more candidate's panel, first block and holdout check."""
        preserve = self.evaluator.task.preserve
        screen = self.panels.size if self.rules.screen else 0
        calls = screen + self.rules.block + len(self._guarded) + len(preserve)
        return self.evaluator.calls.room_for_new("target", calls)

    # -- screen ----------------------------------------------------------------------------------------------

    async def _screen(
        self,
        champion: Prompt,
        candidates: Sequence[Prompt],
        panel: tuple[Example, ...],
        track: tuple[Example, ...],
        split: SplitName,
    ) -> dict[Prompt, Advantage]:
        """The advantage of each candidate the budget had room for, in their order.

        All are measured on a third of the panel, the better part of them on the second third, and the better part
        of those on the last (successive halving, a little milder).
        """
        room = len(candidates)
        while room and not self.evaluator.affordable(
            *self._least_jobs(champion, candidates[:room], panel, track, split)
        ):
            room -= 1
        if not room:
            raise BudgetExceeded("the budget has no room for another race")
        if not panel:
            return {candidate: Advantage(0, 1.0, None) for candidate in candidates[:room]}
        shown: dict[Prompt, Advantage] = {}
        running = list(candidates[:room])
        third = -(-len(panel) // 3)
        for start in range(0, len(panel), third):
            fair = without_demos(panel[start : start + third], champion, *running)
            await self.evaluator.measure(*(Job(p, fair) for p in (champion, *running)))
            shown |= {candidate: self._advantage(candidate, champion, panel) for candidate in running}
            better = sorted(running, key=lambda c: -shown[c].rank)
            running = better[: max(self.rules.finalists, round(self.rules.keep * len(better)))]
        return shown

    def _advantage(self, candidate: Prompt, champion: Prompt, panel: Sequence[Example]) -> Advantage:
        ids = {e.id for e in panel}
        mine, theirs = (
            [r for r in self.evaluator.records(p.id, "search") if r.example_id in ids and r.repeat == 0]
            for p in (candidate, champion)
        )
        return advantage(self.evaluator.task, mine, theirs)

    def _least_jobs(
        self,
        champion: Prompt,
        candidates: Sequence[Prompt],
        panel: tuple[Example, ...],
        track: tuple[Example, ...],
        split: SplitName,
    ) -> list[Job]:
        """What screening them commits to: the panel, one block of the race and the holdout check of one of them; where
        nothing is screened, a block of the race for each."""
        screen = [Job(p, panel) for p in (champion, *candidates)]
        racing = candidates[:1] if self.rules.screen else candidates
        block = [Job(p, track[: self.rules.block], split) for p in (champion, *racing)]
        return [*screen, *block, *self._guard_jobs(champion, candidates[0])]

    # -- race ------------------------------------------------------------------------------------------------

    async def _race(
        self, champion: Prompt, finalists: Sequence[Prompt], track: tuple[Example, ...], split: SplitName
    ) -> tuple[dict[Prompt, list[float]], bool]:
        """Paired differences of each finalist on the blocks it was raced on, and whether the budget cut it short."""
        differences: dict[Prompt, list[float]] = {c: [] for c in finalists}
        track = shown_last(track, *finalists)[: self.rules.max_race]
        running = list(finalists)
        for start in range(0, len(track), self.rules.block):
            if not running:
                break
            block = without_demos(track[start : start + self.rules.block], champion, *running)
            jobs = [Job(p, block, split) for p in (champion, *running)]
            # A race that leaves no room for the holdout check would have been run for nothing.
            if not self.evaluator.affordable(*jobs, *self._guard_jobs(champion, running[0])):
                return differences, True
            try:
                await self.evaluator.measure(*jobs)
            except BudgetExceeded:  # tokens, dollars or minutes ran out on the way
                return differences, True
            before = self.evaluator.scores(champion.id, block)
            for candidate in running:
                after = self.evaluator.scores(candidate.id, block)
                differences[candidate] += paired_differences(after, before)
            blocks = start // self.rules.block + 1
            running = [c for c in running if self._still_open(differences[c], blocks)]
        return differences, False

    def _missing(self, candidate: Prompt) -> str:
        """Why the candidate's scores say too little: in words, empty where they do not."""
        records = self.evaluator.records(candidate.id, "search")
        missing = sum(r.score is None for r in records)
        few = missing <= self.rules.max_missing * len(records)
        return "" if few else f"{missing} of {len(records)} answers on the search split are missing"

    def _reused(self, candidate: Prompt) -> int:
        """On how many of the examples it was measured on the candidate's writer had seen the right answer."""
        measured = {r.example_id for r in self.evaluator.records(candidate.id, "search")}
        return len(measured & set(candidate.shown))

    def _still_open(self, differences: Sequence[float], blocks: int) -> bool:
        """Whether another block may still change the verdict: the longer a race lasts, the more must be there."""
        least = min(self.rules.confidence, self.rules.drop_below + self.rules.drop_step * (blocks - 1))
        return least <= probability_better(differences) < self.rules.clearly_better

    def _lead(self, differences: Sequence[float]) -> float:
        """By what the finalists are ranked."""
        if not differences:
            return 0.0
        mean = sum(differences) / len(differences)
        return mean if self.rules.accept in ("argmax", "threshold") else probability_better(differences)

    def _passes(self, champion: Prompt, candidate: Prompt, differences: Sequence[float], rank: int) -> bool:
        if not differences:
            return False
        if self.rules.accept == "threshold":
            records = self.evaluator.records(champion.id, "search")  # the paper's V
            known = [r.score for r in records if r.repeat == 0 and r.score is not None]
            gain = sum(differences) / len(differences)
            return passes_threshold(sum(known) / len(known), gain, self.rules.least_gain)
        if self.rules.accept == "argmax":
            return sum(differences) > 0
        if self.rules.accept == "significant":
            return anytime_p(differences) <= candidate_alpha(rank)
        shorter = self.rules.shorter is not None and len(candidate.system) < len(champion.system)
        least = self.rules.shorter if shorter else self.rules.confidence
        return probability_better(differences) >= (least or 0.0)

    # -- preservation ----------------------------------------------------------------------------------------

    async def _guard(
        self, champion: Prompt, candidate: Prompt, race: list[float], rank: int, stats: dict[str, Any]
    ) -> tuple[Verdict, bool]:
        """Look at the holdout (and the user's preserve set) before accepting."""
        task = self.evaluator.task
        guard = self._guarded
        jobs = self._guard_jobs(champion, candidate)
        if not self.evaluator.affordable(*jobs):
            reason = "looked better in the race, but the budget had no room for the holdout check"
            return Verdict(candidate.id, False, "not measured", reason, stats), True
        try:
            await self.evaluator.measure(*jobs)
        except BudgetExceeded as stop:
            return Verdict(candidate.id, False, "not measured", f"{stop}, during the holdout check", stats), True
        held = self._compared(champion, candidate, guard)
        both = [*race, *held]
        stats = {**stats, **_race_stats(both), "holdout": _counts(held)}
        if len(held) < (1 - self.rules.max_missing) * len(guard):
            reason = f"{len(guard) - len(held)} of {len(guard)} holdout answers are missing"
            return Verdict(candidate.id, False, "inconclusive", reason, stats), False
        checks = [self._preserved(held, required=False)]
        if task.preserve:
            known = self.evaluator.scores(champion.id, task.preserve)
            handled = tuple(e for e in task.preserve if (known.get(e.id) or 0.0) >= HANDLED)
            checks.append(self._preserved(self._compared(champion, candidate, handled), required=True))
        for check in checks:
            if check.rejected:
                reason = f"breaks {check.broken} and fixes {check.fixed} of {check.handled} guarded examples"
                return Verdict(candidate.id, False, "breaks too much", reason, stats), False
        if not self._passes(champion, candidate, both, rank):
            return Verdict(candidate.id, False, "not better", _race_words(both), stats), False
        return Verdict(candidate.id, True, "accepted", _race_words(both), stats), False

    @property
    def _guarded(self) -> tuple[Example, ...]:
        return self.evaluator.task.holdout[: self.rules.holdout]

    def _guard_jobs(self, champion: Prompt, candidate: Prompt) -> list[Job]:
        preserve = self.evaluator.task.preserve
        jobs = [Job(p, self._guarded, "holdout") for p in (champion, candidate) if self._guarded]
        return jobs + [Job(p, preserve, "preserve") for p in (champion, candidate) if preserve]

    def _compared(self, champion: Prompt, candidate: Prompt, examples: Sequence[Example]) -> list[float]:
        scores = self.evaluator.scores
        return paired_differences(scores(candidate.id, examples), scores(champion.id, examples))

    def _preserved(self, differences: Sequence[float], *, required: bool) -> Preservation:
        if any(d not in (-1.0, 0.0, 1.0) for d in differences):
            return mean_loss(differences, max_regression=self.rules.max_regression, required=required)
        return preservation(
            fixed=sum(d > 0 for d in differences),
            broken=sum(d < 0 for d in differences),
            handled=len(differences),
            flip_rate=self.flip_rate if required else 0.0,
            deterministic=self.deterministic,
            max_regression=self.rules.max_regression,
            required=required,
        )


def _not_measured(candidate: Prompt, reason: str) -> Verdict:
    return Verdict(candidate.id, False, "not measured", reason)


def _counts(differences: Sequence[float]) -> dict[str, int]:
    fixed, broken = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return {"n": len(differences), "fixed": fixed, "broken": broken}


def _race_stats(differences: Sequence[float]) -> dict[str, Any]:
    if not differences:
        return {"race": {"n": 0, "fixed": 0, "broken": 0}}
    gain = sum(differences) / len(differences)
    return {"race": {**_counts(differences), "gain": gain, "better": probability_better(differences)}}


def _race_words(differences: Sequence[float]) -> str:
    if not differences:
        return "no fresh example to compare on"
    fixed, broken = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    chance = probability_better(differences)
    return f"fixed {fixed}, broke {broken} of {len(differences)}: better with probability {chance:.2f}"


def _screen_words(shown: Advantage) -> str:
    by = "" if shown.likelihood is None else f", log-likelihood {shown.likelihood:+.2f}"
    return f"score {shown.score:+.2f}{by} on {shown.n} panel examples"
