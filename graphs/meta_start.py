"""The start from right answers: a prompt inferred from them, judged against the seed before the strategy begins.

Phase 1 of "dual-phase accelerated prompt optimisation" (arXiv 2406.13443; docs/strategies.md), for any strategy whose
option `init` is `meta`.
"""

from __future__ import annotations

from ..agents.meta_instruction import meta_instruction
from ..agents.validator import Outcome, Verdict
from .search import Search
from .search_loop import judge, proposed, settle
from .session import Session
from .state import RunState, Update

LEAN = 0.5
"""A start that is less likely than this to be the better one counts as refuted."""


async def meta_start(session: Session, state: RunState) -> Update:
    """Infer a prompt from right answers and judge it: the run's first iteration."""
    start = session.options.meta_start()
    search = Search(session, state, state["iteration"] + 1)
    here = search.situation(search.seed_prompt, search.generator("meta"))
    child = await meta_instruction(here, search.attempt(0), pairs=start.pairs, sections=start.sections)
    if child is None:
        return {}
    update = proposed(session, state, search.iteration, [child])
    now: RunState = {**state, **update}  # type: ignore[typeddict-item]
    if not start.judged:
        taken = Outcome(child, [Verdict(child.id, True, "accepted", "taken as it is")])
        # Nothing of it was measured yet, so that no estimate could give it the lead.
        return {**update, **settle(session, now, taken), "champion": child.id, "pool": [child.id]}
    outcome = await judge(session, now)
    settled = settle(session, now, outcome)
    return {**update, **settled, "pool": _pool(session, settled, outcome.verdicts[0])}


def _pool(session: Session, settled: Update, verdict: Verdict) -> list[str]:
    """The pool with the start in it, as far as it holds two: one that did not win has other strengths than the seed.

    Not where it was refuted.
    """
    if settled["champion"] == verdict.prompt_id:
        return settled["pool"]
    pool = [prompt_id for prompt_id in settled["pool"] if prompt_id != verdict.prompt_id]
    return pool if refuted(verdict) else [*pool[: session.options.pool - 1], verdict.prompt_id][: session.options.pool]


def refuted(verdict: Verdict) -> bool:
    """Whether the evidence speaks against a candidate, and not only too little for it."""
    if verdict.outcome == "not better":
        return verdict.stats.get("race", {}).get("better", 1.0) < LEAN  # none where no example was left to compare on
    return verdict.outcome in ("screened out", "breaks too much")
