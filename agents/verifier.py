"""The verifier: whether a revision passes the gate of `regularised`, measured on hard and on preserved examples.

It asks no language model. The arithmetic is in `evaluation/regularised.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BudgetExceeded
from ..evaluation.evaluator import Evaluator, Job, paired_differences
from ..evaluation.panels import without_demos
from ..evaluation.regularised import RIGHT, Gate, fresh_gate, raw_gate
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import SplitName
from .validator import Verdict

Pair = tuple[float, float]
"""The scores of champion and candidate on one example."""


@dataclass(frozen=True)
class Verifier:
    """Verifies revisions of the champion in one step of a run.

    `raw`: the rule as published, on the draws that picked the sets; else both sides are drawn afresh where the target
    is `stochastic`. `penalty` is λ_t; None without a gate: preserved examples are not measured then, and all that is
    left is the candidate's gain on hard ones. `confidence` and `max_missing` as in the rules of acceptance.
    """

    evaluator: Evaluator
    champion: Prompt
    penalty: float | None
    raw: bool = False
    stochastic: bool = False
    confidence: float = 0.8
    max_missing: float = 0.1

    @property
    def picking(self) -> int:
        """The draw by which examples are picked. Comparisons rest on the first one, of either prompt."""
        return int(self.stochastic and not self.raw)

    @property
    def guarded(self) -> SplitName:
        """The split that what must stay right comes from: the user's own, else the holdout."""
        return "preserve" if self.evaluator.task.preserve else "holdout"

    async def hard(self, batch: Sequence[Example]) -> tuple[Example, ...]:
        """Those of the batch that the champion gets wrong, by the draw that picks. Raises BudgetExceeded."""
        await self._pick([self.champion], batch, "search")
        known = self.evaluator.scores(self.champion.id, batch, self.picking)
        return tuple(e for e in batch if (score := known.get(e.id)) is not None and score < 1.0)

    async def preserved(self, examples: Sequence[Example], prompts: Sequence[Prompt]) -> tuple[Example, ...]:
        """Those of the examples that one of the prompts gets right, by the draw that picks; none without a gate.

        Raises BudgetExceeded where that cannot be measured.
        """
        if self.penalty is None:
            return ()
        await self._pick(prompts, examples, self.guarded)
        known = [self.evaluator.scores(prompt.id, examples, self.picking) for prompt in prompts]
        return tuple(e for e in examples if any((scores.get(e.id) or 0.0) >= RIGHT for scores in known))

    async def ranked(self, candidates: Sequence[Prompt], hard: Sequence[Example]) -> list[Prompt]:
        """The candidates by their mean gain on the hard examples, the best first; a single one is not measured.

        Those that the budget has no room for are left out. Raises BudgetExceeded where it has none for one.
        """
        if len(candidates) < 2:
            return list(candidates)
        examples = without_demos(tuple(hard), self.champion, *candidates)
        if await self.evaluator.measure(*(Job(p, examples) for p in (self.champion, *candidates))) < 2:
            raise BudgetExceeded("the budget has no room to verify another candidate")
        before, gains = self.evaluator.scores(self.champion.id, examples), dict[Prompt, float]()
        for candidate in candidates:
            found = paired_differences(self.evaluator.scores(candidate.id, examples), before)
            if found:
                gains[candidate] = sum(found) / len(found)
        return sorted(gains, key=lambda c: -gains[c])

    async def verdict(self, candidate: Prompt, hard: Sequence[Example], preserved: Sequence[Example]) -> Verdict:
        """Whether the candidate passes. It is measured on preserved examples only where it gains on hard ones.

        Raises BudgetExceeded where that cannot be paid; nothing is measured then.
        """
        hard = without_demos(tuple(hard), self.champion, candidate)
        guarded = preserved if self.penalty is not None else ()
        jobs = self._jobs(candidate, hard, "search")
        if not self.evaluator.affordable(*jobs, *self._jobs(candidate, guarded, self.guarded)):
            raise BudgetExceeded("the budget has no room to verify another candidate")
        gains = await self._pairs(candidate, hard, "search")
        if reason := self._missing(gains, hard):
            return Verdict(candidate.id, False, "inconclusive", reason)
        gate = self._gate(gains, ())
        if gate.passes and guarded:
            losses = await self._pairs(candidate, guarded, self.guarded)
            if reason := self._missing(losses, guarded):
                return Verdict(candidate.id, False, "inconclusive", reason, stats_of(gate))
            gate = self._gate(gains, losses)
        return verdict_of(candidate, gate)

    async def _pick(self, prompts: Sequence[Prompt], examples: Sequence[Example], split: SplitName) -> None:
        """Measure what examples are picked by, after the draw that the prompts are compared by: where a provider's
        first answers share their luck among prompts, first answers must be compared with each other."""
        for draw in range(self.picking + 1):
            jobs = [Job(prompt, examples, split, draw) for prompt in prompts]
            if await self.evaluator.measure(*jobs) < len(jobs):
                raise BudgetExceeded("the budget has no room to see what is hard or must stay right")

    def _jobs(self, candidate: Prompt, examples: Sequence[Example], split: SplitName) -> list[Job]:
        return [Job(p, examples, split) for p in (self.champion, candidate)]

    async def _pairs(self, candidate: Prompt, examples: Sequence[Example], split: SplitName) -> list[Pair]:
        jobs = self._jobs(candidate, examples, split)
        if await self.evaluator.measure(*jobs) < len(jobs):
            raise BudgetExceeded("the budget has no room to verify another candidate")
        before, after = (self.evaluator.scores(p.id, examples) for p in (self.champion, candidate))
        both = ((before.get(e.id), after.get(e.id)) for e in examples)
        return [(b, a) for b, a in both if b is not None and a is not None]

    def _missing(self, pairs: Sequence[Pair], examples: Sequence[Example]) -> str:
        """Why they say too little: in words, empty where they do not."""
        missing = len(examples) - len(pairs)
        return (
            "" if missing <= self.max_missing * len(examples) else f"{missing} of {len(examples)} answers are missing"
        )

    def _gate(self, hard: Sequence[Pair], preserved: Sequence[Pair]) -> Gate:
        gains = [after - before for before, after in hard]
        if self.raw:
            return raw_gate(gains, preserved, self.penalty or 0.0)
        return fresh_gate(
            gains,
            [before - after for before, after in preserved],
            self.penalty or 0.0,
            confidence=self.confidence,
            required=bool(self.evaluator.task.preserve) and bool(preserved),
        )


def verdict_of(candidate: Prompt, gate: Gate) -> Verdict:
    """The gate's decision in words."""
    gains = gate.passes or gate.gain <= 0 or not gate.preserved
    outcome = "accepted" if gate.passes else "not better" if gains else "breaks too much"
    reason = f"gain {gate.gain:+.2f} on {gate.hard} hard examples"
    if gate.better is not None:
        reason += f", better with probability {gate.better:.2f}"
    if gate.preserved:
        reason += f"; regress {gate.regress:.3f} on {gate.preserved} preserved ones at a penalty of {gate.penalty:.1f}"
    return Verdict(candidate.id, gate.passes, outcome, reason, stats_of(gate))


def stats_of(gate: Gate) -> dict[str, Any]:
    """The gate's figures, as they are stored with a verdict."""
    race: dict[str, Any] = {"n": gate.hard, "fixed": gate.fixed, "broken": gate.worse, "gain": gate.gain}
    if gate.better is not None:
        race["better"] = gate.better
    kept = {"n": gate.preserved, "broken": gate.broken, "regress": gate.regress}
    return {"race": race, "preserved": kept, "penalty": gate.penalty, "value": gate.value}
