"""Which new sentences of a champion break what the prompt before it did well: each is left out on those examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..agents.attribution import Share, Trial
from ..agents.edits import Edit, edited
from ..agents.operators import new_sentences, predicted_label
from ..agents.workspace import FAILS_BELOW
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.usefulness import harmful
from ..tasks.prompt import Prompt
from ..tasks.task import SplitName
from .session import Session

LOOKED_AT = 6
"""A sentence is left out on at most so many examples that were broken, and on so many that were mended."""

LEAST = 2
"""It is not suspected for fewer."""

BLAMED_FROM = 20_000
"""The hypotheses of an iteration that a sentence does harm are numbered from here."""

Changed = list[tuple[SplitName, str]]
"""Examples whose answer came right, or wrong, from one prompt to the next: split and id."""


@dataclass(frozen=True)
class Suspect:
    """A sentence, and what it may have broken and mended: a sentence that names answers, where the champion gives one
    of them now or should; any other, on the holdout split, for what concerns every answer may be learned by heart on
    the examples that a search looks at."""

    text: str
    broken: Changed
    mended: Changed


async def blamed(session: Session, champion: Prompt, iteration: int) -> list[Share]:
    """The new sentences of a champion that break more than they mend, as shares with their harm; empty where the budget
    has no room to find out, and where that was looked into before."""
    before = _predecessor(session, champion, iteration)
    if before is None:
        return []
    suspects = [s for s in _suspects(session, champion, before) if len(s.broken) >= LEAST]
    try:
        right = await _right_without(session, champion, suspects, [s.broken[:LOOKED_AT] for s in suspects])
        guilty = []
        for suspect, found in zip(suspects, _beyond_chance(right), strict=True):
            if harmful(sum(found.values()), len(found)):
                guilty.append((suspect, sum(found.values()) / len(found)))
        kept = await _right_without(
            session, champion, [s for s, _ in guilty], [s.mended[:LOOKED_AT] for s, _ in guilty]
        )
    except BudgetExceeded:
        return []
    session.emit("looked_for_harm", iteration=iteration, sentences=[{"text": s.text, "broken": len(s.broken), "right": list(map(int, r.values())), "beyond": list(map(int, f.values()))} for s, r, f in zip(suspects, right, _beyond_chance(right), strict=True)], kept=[{"text": s.text, "share": sh, "mended": len(s.mended), "lost": list(map(int, f.values()))} for (s, sh), f in zip(guilty, kept, strict=True)])
    shares = []
    for (suspect, share), found in zip(guilty, kept, strict=True):
        lost = sum(not ok for ok in found.values()) / len(found) if found else 0.0
        if share * len(suspect.broken) > lost * len(suspect.mended):
            words = f"left out, {share:.0%} of {len(suspect.broken)} answers that were right before come right again"
            trial = Trial((BLAMED_FROM + len(shares), 0), Edit(text=suspect.text), frozenset(), frozenset())
            shares.append(Share(trial, len(suspect.broken), 0, 0, 0, harm=words))
    return shares


def _predecessor(session: Session, champion: Prompt, iteration: int) -> Prompt | None:
    """The champion's own champion, where no iteration that supposed anything has come since."""
    won = [d for d in session.decisions_before(iteration) if d.prompt_id == champion.id and d.verdict == "accepted"]
    if not won or any(h.iteration > won[-1].iteration for h in session.hypotheses_before(iteration)):
        return None
    return session.prompt(won[-1].champion_id)


def _suspects(session: Session, champion: Prompt, before: Prompt) -> list[Suspect]:
    task = session.task
    splits: dict[SplitName, Sequence] = {"search": task.search, "holdout": task.holdout}
    broken: Changed = []
    mended: Changed = []
    for split, examples in splits.items():
        was, now = (session.evaluator.scores(p.id, examples) for p in (before, champion))
        for example in examples:
            one, other = was.get(example.id), now.get(example.id)
            if one is not None and other is not None and (one < FAILS_BELOW) != (other < FAILS_BELOW):
                (mended if one < FAILS_BELOW else broken).append((split, example.id))
    said = {
        (r.split, r.example_id): predicted_label(r.output, task.labels)
        for split in splits
        for r in session.evaluator.records(champion.id, split)
        if r.repeat == 0
    }
    found = []
    for text in new_sentences(champion, before):
        names = {label for label in task.labels if label.lower() in text.lower()}
        if names:
            mine = [[at for at in changed if said.get(at) in names] for changed in (broken, mended)]
        else:
            mine = [[at for at in changed if at[0] == "holdout"] for changed in (broken, mended)]
        found.append(Suspect(text, *mine))
    return found


async def _right_without(
    session: Session, champion: Prompt, suspects: Sequence[Suspect], chosen: Sequence[Changed]
) -> list[dict[tuple[SplitName, str], bool]]:
    """For each suspect whether the chosen examples are right without it; those without a score are left out."""
    task = session.task
    jobs: list[list[Job]] = []
    for suspect, places in zip(suspects, chosen, strict=True):
        gone = edited(task, champion, [Edit(operation="remove", old=suspect.text)], "some sentences left out")
        splits = sorted({split for split, _ in places})
        jobs.append([Job(gone, [task.example(i) for s, i in places if s == split], split) for split in splits])
    if any(jobs):
        await session.evaluator.measure(*(job for own in jobs for job in own))
    return [
        {
            (job.split, i): score >= FAILS_BELOW
            for job in own
            for i, score in session.evaluator.scores(job.prompt.id, job.examples).items()
            if score is not None
        }
        for own in jobs
    ]


def _beyond_chance(right: Sequence[dict[tuple[SplitName, str], bool]]) -> list[dict[tuple[SplitName, str], bool]]:
    """The same without the examples that come right whichever sentence is left out: those were broken by chance."""
    every: dict[tuple[SplitName, str], list[bool]] = {}
    for found in right:
        for at, ok in found.items():
            every.setdefault(at, []).append(ok)
    chance = {at for at, oks in every.items() if len(oks) > 1 and sum(oks) > len(oks) / 2}
    return [{at: ok for at, ok in found.items() if at not in chance} for found in right]
