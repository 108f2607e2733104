"""What `sage` remembers of ideas over the iterations of a run: who named which, and what was measured of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ..agents.attribution import Share, Trial
from ..agents.diagnostician import Draft
from ..agents.edits import Edit, edited
from ..agents.meaning import said_before, same_meaning
from ..agents.operators import new_sentences, sentences
from ..evaluation.usefulness import REFUTED, REJECTED, SURE, TRUSTED, named, useful_share
from ..tasks.prompt import Prompt
from ..traces.rows import LEFT_OUT, Hypothesis
from .search import REFUTED as REJECTED_OUTCOMES
from .session import Session

CARRIED = 12
"""So many of what earlier iterations supposed, and nobody named again, are supposed once more."""

EARLIER = "an earlier diagnosis"
LEFT_OUT_FROM = 10_000
"""The hypotheses of an iteration that are sentences of the champion are numbered from here."""


@dataclass(frozen=True)
class Archive:
    """What was named and measured up to an iteration: who named which text (`iteration.request`), and what each trial
    said for it. Ideas are told apart by meaning; nothing that was named once is forgotten."""

    said: tuple[tuple[str, str], ...]
    evidence: tuple[tuple[str, float], ...]
    requests: dict[int, int]
    """How many independent requests were made, by iteration."""
    labels: tuple[str, ...]
    share: float
    """What share of the edits measured in the last round came to be in the prompt: of the next round's about as many
    will be of use."""

    @classmethod
    def of(cls, session: Session, iteration: int, own: bool = True) -> Archive:
        """The archive as it stands in this iteration, its own hypotheses included, but not what they came to.

        Without its `own`: while they are made, what a crashed execution of the step has left of them must not count.
        """
        said: list[tuple[str, str]] = []
        evidence: list[tuple[str, float]] = []
        rounds: dict[int, list[bool]] = {}
        for h in (*session.hypotheses_before(iteration), *(session.hypotheses_of(iteration) if own else ())):
            said += [(who, h.fix) for who in h.support.get("named_by", ()) if h.fix]
            texts = [str(e["text"]) for e in h.edits if e["operation"] != "candidate"]
            said += [(f"{h.iteration}.direction {h.index}", text) for text in texts if text and text != h.fix]
            if h.iteration < iteration:
                if h.support.get("outcome") in REJECTED_OUTCOMES:
                    evidence += [(text, REJECTED) for text in texts]
                measured = h.support.get("evidence", ())
                evidence += [(text, found) for text, found in measured]
                if h.source != LEFT_OUT:
                    taken = h.support.get("outcome") == "accepted"
                    rounds.setdefault(h.iteration, []).extend(taken and text in texts for text, _ in measured)
        requests: dict[int, set[str]] = {}
        for who, _ in said:
            if who.partition(".")[2].isdecimal():
                requests.setdefault(_round(who), set()).add(who)
        counts = {at: len(names) for at, names in requests.items()}
        last = next((rounds[at] for at in sorted(rounds, reverse=True) if rounds[at]), [])
        share = useful_share(sum(last), len(last))
        return cls(tuple(dict.fromkeys(said)), tuple(evidence), counts, tuple(session.task.labels), share)

    def names(self, text: str) -> frozenset[str]:
        """The requests that named this, in whatever words."""
        return frozenset(who for other, names in self._by_text.items() if self._same(text, other) for who in names)

    @cached_property
    def _by_text(self) -> dict[str, list[str]]:
        """Who named each text: texts come again, and comparing meanings is what takes time here."""
        found: dict[str, list[str]] = {}
        for who, text in self.said:
            found.setdefault(text, []).append(who)
        return found

    def odds(self, text: str, until: int | None = None) -> float:
        """The log odds that the text is of use, by all that was measured of it and by who named it, up to an iteration
        (`until`): what stands in the prompt nobody names again."""
        who = {name for name in self.names(text) if until is None or _round(name) <= until}
        first = min(map(_round, who), default=0)
        asked = sum(n for at, n in self.requests.items() if first <= at and (until is None or at <= until))
        return named(max(1, len(who)), max(asked, len(who))) + self.measured(text)

    def measured(self, text: str) -> float:
        """What was measured of the text, as log likelihood ratio; 0 where nothing was."""
        return sum(found for other, found in self.evidence if self._same(text, other))

    def _same(self, text: str, other: str) -> bool:
        return text == other or same_meaning(text, other, self.labels)


def _round(who: str) -> int:
    return int(who.partition(".")[0])


def carried(
    session: Session, champion: Prompt, iteration: int, now: Sequence[Draft], out: Sequence[str]
) -> list[Draft]:
    """Fixes of earlier iterations that nothing speaks against, neither in the champion nor named again now nor among
    what was tried (`out`): they are counted anew on the champion's records, the most promising first."""
    archive, labels = Archive.of(session, iteration, own=False), session.task.labels
    standing = [*sentences(champion.system), *out, *(d.fix for d in now if d.fix)]
    found: list[tuple[float, Draft]] = []
    for h in reversed(session.hypotheses_before(iteration)):
        if h.status == "dropped" or not h.fix or not h.predicate or said_before(h.fix, standing, labels):
            continue
        odds = archive.odds(h.fix)
        if odds > REFUTED:
            named_by = archive.names(h.fix)
            found.append((odds, Draft(EARLIER, h.claim, h.predicate, h.effect, h.fix, (), h.shown, named_by=named_by)))
            standing.append(h.fix)
    return [draft for _, draft in sorted(found, key=lambda pair: -pair[0])[:CARRIED]]


def spare(session: Session, champion: Prompt, iteration: int) -> list[Edit]:
    """Removals of the champion's sentences that were found to do nothing, in this iteration or an earlier one; not of
    those without which a candidate was measured and rejected, unless they do harm."""
    missed: set[str] = set()
    for decision in session.decisions_before(iteration):
        prompt = session.prompt(decision.prompt_id)
        if decision.verdict in REJECTED_OUTCOMES and prompt.parents:
            parent = session.prompt(prompt.parents[0])
            gone = new_sentences(parent, prompt)
            if 2 * len(gone) <= len(sentences(parent.system)):  # else it was written anew
                missed |= set(gone)
    idle: dict[str, bool] = {}
    for h in _left_out(session, iteration):
        idle |= {str(text): text in h.support["idle"] for text, _ in h.support["evidence"]}
    harm = _harmful(session, iteration)
    idle = {text: gone and text not in missed for text, gone in idle.items()} | dict.fromkeys(harm, True)
    standing = set(sentences(champion.system))
    return [Edit(operation="remove", old=text) for text, gone in idle.items() if gone and text in standing]


def may_lead(session: Session, accepted: Sequence[str], champion: Prompt, iteration: int) -> list[str]:
    """Of the accepted prompts those that may take the lead back from the champion: where it is free of sentences that
    were found to do harm, they have to be too. The first, which the search set out from, always may."""
    harm = _harmful(session, iteration).difference(sentences(champion.system))
    return [i for n, i in enumerate(accepted) if not n or not harm & set(sentences(session.prompt(i).system))]


def _left_out(session: Session, iteration: int) -> list[Hypothesis]:
    """What leaving the champions' sentences out has shown, up to this iteration, oldest first."""
    every = (*session.hypotheses_before(iteration), *session.hypotheses_of(iteration))
    return [h for h in every if h.source == LEFT_OUT]


def _harmful(session: Session, iteration: int) -> set[str]:
    return {str(text) for h in _left_out(session, iteration) for text in h.support.get("harm", ())}


def in_doubt(session: Session, archive: Archive, champion: Prompt, start: Prompt, iteration: int) -> list[Trial]:
    """The champion's own sentences that few requests named, and whose trials so far leave open whether they are of use,
    as trials."""
    matched: dict[str, frozenset[str]] = {}
    since: dict[str, int] = {}
    for h in session.hypotheses_before(iteration):
        for text in (h.fix, *(str(e["text"]) for e in h.edits)):
            matched[text] = matched.get(text, frozenset()) | frozenset(h.matched)
            if h.support.get("outcome") == "accepted":
                since.setdefault(text, h.iteration)
    idle = {edit.old for edit in spare(session, champion, iteration)}
    trials = []
    for place, text in enumerate(new_sentences(champion, start)):
        prior = archive.odds(text, since.get(text))
        without = Edit(operation="remove", old=text)
        settled = text in idle or prior >= (SURE if archive.measured(text) else TRUSTED)
        if settled or session.task.violations(_applied(session, champion, without)):
            continue
        trials.append(
            Trial((LEFT_OUT_FROM + place, 0), Edit(text=text), matched.get(text, frozenset()), frozenset(), prior)
        )
    return trials


def _applied(session: Session, champion: Prompt, edit: Edit) -> Prompt:
    return edited(session.task, champion, [edit], "a sentence left out")


def keep_left_out(session: Session, iteration: int, shares: Sequence[Share]) -> None:
    """Store what the champion's sentences are worth."""
    for share in shares:
        untested = not share.tested and not share.harm
        text, keep = share.trial.edit.text, share.earned or (untested and share.trial.prior > 0)
        session.suppose(
            Hypothesis(
                run_id=session.run.id,
                iteration=iteration,
                index=share.trial.key[0],
                source=LEFT_OUT,
                claim="a sentence of the prompt is missed where it is left out",
                predicate="",
                effect="",
                fix="",
                findings=(),
                status="spare" if keep else "dropped",
                reason=share.words,
                support={
                    "evidence": [[text, round(share.evidence, 4)]],
                    "idle": [] if keep else [text],
                    "harm": [text] if share.harm else [],
                },
                matched=(),
                shown=(),
            )
        )
