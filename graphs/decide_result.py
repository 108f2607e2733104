"""From a run's rounds to its result."""

from __future__ import annotations

from ..evaluation.meta_scores import fixed_regret, running_least, running_sum
from ..traces.decision_result import LOWER_IS_BETTER, DecisionRun, Measure, MetaPrompt
from ..traces.rows import Action
from .decide_session import UNREADABLE, DecideSession


def decision_run(session: DecideSession, stop: str) -> DecisionRun:
    """The result of a run whose rounds are over; `stop` says why before the last one."""
    rounds = [row for _, row in sorted(session.rounds.items())]
    # A round that the budget cut has no seconds: nothing was learned of it.
    rounds = [row for row in rounds if row.seconds]
    taken = {row.round: [a for a in session.actions_of(row.round) if a.taken] for row in rounds}
    measure, curve = _curve(session, [taken[row.round] for row in rounds])
    played = [actions[0] for actions in taken.values() if session.listed and actions and actions[0].means]
    drifts = len({action.means for action in played}) > 1
    answers = [action for row in rounds for action in session.actions_of(row.round)]
    best = _best(session)
    last = rounds[-1] if rounds else None
    prompt = None
    if last is not None and session.how.agent and session.learning is not None:
        task, instruction = session.meta_prompt(last.arm)
        prompt = MetaPrompt(arm=last.arm, task=task, instruction=instruction)
    seconds = [row.seconds for row in rounds]
    return DecisionRun(
        run_id=session.run.id,
        environment=session.settings.environment,
        method=session.settings.method,
        seed=session.settings.seed,
        agent=session.settings.agent if session.how.agent else None,
        embeddings=session.embeddings.name if session.embeddings else None,
        rounds=len(rounds),
        measure=measure,
        lower=measure in LOWER_IS_BETTER or (measure == "best" and session.description.goal == "minimise"),
        figure=curve[-1] if curve else None,
        curve=curve,
        fixed_regret=_fixed_regret(session, played) if drifts else None,
        scores=[row.score for row in rounds],
        entropy=[row.entropy for row in rounds],
        distance=[row.distance for row in rounds],
        arms=[row.arm for row in rounds],
        arms_of=session.learning.chooser.arms if session.learning else 1,
        meta_prompt=prompt,
        best_action=best.action if best else None,
        best_value=best.value if best else None,
        unreadable=sum(action.note.startswith(UNREADABLE) for action in answers),
        missing=sum(row.score is None for row in rounds),
        stop=stop,
        notes=_notes(session),
        spend=session.ledger.report(),
        seconds=session.ledger.seconds,
        seconds_per_round=sum(seconds) / len(seconds) if seconds else 0.0,
        verdict="stopped" if stop else "done",
    )


def _curve(session: DecideSession, taken: list[list[Action]]) -> tuple[Measure, list[float | None]]:
    """What is measured, and its value after each round."""
    known = any(action.regret is not None for actions in taken for action in actions)
    if session.listed:
        values = [(a[0].regret if known else a[0].value) if a else None for a in taken]
        return "regret" if known else "reward", list(running_sum(values))
    sign = 1.0 if known or session.description.goal == "minimise" else -1.0
    starts = [_least(session.actions_of(0), known, sign)]
    least = running_least([*starts, *(_least(actions, known, sign) for actions in taken)])[1:]
    return "gap" if known else "best", [None if value is None else sign * value for value in least]


def _least(actions: list[Action], known: bool, sign: float) -> float | None:
    values = [action.regret if known else action.value for action in actions]
    return min((sign * value for value in values if value is not None), default=None)


def _best(session: DecideSession) -> Action | None:
    """The action of the best value; none where values are chances, of which the best says nothing."""
    seen = session.seen_before(session.length + 2)
    if session.listed or not seen:
        return None
    sign = 1.0 if session.description.goal == "minimise" else -1.0
    return min(seen, key=lambda action: sign * (action.value or 0.0))


def _fixed_regret(session: DecideSession, played: list[Action]) -> float:
    actions = session.description.actions
    return fixed_regret([a.means for a in played], [a.means[actions.index(a.action)] for a in played])


def _notes(session: DecideSession) -> list[str]:
    notes = []
    if session.how.rephrased and session.learning is not None:
        wanted = session.options.arms + 1
        found = tuple(len(texts) for texts in session.texts)
        if min(found) < wanted:
            notes.append(
                f"{found[0]} tasks and {found[1]} instructions instead of {wanted} each: the others came out alike or "
                "unusable"
            )
    return notes
