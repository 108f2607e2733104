"""What strategies share that try several edits of one champion together: its records, and the trial of the edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..agents.attribution import Share, Trial, attribute
from ..agents.edits import Edit, edited
from ..agents.operators import answers_named
from ..agents.workspace import FAILS_BELOW
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.panels import without_demos
from ..evaluation.usefulness import harmful
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .session import Session

BLOCK = 48
"""The champion is measured in blocks, so that what was paid is kept."""

HELD_BACK = 12
"""A sentence of the champion is left out on so many failures of the holdout split."""

UNLIMITED = 200
"""The champion is measured on so many examples in all where no number of target calls limits the run."""

COSTS = 6
"""Target calls that trying one edit of a bundle takes, about."""

FEW_EDITS = 6
"""For fewer edits than the budget can try it is not worth measuring the champion again."""

LEAST, CUT = 80, 8
"""Causes are not looked for on fewer examples. Where the budget does not pay for all, so many fewer are tried."""


async def measure_champion(session: Session, champion: Prompt, examples: Sequence[Example]) -> bool:
    """Measure the champion where its failures are looked for; False where the budget ends before."""
    session.hold_certification(champion)
    try:
        for start in range(0, len(examples), BLOCK):
            await session.evaluator.measure(Job(champion, examples[start : start + BLOCK]))
    except BudgetExceeded:
        return False  # what is known has to do; the validator sees whether a race can still be paid
    return True


def looked_for(session: Session, champion: Prompt, share: float | None) -> Sequence[Example]:
    """Where failures of the champion are looked for: on a `share` of the budget's target calls (None: on all of the
    search split)."""
    examples = without_demos(session.panels.everything, champion)
    limit = session.ledger.budget.target_calls
    return examples[: None if share is None else UNLIMITED if limit is None else max(BLOCK, round(share * limit))]


def affordable(session: Session, champion: Prompt, examples: Sequence[Example]) -> Sequence[Example]:
    """So many of the examples as the budget has room for beside a few edits that are tried and their race; none where
    these are too few to find causes in."""
    race = 2 * session.rules.block + min(session.rules.holdout, len(session.task.holdout))
    least = min(LEAST, len(examples))
    while examples and not session.evaluator.affordable(Job(champion, examples), beside=FEW_EDITS * COSTS + race):
        examples = examples[:-CUT]
    return examples if len(examples) >= least else ()


async def shares(
    session: Session,
    champion: Prompt,
    trials: Sequence[Trial],
    rng: np.random.Generator,
    *,
    iteration: int,
    among: frozenset[str] | None = None,
) -> list[Share] | None:
    """What each edit of the champion is worth within the bundle of all, on examples that the champion was measured on
    (`among` these ids); None where the budget has no room for that and a race after it."""
    task = session.task

    def build(edits: Sequence[Edit]) -> Prompt:
        return edited(task, champion, edits, "a bundle of edits")

    return await _measured(session, build, trials, failures(session, champion, rng, among), iteration)


async def missed(
    session: Session, champion: Prompt, start: Prompt, trials: Sequence[Trial], rng: np.random.Generator, iteration: int
) -> list[Share] | None:
    """What sentences of the champion are worth (each a trial whose edit adds it), on failures of the prompt that the
    search set out from; None where the budget has no room for that and a race after it."""
    task = session.task

    def build(edits: Sequence[Edit]) -> Prompt:
        left = {edit.text for edit in edits}
        gone = [Edit(operation="remove", old=t.edit.text) for t in trials if t.edit.text not in left]
        return edited(task, champion, gone, "some sentences left out") if gone else champion

    found = await _measured(session, build, trials, failures(session, start, rng), iteration)
    return None if found is None else await _without_harm(session, champion, build, found)


async def _without_harm(
    session: Session, champion: Prompt, build: Callable[[Sequence[Edit]], Prompt], found: Sequence[Share]
) -> list[Share]:
    """The shares, with those sentences marked that concern every answer and do harm on the holdout split: what
    pays on the examples that a search looks at may be learned by heart."""
    labels, task = session.task.labels, session.task
    known = session.evaluator.scores(champion.id, task.holdout)
    failing = [e for e in task.holdout if (score := known.get(e.id)) is not None and score < FAILS_BELOW][:HELD_BACK]
    jobs = {
        i: Job(build([s.trial.edit for s in found if s is not share]), failing, "holdout")
        for i, share in enumerate(found)
        if failing and share.earned and not answers_named(share.trial.edit.text, labels)
    }
    if not jobs:
        return list(found)
    try:
        await session.evaluator.measure(*jobs.values())
    except BudgetExceeded:
        return list(found)
    kept = list(found)
    for i, job in jobs.items():
        scores = [s for s in session.evaluator.scores(job.prompt.id, failing).values() if s is not None]
        mended = sum(score >= FAILS_BELOW for score in scores)
        if harmful(mended, len(scores)):
            kept[i] = replace(found[i], harm=f"left out, {mended} of {len(scores)} held-back failures come right")
    return kept


def failures(
    session: Session, prompt: Prompt, rng: np.random.Generator, among: frozenset[str] | None = None
) -> list[Example]:
    """The examples of the search split, shuffled, that a prompt is known to fail."""
    bad = {
        r.example_id
        for r in session.evaluator.records(prompt.id, "search")
        if r.repeat == 0 and r.score is not None and r.score < FAILS_BELOW and (among is None or r.example_id in among)
    }
    return [e for e in shuffled(without_demos(session.task.search, prompt), rng) if e.id in bad]


def room_for_trials(session: Session, count: int, costs: int = COSTS) -> bool:
    """Whether the budget has room for so many trials, each of so many target calls, and for a race after them."""
    race = 2 * (session.rules.block + min(session.rules.holdout, len(session.task.holdout)))
    return session.calls.room_for_new("target", count * costs + race)


async def _measured(
    session: Session,
    build: Callable[[Sequence[Edit]], Prompt],
    trials: Sequence[Trial],
    failing: Sequence[Example],
    iteration: int,
) -> list[Share] | None:
    if not room_for_trials(session, len(trials)):
        return None
    try:
        found = await attribute(session.evaluator, build, trials, failing)
    except BudgetExceeded:
        return None
    session.emit(
        "edits_tried",
        iteration=iteration,
        edits=[{"text": s.trial.edit.text or s.trial.edit.old, "kept": s.earned, "words": s.words} for s in found],
    )
    return found
