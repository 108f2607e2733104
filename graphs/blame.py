"""Which new sentences of a champion break what the prompt before it did well: each is left out on those examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..agents.attribution import Share, Trial
from ..agents.edits import Edit, edited
from ..agents.operators import answers_named, new_sentences, predicted_label
from ..agents.workspace import FAILS_BELOW
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.usefulness import harmful
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.task import SplitName
from .bundles import room_for_trials
from .session import Session

LOOKED_AT = 6
"""A sentence is left out on at most so many examples that were broken, and on so many that were mended."""

LEAST = 2
"""It is not suspected of breaking fewer."""

BLAMED_FROM = 20_000
"""The hypotheses of an iteration that a sentence does harm are numbered from here."""

SPLITS: tuple[SplitName, SplitName] = ("search", "holdout")


@dataclass(frozen=True)
class Suspect:
    """A sentence, the examples that it may have broken, and those that it may have mended: where it names answers,
    those that get one of them; else those of the holdout split, for what concerns every answer may be learned by heart
    on the examples that a search looks at."""

    text: str
    broken: Sequence[Example]
    mended: Sequence[Example]


async def blamed(session: Session, champion: Prompt, iteration: int) -> list[Share]:
    """The new sentences of a champion that break more than they mend, as shares with their harm; none where that was
    looked into before, and where the budget has no room for that and a race after it."""
    before = _predecessor(session, champion, iteration)
    suspects = [] if before is None else _suspects(session, champion, before)
    looks = sum(min(LOOKED_AT, len(suspect.broken)) for suspect in suspects)
    if not suspects or not room_for_trials(session, looks + LOOKED_AT, costs=1):
        return []
    try:
        right = _beyond_chance(await _right_without(session, champion, [(s, s.broken) for s in suspects]))
        guilty = [(s, found) for s, found in zip(suspects, right, strict=True) if harmful(sum(found), len(found))]
        mended = await _right_without(session, champion, [(s, s.mended) for s, _ in guilty])
    except BudgetExceeded:
        return []
    shares = []
    for (suspect, found), still in zip(guilty, mended, strict=True):
        if suspect.mended and not still:
            continue  # what it is good for was not seen
        again, lost = sum(found) / len(found), 1 - sum(still.values()) / len(still) if still else 0.0
        if again * len(suspect.broken) > lost * len(suspect.mended):
            trial = Trial((BLAMED_FROM + len(shares), 0), Edit(text=suspect.text), frozenset(), frozenset())
            words = f"left out, {sum(found)} of {len(found)} answers come right again that it may have broken"
            shares.append(Share(trial, len(suspect.broken), 0, 0, 0, harm=words))
    if shares:
        told = [{"text": share.trial.edit.text, "words": share.harm} for share in shares]
        session.emit("harm_found", iteration=iteration, sentences=told)
    return shares


def _predecessor(session: Session, champion: Prompt, iteration: int) -> Prompt | None:
    """The champion's own champion, where no iteration that supposed anything has come since."""
    won = [d for d in session.decisions_before(iteration) if d.prompt_id == champion.id and d.verdict == "accepted"]
    if not won or any(h.iteration > won[-1].iteration for h in session.hypotheses_before(iteration)):
        return None
    return session.prompt(won[-1].champion_id)


def _suspects(session: Session, champion: Prompt, before: Prompt) -> list[Suspect]:
    labels, examples = session.task.labels, [*session.task.search, *session.task.holdout]
    was, now = (_right(session, prompt, examples) for prompt in (before, champion))
    broken = [e for e in examples if was.get(e.id) and now.get(e.id) is False]
    mended = [e for e in examples if now.get(e.id) and was.get(e.id) is False]
    records = (r for split in SPLITS for r in session.evaluator.records(champion.id, split) if r.repeat == 0)
    said = {r.example_id: predicted_label(r.output, labels) for r in records}
    held_back = {e.id for e in session.task.holdout}
    suspects = []
    for text in new_sentences(champion, before):
        names = answers_named(text, labels)
        own = {i for i, label in said.items() if (label in names if names else i in held_back)}
        suspects.append(Suspect(text, [e for e in broken if e.id in own], [e for e in mended if e.id in own]))
    return [suspect for suspect in suspects if len(suspect.broken) >= LEAST]


async def _right_without(
    session: Session, champion: Prompt, looks: Sequence[tuple[Suspect, Sequence[Example]]]
) -> list[dict[str, bool]]:
    """For each suspect whether the first few of the examples, by id, are right without it; those that have a score."""
    held_back = {e.id for e in session.task.holdout}
    prompts = [_without(session, champion, suspect) for suspect, _ in looks]
    chosen = [examples[:LOOKED_AT] for _, examples in looks]
    jobs = [
        Job(prompt, own, split)
        for prompt, examples in zip(prompts, chosen, strict=True)
        for split in SPLITS
        if (own := [e for e in examples if (e.id in held_back) == (split == "holdout")])
    ]
    if jobs:
        await session.evaluator.measure(*jobs)
    return [_right(session, prompt, examples) for prompt, examples in zip(prompts, chosen, strict=True)]


def _without(session: Session, champion: Prompt, suspect: Suspect) -> Prompt:
    return edited(session.task, champion, [Edit(operation="remove", old=suspect.text)], "a sentence left out")


def _right(session: Session, prompt: Prompt, examples: Sequence[Example]) -> dict[str, bool]:
    scores = session.evaluator.scores(prompt.id, examples)
    return {i: score >= FAILS_BELOW for i, score in scores.items() if score is not None}


def _beyond_chance(right: Sequence[dict[str, bool]]) -> list[list[bool]]:
    """Without the examples that most often come right whichever sentence is left out: they were broken by chance."""
    times, rights = Counter[str](), Counter[str]()
    for found in right:
        times.update(found.keys())
        rights.update(i for i, ok in found.items() if ok)
    chance = {i for i, n in times.items() if n > 1 and rights[i] > n / 2}
    return [[ok for i, ok in found.items() if i not in chance] for found in right]
