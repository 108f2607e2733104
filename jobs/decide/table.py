"""From the runs of a call to its table: means, standard errors, paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from ...evaluation.meta_scores import mean_se
from ...traces.decision_result import DecisionRun
from .result import DecideResult, MethodRow, PairDifference, SeedRun


def method_row(method: str, runs: Sequence[SeedRun], rounds: int) -> MethodRow:
    """The row of a method's runs, its figures those after so many rounds."""
    done = [run.result for run in runs if run.result is not None]
    mean, se = mean_se([value for run in done if (value := _after(run, rounds)) is not None])
    fixed, fixed_se = mean_se([r.fixed_regret for r in done if r.fixed_regret is not None and r.rounds == rounds])
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


def decide_result(same: dict[str, Any], runs: Sequence[tuple[str, Sequence[SeedRun]]]) -> DecideResult:
    """The result of each method's runs; `same` are its other fields. Runs of different length, as a budget may have
    ended some, are compared after the rounds that all of them have, which have any."""
    done = [run.result for _, of in runs for run in of if run.result is not None]
    rounds = min((run.rounds for run in done if run.rounds), default=0)
    rows = [method_row(name, of, rounds) for name, of in runs]
    left = any(run.state == "waiting" for row in rows for run in row.runs)
    failed = any(run.state == "failed" for row in rows for run in row.runs)
    found: dict[str, Any] = {}
    if done:
        found = {"measure": done[0].measure, "lower": done[0].lower, "rounds": rounds}
        found["best"] = _best(rows, lower=done[0].lower)
        found["spent"] = _spent(done)
        found["notes"] = _notes(rows)
        if rounds < (longest := max(run.rounds for run in done)):
            found["notes"].insert(0, f"compared after {rounds} rounds, which all runs have; the longest has {longest}")
    return DecideResult(
        **(same | found),
        rows=rows,
        pairs=[_pair(first, second, rounds) for first, second in combinations(rows, 2)],
        verdict="unfinished" if left else "compared",
        exit_code=75 if left else 1 if failed else 0,
    )


def _by_round(columns: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """For each round, the values that there are; runs may differ in length."""
    length = max((len(column) for column in columns), default=0)
    return [
        [value for column in columns if t < len(column) and (value := column[t]) is not None] for t in range(length)
    ]


def _after(run: DecisionRun, rounds: int) -> float | None:
    """What a run had come to after so many rounds; None where it has fewer."""
    return run.curve[rounds - 1] if 0 < rounds <= len(run.curve) else None


def _pair(first: MethodRow, second: MethodRow, rounds: int) -> PairDifference:
    figures = [{run.seed: _after(run.result, rounds) for run in row.runs if run.result} for row in (first, second)]
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
