"""From the runs of a call to its table: means, standard errors, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from ...evaluation.meta_scores import mean_se
from ...traces.decision_result import DecisionRun
from .result import DecideResult, MethodRow, PairDifference, SeedRun


def method_row(method: str, runs: Sequence[SeedRun]) -> MethodRow:
    """The row of a method's runs."""
    done = [run.result for run in runs if run.result is not None]
    mean, se = mean_se([run.figure for run in done if run.figure is not None])
    fixed, fixed_se = mean_se([run.fixed_regret for run in done if run.fixed_regret is not None])
    curve = [mean_se(values) for values in _by_round([run.curve for run in done])]
    seconds, _ = mean_se([run.seconds_per_round for run in done])
    calls, _ = mean_se([float(run.spend["spent"]["agent_calls"]) for run in done])
    return MethodRow(
        method=method,
        runs=list(runs),
        mean=mean,
        se=se,
        fixed=fixed,
        fixed_se=fixed_se,
        seconds_per_round=seconds,
        agent_calls=calls,
        curve=[value for value, _ in curve],
        curve_se=[error for _, error in curve],
        entropy=[value or 0.0 for value, _ in map(mean_se, _by_round([run.entropy for run in done]))],
        distance=[value for value, _ in map(mean_se, _by_round([run.distance for run in done]))],
    )


def decide_result(same: dict[str, Any], rows: Sequence[MethodRow]) -> DecideResult:
    """The result of rows; `same` are its other fields."""
    done = [run.result for row in rows for run in row.runs if run.result is not None]
    left = any(run.state == "waiting" for row in rows for run in row.runs)
    failed = any(run.state == "failed" for row in rows for run in row.runs)
    found: dict[str, Any] = {}
    if done:
        found = {"measure": done[0].measure, "lower": done[0].lower, "rounds": max(run.rounds for run in done)}
        found["best"] = _best(rows, lower=done[0].lower)
        found["spent"] = _spent(done)
        found["notes"] = _notes(rows)
    return DecideResult(
        **(same | found),
        rows=list(rows),
        pairs=[_pair(first, second) for first, second in combinations(rows, 2)],
        verdict="unfinished" if left else "compared",
        exit_code=75 if left else 1 if failed else 0,
    )


def _by_round(columns: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """For each round, the values that there are; runs may differ in length."""
    length = max((len(column) for column in columns), default=0)
    return [
        [value for column in columns if t < len(column) and (value := column[t]) is not None] for t in range(length)
    ]


def _pair(first: MethodRow, second: MethodRow) -> PairDifference:
    figures = [{run.seed: run.result.figure for run in row.runs if run.result} for row in (first, second)]
    shared = [seed for seed in figures[0] if seed in figures[1]]
    differences = [
        a - b for seed in shared if (a := figures[0][seed]) is not None and (b := figures[1][seed]) is not None
    ]
    mean, se = mean_se(differences)
    return PairDifference(first=first.method, second=second.method, difference=mean, se=se, n=len(differences))


def _best(rows: Sequence[MethodRow], *, lower: bool) -> str | None:
    known = [(row.mean if lower else -row.mean, row.method) for row in rows if row.mean is not None and row.complete]
    return min(known)[1] if known else None


def _spent(runs: Sequence[DecisionRun]) -> dict[str, float]:
    found: dict[str, float] = {}
    for run in runs:
        for name, amount in run.spend["spent"].items():
            found[name] = found.get(name, 0.0) + amount
    return found


def _notes(rows: Sequence[MethodRow]) -> list[str]:
    notes = [
        f"{row.method}, seed {run.seed}: {note}"
        for row in rows
        for run in row.runs
        if run.result
        for note in [*run.result.notes, *([f"stopped early: {run.result.stop}"] if run.result.stop else [])]
    ]
    for row in rows:
        results = [run.result for run in row.runs if run.result]
        unreadable, missing = sum(r.unreadable for r in results), sum(r.missing for r in results)
        if unreadable or missing:
            notes.append(
                f"{row.method}: {unreadable} answers without an action, {missing} rounds whose meta-prompt has no score"
            )
    if any(len(row.runs) == 1 for row in rows):
        notes.append("With one seed nothing is said of how much runs vary; --seeds 3 or more tells methods apart.")
    return notes
