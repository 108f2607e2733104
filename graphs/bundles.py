"""What strategies share that try several edits of one champion together: its records, and the trial of the edits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..agents.attribution import Share, Trial, attribute
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.panels import without_demos
from ..tasks.prompt import Prompt
from .session import Session

BLOCK = 48
"""The champion is measured in blocks, so that what was paid is kept."""

UNLIMITED = 200
"""The champion is measured on so many examples in all where no number of target calls limits the run."""

COSTS = 6
"""Target calls that trying one edit of a bundle takes, about."""


async def measure_champion(session: Session, champion: Prompt, share: float | None) -> bool:
    """Measure the champion where its failures are looked for, on a `share` of the budget's target calls (None: on all
    of the search split); False where the budget ends before."""
    examples = without_demos(session.panels.everything, champion)
    limit = session.ledger.budget.target_calls
    enough = len(examples) if share is None else UNLIMITED if limit is None else max(BLOCK, round(share * limit))
    session.hold_certification(champion)
    try:
        for start in range(0, min(enough, len(examples)), BLOCK):
            await session.evaluator.measure(Job(champion, examples[start : min(start + BLOCK, enough)]))
    except BudgetExceeded:
        return False  # what is known has to do; the validator sees whether a race can still be paid
    return True


async def shares(
    session: Session,
    champion: Prompt,
    trials: Sequence[Trial],
    rng: np.random.Generator,
    *,
    iteration: int,
    among: frozenset[str] | None = None,
) -> list[Share] | None:
    """What each edit is worth within the bundle of all, on examples that the champion was measured on (`among` these
    ids); None where the budget has no room for that and a race after it."""
    rules, task = session.rules, session.task
    race = 2 * (rules.block + min(rules.holdout, len(task.holdout)))
    if not session.calls.room_for_new("target", len(trials) * COSTS + race):
        return None
    known = {r.example_id for r in session.evaluator.records(champion.id, "search")}
    usable = known if among is None else known & among
    examples = [e for e in without_demos(task.search, champion) if e.id in usable]
    try:
        found = await attribute(session.evaluator, champion, trials, examples, rng)
    except BudgetExceeded:
        return None
    session.emit(
        "edits_tried",
        iteration=iteration,
        edits=[{"text": s.trial.edit.text or s.trial.edit.old, "kept": s.earned, "words": s.words} for s in found],
    )
    return found
