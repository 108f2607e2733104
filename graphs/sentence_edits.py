"""One round of `dual-phase`: sentences edited at once, tested on failure cases, and put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ..agents.attribution import Trial
from ..agents.edits import Edit
from ..agents.edits import edited as with_edits
from ..agents.failure_cases import accuracy, failures, selected
from ..agents.operators import new_sentences
from ..agents.sentence_editor import Edited, Place, edit_sentence
from ..agents.units import units
from ..agents.writing import failed
from ..errors import BudgetExceeded
from ..evaluation.evaluator import Job
from ..evaluation.panels import Panels, shown_last, without_demos
from ..evaluation.sentence_weights import drawn
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..traces.rows import Record
from . import bundles
from .at_once import at_once
from .search import Search
from .session import Session
from .state import RunState

if TYPE_CHECKING:
    from .dual_phase import DualPhaseOptions

SEEN_SHARE = 0.6
"""Share of the search split that editors and the trial of edits may look at in an iteration; a bundle races on the
rest first."""

PLAYBOOK_EDITS = 8
"""So many sentences at most are edited at once where no agent model is set: each edit costs a candidate."""

Fate = Literal["alone", "bundle", "joined", "idle", "unclear", "failed"]
"""How a candidate is to be judged: alone; as the bundle of edits that earned their place, or joined to it; not at all,
where it was left out of the bundle and not missed, or nobody knows, or where it got too few failure cases right."""

WORDS: dict[Fate, tuple[str, str]] = {
    "joined": ("second best", "joined with other edits in one candidate"),
    "idle": ("screened out", "left out, it was not missed"),
    "unclear": ("inconclusive", "what it was about stayed wrong, with it and without it"),
    "failed": ("screened out", "got too few of the failure cases right"),
}
"""Outcome and reason of those that the validator does not judge."""


@dataclass(frozen=True)
class One:
    """One edit of a round: the prompt it made, the unit it changed (-1: several), its accuracy on failure cases."""

    prompt: Prompt
    unit: int
    on_failures: float = -1.0
    fate: Fate = "alone"
    edit: Edit | None = None


def verdict(fate: str) -> tuple[str, str]:
    """Outcome and reason of a candidate that the validator did not judge."""
    return WORDS[fate]  # type: ignore[index]


def seen_part(session: Session, iteration: int) -> frozenset[str]:
    """The ids of the examples that editors and the trial of edits may look at in an iteration."""
    order = shuffled(session.task.search, session.generator(iteration, "seen"))
    return frozenset(e.id for e in order[: round(SEEN_SHARE * len(order))])


def track(session: Session, iteration: int) -> tuple[Example, ...]:
    """What a bundle races on, in this order: what nobody looked at, then the rest."""
    seen = seen_part(session, iteration)
    order = shuffled(session.task.search, session.generator(iteration, "track"))
    return tuple(sorted(order, key=lambda e: e.id in seen))


def panels(session: Session, iteration: int, judged: Sequence[str]) -> Panels:
    """What candidates are screened on where they were to be put together and could not be: editors had seen examples of
    this iteration's panel then."""
    shown = {i for prompt_id in judged for i in session.prompt(prompt_id).shown}
    screened = {e.id for e in session.panels.panel(iteration)}
    return session.panels.without(shown) if shown & screened else session.panels


async def edited(
    session: Session, state: RunState, iteration: int, weights: Sequence[float], options: DualPhaseOptions
) -> list[One]:
    """The edits of an iteration, all that were tried, each with what is to become of it."""
    search = Search(session, state, iteration)
    champion = search.champion
    if session.desk is not None or options.share is None:
        await bundles.measure_champion(session, champion, bundles.looked_for(session, champion, options.share))
    bundling = options.together and session.desk is not None
    allowed = frozenset(e.id for e in session.task.search)
    allowed = seen_part(session, iteration) if bundling else allowed - _unseen(search)
    cases = failures(session.evaluator.records(champion.id, "search"), allowed)
    found = await _tries(search, cases, weights, options)
    return await _bundled(search, found) if bundling and cases else found


def _unseen(search: Search) -> frozenset[str]:
    """The panel that candidates are screened on, where they are."""
    if not search.session.rules.screen:
        return frozenset()
    return frozenset(e.id for e in search.session.panels.panel(search.iteration))


async def _tries(
    search: Search, cases: Sequence[Record], weights: Sequence[float], options: DualPhaseOptions
) -> list[One]:
    """For each sentence drawn, edits until one passes the test on failure cases."""
    champion, session = search.champion, search.session
    parts = units(champion.system, options.granularity, search.task.locked)
    count = options.candidates if session.desk is not None else min(options.candidates, PLAYBOOK_EDITS)
    places = drawn(weights, count, search.generator("draw"))
    before = _banned(search)
    banned: dict[str, None] = {}
    found: dict[str, One] = {}
    open_places = list(enumerate(places))
    for attempt in range(options.tries):
        texts, latest = before | set(banned), tuple(banned)

        async def one(
            slot: int, number: int, attempt: int = attempt, texts: set[str] = texts, latest: tuple[str, ...] = latest
        ) -> Edited | None:
            index = slot * options.tries + attempt
            here = replace(search.situation(champion, search.generator("edit", index)), unseen=_unseen(search))
            others = (session.evaluator.records(i, "search") for i in sorted(search.known))
            shown = selected(cases, options.selection, options.shown, here.rng, others)
            place = Place(parts[number], number, len(parts), options.granularity)
            asked = search.attempt(index)
            asked = replace(asked, tried=(*asked.tried, *latest))
            return await edit_sentence(here, place, shown, asked, texts)

        made = await at_once(one(slot, number) for slot, number in open_places)
        tested = await _tested(search, champion, open_places, made, cases, options)
        again: list[tuple[int, int]] = []
        for (slot, number), result in zip(open_places, tested, strict=True):
            if result is None or result.prompt.id in found:
                again.append((slot, number))
                continue
            found[result.prompt.id] = result
            if result.fate == "failed":
                banned |= dict.fromkeys(new_sentences(result.prompt, champion))
                again.append((slot, number))
        open_places = again
        if not open_places or options.h_f == 0:
            break
    return list(found.values())


async def _tested(
    search: Search,
    champion: Prompt,
    places: Sequence[tuple[int, int]],
    made: Sequence[Edited | None],
    cases: Sequence[Record],
    options: DualPhaseOptions,
) -> list[One | None]:
    """The edits with their accuracy on failure cases, `failed` where that is too low; untested where `h_f` is 0 or the
    budget has no room."""
    session = search.session
    found: list[One | None] = []
    for (_, number), one in zip(places, made, strict=True):
        if one is None:
            found.append(None)
            continue
        old = units(champion.system, options.granularity, search.task.locked)[number].text
        new = f"{old} {one.text}" if one.operation == "add" else one.text
        known = one.operation in ("add", "rewrite", "replace") and bool(one.text)
        found.append(One(one.prompt, number, edit=Edit(operation="replace", old=old, text=new) if known else None))
    if options.h_f == 0 or not cases:
        return found
    order = shuffled([search.task.example(case.example_id) for case in cases], search.generator("cases"))
    jobs: dict[int, Job] = {}
    for i, one in enumerate(found):
        if one is not None:
            # Those that its writer was shown come last: they flatter it.
            chosen = shown_last(tuple(order), one.prompt)[: options.cases]
            jobs[i] = Job(one.prompt, without_demos(chosen, champion, one.prompt))
    try:
        fitting = await session.evaluator.measure(*jobs.values())
    except BudgetExceeded:
        return found
    for i, job in list(jobs.items())[:fitting]:
        one, right = found[i], accuracy(session.evaluator.scores(job.prompt.id, job.examples).values())
        if one is not None and right is not None:
            found[i] = replace(one, on_failures=right, fate="failed" if right < options.h_f else one.fate)
    return found


async def _bundled(search: Search, found: Sequence[One]) -> list[One]:
    """The edits, and the bundle of those that are missed when left out; as they are where that cannot be paid."""
    session, champion, task = search.session, search.champion, search.task
    parts = [one for one in found if one.edit is not None and one.fate == "alone"]
    if len(parts) < 2:
        return list(found)
    trials = [
        Trial((i, 0), one.edit, frozenset(one.prompt.shown), frozenset(one.prompt.shown))
        for i, one in enumerate(parts)
        if one.edit is not None
    ]
    seen, rng = seen_part(session, search.iteration), search.generator("left out")
    shares = await bundles.shares(session, champion, trials, rng, iteration=search.iteration, among=seen)
    if shares is None:
        return list(found)
    fates: dict[str, One] = {}
    kept: list[One] = []
    for one, share in zip(parts, shares, strict=True):
        fate: Fate = "joined" if share.earned else "idle" if share.idle else "unclear"
        on = share.fixed / share.failing if share.failing else -1.0
        fates[one.prompt.id] = replace(one, fate=fate, on_failures=on)
        kept += [fates[one.prompt.id]] * share.earned
    others = [fates.get(one.prompt.id, one) for one in found]
    if not kept:
        return others
    if len(kept) == 1:  # it is a candidate already
        return [replace(one, fate="bundle") if one.prompt.id == kept[0].prompt.id else one for one in others]
    shown = tuple(dict.fromkeys(i for one in kept for i in one.prompt.shown))
    joined = with_edits(task, champion, [one.edit for one in kept if one.edit], f"{len(kept)} sentences edited")
    if task.violations(joined) or joined.id in search.known | {one.prompt.id for one in others}:
        return others
    bundle = One(joined.model_copy(update={"shown": shown}), -1, fate="bundle")
    return [bundle, *others]


def accuracy_of(session: Session, prompt_id: str, champion: str) -> float | None:
    """A prompt's accuracy on what was measured of it; where it was only tried within a bundle, the champion's."""
    own = accuracy(r.score for r in session.evaluator.records(prompt_id, "search") if r.repeat == 0)
    if own is not None:
        return own
    return accuracy(r.score for r in session.evaluator.records(champion, "search") if r.repeat == 0)


def on_failures(session: Session, prompt_id: str, champion: str) -> float | None:
    """A prompt's accuracy on those of the champion's failures that it was measured on; None where it was on none."""
    records = session.evaluator.records
    wrong = {r.example_id for r in records(champion, "search") if r.repeat == 0 and failed(r)}
    return accuracy(r.score for r in records(prompt_id, "search") if r.repeat == 0 and r.example_id in wrong)


def _banned(search: Search) -> set[str]:
    """The sentences that got too few failure cases right in earlier iterations."""
    found: set[str] = set()
    for decision in search.session.decisions_before(search.iteration):
        if decision.reason == WORDS["failed"][1]:
            prompt = search.session.prompt(decision.prompt_id)
            found |= set(new_sentences(prompt, *(search.session.prompt(i) for i in prompt.parents)))
    return found
