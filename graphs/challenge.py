"""The champion challenged by a candidate that a strategy has picked on its own: the validator has the last word.

A beam or a tree compares its candidates by itself; what it holds to be the best goes through the project's acceptance
before it becomes the champion, on examples that the strategy did not pick it by, as far as there are any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..agents.validator import Outcome, Verdict
from ..evaluation.evaluator import paired_differences
from ..evaluation.panels import without_demos
from ..evaluation.screening import reward
from ..evaluation.sequential import probability_better
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from .session import Session
from .state import RunState

LOST = ("not better", "breaks too much")
"""Outcomes after which a prompt does not challenge the same champion again."""


def race_calls(session: Session, champion: str) -> int:
    """Target calls that a challenge takes until the first look at its race and the holdout check: those of the
    contender, and what the champion was not measured on yet."""
    guarded = (*session.task.holdout[: session.rules.holdout], *session.task.preserve)
    known = len(session.evaluator.scores(champion, guarded))
    return session.rules.block + 2 * len(guarded) - known


EVIDENCE = 0.8
"""A prompt challenges the champion where, on the examples that both were measured on, its probability of being better
is this: a race costs more than another step of the search, and most that seem better only are lucky."""


def may_challenge(session: Session, state: RunState, ids: Sequence[str]) -> list[str]:
    """Those of the prompts that are likely to be better than the champion by what is known of them, and that have not
    lost against it yet, in their order."""
    champion = state["champion"]
    lost = {
        d.prompt_id
        for d in session.decisions_before(state["iteration"])
        if d.champion_id == champion and d.verdict in LOST
    }
    return [i for i in ids if i != champion and i not in lost and likely_better(session, champion, i) >= EVIDENCE]


def likely_better(session: Session, champion: str, prompt_id: str) -> float:
    """The probability that the prompt is better than the champion, by the rewards that both have on the search split
    (see `reward`: where the target scores labels they tell more than scores do)."""

    def rewards(of: str) -> dict[str, float | None]:
        records = session.evaluator.records(of, "search")
        return {r.example_id: reward(session.task, r) for r in records if r.repeat == 0}

    return probability_better(paired_differences(rewards(prompt_id), rewards(champion)))


async def challenge(
    session: Session, state: RunState, contenders: Sequence[str], others: Mapping[str, Verdict], *, spent: bool = False
) -> Outcome:
    """The outcome of an iteration whose `contenders` race against the champion.

    A contender was measured before, so that a short race on other examples is enough (see `bold`). `others` holds a
    verdict for every candidate of the iteration, which stands where it does not race; its figures are kept in any case.
    A contender of an earlier iteration comes after them. `spent`: whether the budget has cut the strategy's own
    comparison short.
    """
    champion = session.prompt(state["champion"])
    session.hold_certification(champion)
    raced = Outcome(champion, [])
    if contenders:
        prompts = [session.prompt(i) for i in contenders]
        raced = await session.validator(state["flip_rate"], tried=True).validate(
            champion,
            prompts,
            iteration=state["iteration"],
            index=state["proposed"] - len(prompts),
            track=fresh_first(session, champion, prompts),
        )
    verdicts = dict(others)
    for verdict in raced.verdicts:
        before = others.get(verdict.prompt_id)
        stats = {**(before.stats if before else {}), **verdict.stats}
        verdicts[verdict.prompt_id] = replace(verdict, stats=stats)
    return Outcome(raced.champion, list(verdicts.values()), raced.budget_spent or spent)


def fresh_first(session: Session, champion: Prompt, contenders: Sequence[Prompt]) -> tuple[Example, ...]:
    """The search split in the order in which contenders race: what no contender was measured on yet comes first, of
    that what the champion was measured on, which costs nothing."""
    measured = {
        p.id: {r.example_id for r in session.evaluator.records(p.id, "search")} for p in (champion, *contenders)
    }
    known = measured.pop(champion.id)
    by_any = set().union(*measured.values())
    order = without_demos(session.panels.everything, champion, *contenders)
    return tuple(sorted(order, key=lambda e: (e.id in by_any, e.id not in known)))


def taken(session: Session, champion: Prompt, first: str, said: Sequence[Verdict], cut: bool, words: str) -> Outcome:
    """The outcome where `first` becomes the champion by the strategy's own comparison, as in its paper, and no race is
    run; `words` say why."""
    told = {v.prompt_id: v for v in said}
    if first != champion.id:
        stats = told[first].stats if first in told else {}
        told[first] = Verdict(first, True, "accepted", words, stats)
    return Outcome(session.prompt(first), list(told.values()), cut)
