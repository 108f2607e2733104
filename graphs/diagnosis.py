"""What `sage`'s nodes keep of a diagnosis, and read back: everything is in the run store, nothing in graph state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from itertools import zip_longest

from ..agents.attribution import Share, Trial
from ..agents.critic import Weeded
from ..agents.diagnostician import Draft
from ..agents.directions import REFUTING, Tested
from ..agents.edits import Edit
from ..agents.meaning import said_before
from ..agents.operators import new_sentences
from ..agents.proposer import Direction, Proposed
from ..agents.workspace import FAILS_BELOW, Workspace
from ..evaluation.evaluator import paired_differences
from ..evaluation.hypotheses import Support, coin, difference_in_differences
from ..seeding import shuffled
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..traces.rows import LEFT_OUT, CodeRun, Hypothesis
from .archive import Archive
from .search import REFUTED
from .session import Session
from .state import RunState

REMEMBERED = 24
"""So many of what was tried last stand in a request."""

OF_OPINION, OF_DIRECTION = 10_000, 1_000_000
"""Runs of code are numbered within an iteration: shared ones from 1, each diagnostician's and each direction's from
here, so that the order in which they end does not matter."""

FEW = 3
"""A rejected candidate speaks against its sentences when it has no more of them than this."""


def workspace(session: Session, champion: str, pool: Sequence[str], iteration: int, runs_from: int = 0) -> Workspace:
    """The records of the champion and of the other prompts of the pool, the champion's divided by this iteration's
    coin."""
    names = dict.fromkeys([champion, *pool])
    records = {name: session.evaluator.records(name, "search") for name in names}
    return Workspace(
        task=session.task,
        champion=session.prompt(champion),
        records=records,
        half=diagnosis_half(session, champion, iteration),
        sandbox=session.sandbox,
        keep=lambda run: _keep_run(session, run, runs_from),
        run_id=session.run.id,
        iteration=iteration,
    )


def diagnosis_half(session: Session, champion: str, iteration: int) -> frozenset[str]:
    """The examples that agents and their code may see in this iteration, by its coin."""
    records = session.evaluator.records(champion, "search")
    scored = {r.example_id: (r.score or 0.0) < FAILS_BELOW for r in records if r.score is not None}
    return coin(scored, session.generator(iteration, "coin"), scored)


def _keep_run(session: Session, run: CodeRun, first: int) -> None:
    index = first + run.index
    # The row of a step that is run again takes the place of the one before, which was paid all the same.
    run = replace(run, index=index, usd=run.usd + session.paid_before.pop((run.iteration, index), 0.0))
    session.store.add(run)
    if run.purpose != "predicates":
        cost = {"usd": run.usd} if run.usd else {}
        session.emit("code", iteration=run.iteration, purpose=run.purpose, error=run.error, seconds=run.seconds, **cost)


def beside(shared: Workspace, opinion: int) -> Workspace:
    """A workspace of the same records and findings for one of several diagnosticians at work at once."""
    keep = shared.keep
    first = OF_OPINION * (opinion + 1)
    return replace(
        shared,
        findings=list(shared.findings),
        nothing=list(shared.nothing),
        keep=lambda run: keep(replace(run, index=first + run.index)),
    )


# -- hypotheses ----------------------------------------------------------------------------------------------


def keep_tested(session: Session, iteration: int, tested: Sequence[Tested]) -> None:
    """Store every tested hypothesis of an iteration, in order."""
    for index, t in enumerate(tested):
        d = t.draft
        session.suppose(
            Hypothesis(
                run_id=session.run.id,
                iteration=iteration,
                index=index,
                source=d.source,
                claim=d.claim,
                predicate=d.predicate,
                effect=d.effect,
                fix=d.fix,
                findings=d.findings,
                status="dropped" if t.status == "dropped" else "spare",
                reason=t.reason,
                support={
                    **asdict(t.support),
                    "confirmation": asdict(t.confirmation),
                    "p": t.p,
                    "q": t.q,
                    "tested": t.status,
                    "opinions": t.opinions,
                    "sources": sorted(t.sources),
                    "named_by": sorted(d.named_by),
                },
                matched=tuple(sorted(t.matched)),
                shown=d.shown,
            )
        )


def tested(session: Session, iteration: int) -> list[Tested]:
    """The hypotheses of an iteration, as they were tested."""
    return [_tested(h) for h in session.hypotheses_of(iteration) if h.source != LEFT_OUT]


def _tested(h: Hypothesis) -> Tested:
    s = h.support
    counts = ("n", "failures", "other_n", "other_failures")
    return Tested(
        draft=Draft(h.source, h.claim, h.predicate, h.effect, h.fix, h.findings, h.shown),
        status=s["tested"],
        reason=h.reason,
        support=Support(*(s[name] for name in counts)),
        confirmation=Support(*(s["confirmation"][name] for name in counts)),
        p=s["p"],
        q=s["q"],
        matched=frozenset(h.matched),
        sources=frozenset(s["sources"]),
        index=h.index,
    )


def finding(t: Tested) -> dict[str, object]:
    """A direction as an event tells it: the claim with our own counts."""
    return {
        "claim": t.draft.claim,
        "source": t.draft.source,
        "believed": t.status,
        "n": t.support.n,
        "rate": t.support.rate,
        "other_rate": t.support.other_rate,
    }


def take_up(session: Session, iteration: int, t: Tested) -> None:
    """Mark a hypothesis as one that is acted on."""
    h = session.hypothesis(iteration, t.index)
    support = {**h.support, "opinions": t.opinions, "sources": sorted(t.sources)}
    session.suppose(replace(h, status="direction", fix=t.draft.fix, shown=t.draft.shown, support=support))


def direction(session: Session, iteration: int, index: int) -> Direction:
    """A hypothesis as what is to be acted on."""
    h = session.hypothesis(iteration, index)
    t = _tested(h)
    counted = t.support if t.support.n else None
    return Direction(index, h.claim, h.predicate, h.fix, counted, t.matched, h.cause)


async def look_inside(session: Session, champion: str, pool: Sequence[str], iteration: int, index: int) -> None:
    """Count, by code, what the matched records want, get and have in common, and store it with the hypothesis."""
    h = session.hypothesis(iteration, index)
    if session.sandbox is None or not h.predicate:
        return
    place = workspace(session, champion, pool, iteration, runs_from=OF_DIRECTION + 10 * index)
    mask = f"pd.Series(eval({h.predicate!r}), index=records.index).fillna(False).astype(bool)"
    code = f"toolkit.within(records, {mask}, emit, labels={list(session.task.labels)!r})"
    execution = await place.run(code, f"inside direction {index}")
    telling = [f for f in place.findings if f.name != "counts" and f.value]  # the counts stand with the predicate
    cause = "" if execution.error else "\n".join(f.text for f in telling[:4])
    session.suppose(replace(h, cause=cause))


# -- edits ---------------------------------------------------------------------------------------------------


def keep_edits(session: Session, iteration: int, one: Proposed) -> None:
    """Store what was proposed against a direction."""
    h = session.hypothesis(iteration, one.direction.index)
    shown = tuple(dict.fromkeys((*h.shown, *one.shown)))
    reason = h.reason if one.edits else "nothing was proposed against it"
    edits = tuple(edit.model_dump() for edit in one.edits)
    session.suppose(replace(h, edits=edits, shown=shown, reason=reason, effect=one.cause or h.effect))


def link(session: Session, iteration: int, index: int, candidate: Prompt) -> None:
    """Store which candidate the playbook made against a direction."""
    h = session.hypothesis(iteration, index)
    session.suppose(replace(h, edits=({"operation": "candidate", "text": candidate.origin, "old": candidate.id},)))


def proposals(session: Session, iteration: int) -> list[Proposed]:
    """The edits of an iteration by direction, those that promise most first."""
    found = []
    own = [h for h in session.hypotheses_of(iteration) if h.source != LEFT_OUT]
    for h in sorted(own, key=lambda h: (-_tested(h).worth, h.index)):
        edits = tuple(Edit.model_validate(e) for e in h.edits if e["operation"] != "candidate")
        if h.status == "direction" and edits:
            found.append(Proposed(direction(session, iteration, h.index), h.claim, edits, h.shown))
    return found


def confirmed(session: Session, iteration: int, index: int) -> bool:
    """Whether a hypothesis held where nobody looked."""
    return session.hypothesis(iteration, index).support["tested"] == "confirmed"


def keep_weeded(session: Session, iteration: int, proposals: Sequence[Proposed], weeded: Weeded) -> None:
    """Store which edits the critic left."""
    left = {one.direction.index: one.edits for one in weeded.proposals}
    reasons = {one.direction.index: reason for one, _, reason in weeded.dropped}
    for one in proposals:
        index = one.direction.index
        edits = left.get(index, ())
        h = session.hypothesis(iteration, index)
        reason = h.reason if edits else f"its edit {reasons.get(index, 'was dropped')}"
        session.suppose(replace(h, edits=tuple(e.model_dump() for e in edits), reason=reason))


def trials(archive: Archive, proposals: Sequence[Proposed]) -> list[Trial]:
    """Every edit of the proposals as one to be left out in turn, with what is known for and against it so far."""
    return [
        Trial((one.direction.index, place), edit, one.direction.matched, frozenset(one.shown), archive.odds(edit.text))
        for one in proposals
        for place, edit in enumerate(one.edits)
    ]


def likely(archive: Archive, proposals: Sequence[Proposed]) -> list[Proposed]:
    """The proposals with those of their edits that are more likely of use than not, and that more than one request
    named or something measured speaks for: where few requests are made, one is no agreement."""
    found = {
        trial.key
        for trial in trials(archive, proposals)
        if trial.prior > 0 and (len(archive.names(trial.edit.text)) > 1 or archive.measured(trial.edit.text) > 0)
    }
    return only(proposals, found)


def only(proposals: Sequence[Proposed], keys: Collection[tuple[int, int]]) -> list[Proposed]:
    """The proposals with those of their edits that have one of the keys (direction, place)."""
    kept = []
    for one in proposals:
        edits = tuple(edit for place, edit in enumerate(one.edits) if (one.direction.index, place) in keys)
        if edits:
            kept.append(replace(one, edits=edits))
    return kept


def keep_shares(
    session: Session, iteration: int, proposals: Sequence[Proposed], shares: Sequence[Share]
) -> list[Proposed]:
    """Store what each edit is worth within the bundle; returns the proposals with the edits that earned their place."""
    by_key = {share.trial.key: share for share in shares}
    kept = []
    for one in proposals:
        index = one.direction.index
        own = [by_key[index, place] for place in range(len(one.edits))]
        earned = tuple(share.trial.edit for share in own if share.earned)
        h = session.hypothesis(iteration, index)
        words = "; ".join(share.words for share in own)
        idle = [share.trial.edit.text for share in own if share.idle]
        evidence = [[share.trial.edit.text, round(share.evidence, 4)] for share in own]
        found = {"share": words, "earned": bool(earned), "idle": idle, "evidence": evidence}
        session.suppose(replace(h, support={**h.support, **found}))
        if earned:
            kept.append(replace(one, edits=earned))
    return kept


def confirmation_half(session: Session, state: RunState) -> frozenset[str]:
    """The examples of which no agent may see any in this iteration."""
    seen = diagnosis_half(session, state["champion"], state["iteration"])
    return frozenset(e.id for e in session.task.search if e.id not in seen)


def track(session: Session, state: RunState) -> tuple[Example, ...]:
    """What a bundle of edits races on, in this order: examples of the confirmation half, of which nobody saw any, those
    that its edits are about and others by turns; then the diagnosis half."""
    iteration = state["iteration"]
    kept_back = confirmation_half(session, state)
    about = {i for h in session.hypotheses_of(iteration) if h.support.get("earned") for i in h.matched}
    examples = shuffled(session.task.search, session.generator(iteration, "track"))
    fresh = [e for e in examples if e.id in kept_back]
    inside, outside = [e for e in fresh if e.id in about], [e for e in fresh if e.id not in about]
    turns = [e for pair in zip_longest(inside, outside) for e in pair if e is not None]
    return (*turns, *(e for e in examples if e.id not in kept_back))


# -- what came of it -----------------------------------------------------------------------------------------


def tried(session: Session, champion: str, iteration: int) -> list[str]:
    """Sentences that were measured and found no better, newest last: not those that stand in the champion."""
    text = session.prompt(champion).system
    texts: dict[str, None] = {}
    for h in session.hypotheses_before(iteration):
        texts.update(dict.fromkeys(idle for idle in h.support.get("idle", ()) if idle))
    for decision in session.decisions_before(iteration):
        prompt = session.prompt(decision.prompt_id)
        if decision.verdict in REFUTED and prompt.parents:
            new = new_sentences(prompt, session.prompt(prompt.parents[0]))
            if len(new) <= FEW:
                texts.update(dict.fromkeys(new))
    return [t for t in texts if t not in text][-REMEMBERED:]


def refuted(session: Session, iteration: int, most: int = 12) -> list[str]:
    """Claims that did not hold where nobody looked, newest last."""
    counted = [
        h for h in session.hypotheses_before(iteration) if h.status == "dropped" and h.reason.startswith(REFUTING)
    ]
    claims = [h.claim for h in counted]
    return [c for i, c in enumerate(claims) if not said_before(c, claims[i + 1 :])][-most:]


def keep_effects(session: Session, iteration: int, champion: str, candidates: Sequence[str]) -> None:
    """Store for every direction what the candidates made against it changed where it should, against elsewhere."""
    verdicts = {d.prompt_id: d.verdict for d in session.decisions_of(iteration)}
    for h in session.hypotheses_of(iteration):
        if h.status != "direction" or not h.matched or not h.edits:
            continue
        texts = [str(e["text"]) for e in h.edits]
        own = [
            c for c in candidates if h.edits[0]["old"] == c or any(t in session.prompt(c).system for t in texts if t)
        ]
        best = max(own, key=lambda c: (verdicts.get(c) == "accepted", len(session.evaluator.records(c, "search"))),
                   default=None)  # fmt: skip
        if best is None:
            continue
        examples = session.task.search
        inside = [e for e in examples if e.id in set(h.matched)]
        outside = [e for e in examples if e.id not in set(h.matched)]
        scores = session.evaluator.scores
        effect = difference_in_differences(
            paired_differences(scores(best, inside), scores(champion, inside)),
            paired_differences(scores(best, outside), scores(champion, outside)),
        )
        outcome = verdicts.get(best, "not measured")
        session.suppose(
            replace(h, support={**h.support, "effect": effect.words, "outcome": outcome, "candidate": best})
        )
