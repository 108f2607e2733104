"""From the scores of a comparison to its result: rows, pairs, the winner, and how it stands in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...evaluation.certify import Certificate
from ...evaluation.comparison import Comparison, Gain
from ...evaluation.evaluator import Scores
from ...traces.result import PromptContent
from ...traces.rows import Run
from ..batch.result import spent_of
from ..measuring import Measuring
from ..output import counted
from .arms import Standing
from .call import Arm, CompareCall
from .result import ComparedPair, ComparedRow, ComparedRun, ComparisonResult


@dataclass(frozen=True)
class Measured:
    """What the first half of the test split says: scores by prompt id, `best` the prompt id of every run by its name;
    `use`: which use of the test split it was."""

    comparison: Comparison
    scores: Mapping[str, Scores]
    best: Mapping[str, str]
    use: int


@dataclass(frozen=True)
class Winner:
    """What the second half says of the winner, held against the error rate of the split's use number `use`."""

    certificate: Certificate
    use: int


def outcome(
    call: CompareCall,
    opened: Measuring,
    standings: Mapping[str, Standing],
    measured: Measured,
    winner: Winner | None = None,
) -> ComparisonResult:
    """The result; without `winner` the one that is to be certified is named, if there is one."""
    rows = [_row(call, label.label, standings, measured) for label in call.rows]
    left = sum(run.state in ("waiting", "interrupted") for row in rows for run in row.runs)
    failed = any(run.state == "failed" for row in rows for run in row.runs)
    best_row, best_run = _best(rows)
    best = best_run.best if best_run else None
    seed = call.task.seed_prompt.content()
    notes = _notes(call, rows, measured.use)
    found: dict[str, Any] = {"verdict": "unchanged", "sentence": _nothing(rows), "prompt": seed}
    if left:
        found |= {"verdict": "unfinished", "sentence": _left(left, call)}
    elif not any(row.gain is not None and row.complete for row in rows):
        found |= {"verdict": "inconclusive"}
    elif winner is not None and best is not None:
        found |= _certified(winner, best, seed)
    return ComparisonResult(
        **_same(call, opened.run_id),
        rows=rows,
        pairs=_pairs(measured.comparison),
        seed_mean=_mean(measured.scores.get(call.task.seed_prompt.id, {})),
        winner=best_row.row if best_row else None,
        winner_run=best_run.run if best_run else None,
        best=best,
        **found,
        spend=opened.ledger.report(),
        notes=notes,
        exit_code=75 if left else 1 if failed or found["verdict"] == "inconclusive" else 0,
    )


def unfinished(call: CompareCall, begun: Run, standings: Mapping[str, Standing]) -> ComparisonResult:
    """How a comparison stands that was stopped before anything was measured."""
    nothing = Measured(Comparison({}, ()), {}, {}, 0)
    rows = [_row(call, row.label, standings, nothing) for row in call.rows]
    left = sum(run.state in ("waiting", "interrupted") for row in rows for run in row.runs)
    return ComparisonResult(
        **_same(call, begun.id),
        rows=rows,
        verdict="unfinished",
        sentence=_left(left, call),
        prompt=call.task.seed_prompt.content(),
        exit_code=75,
    )


def _same(call: CompareCall, run_id: str) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "alias": call.name,
        "task": call.task.name,
        "target": call.options["target"],
        "agent": call.options.get("agent"),
        "seeds": call.seeds,
        "budget": call.budget.limits(),
        "seed_prompt": call.task.seed_prompt.content(),
        "compared_on": len(call.halves[0]),
        "certified_on": len(call.halves[1]),
        "command": call.command,
    }


def _row(call: CompareCall, label: str, standings: Mapping[str, Standing], measured: Measured) -> ComparedRow:
    arms = [arm for arm in call.arms if arm.row.label == label]
    runs = [_run(call, arm, standings[arm.name], measured) for arm in arms]
    gain = measured.comparison.gains.get(label)
    figures: dict[str, Any] = {}
    if gain is not None:
        figures = {"n": gain.n, "missing": gain.missing, "conditional": gain.seeds == 1}
    if gain is not None and gain.conclusive:
        figures |= {"gain": gain.mean, "low": gain.low, "high": gain.high, "p": gain.p}
    return ComparedRow(row=label, runs=runs, note=_note(runs, gain), **figures)


def _run(call: CompareCall, arm: Arm, standing: Standing, measured: Measured) -> ComparedRun:
    run, seed = standing.run, call.task.seed_prompt.id
    found: dict[str, Any] = {}
    if run is not None:
        found = {"run_id": run.id, "spent": spent_of(run), "seconds": run.seconds}
    best = measured.best.get(arm.name)
    if run is not None and run.result and best is not None:
        score, base = _mean(measured.scores[best]), _gain(measured.scores[best], measured.scores[seed])
        content = PromptContent.model_validate(run.result["best"])
        found |= {"score": score, "gain": 0.0 if best == seed else base, "unchanged": best == seed, "best": content}
        found |= {"estimate": run.result.get("estimate")}
    return ComparedRun(seed=arm.seed, run=arm.name, state=standing.state, error=standing.error, **found)


def _note(runs: list[ComparedRun], gain: Gain | None) -> str:
    """What to mind of a row: runs that are not there and why, answers that are missing, runs that found nothing."""
    parts = []
    for state in ("failed", "interrupted", "waiting"):
        these = [run for run in runs if run.state == state]
        if not these:
            continue
        reason = next((run.error for run in these if run.error), "")
        which = "" if len(these) == len(runs) else f"{len(these)} of {counted(len(runs), 'run')} "
        parts.append(which + ("to do" if state == "waiting" else state) + (f": {reason}" if reason else ""))
    if gain is not None and not gain.conclusive:
        parts.append(f"inconclusive: {gain.missing:.0%} of the answers are missing")
    elif gain is not None and all(run.unchanged for run in runs if run.state == "done"):
        parts.append("no run found a better prompt")
    return "; ".join(parts)


def _best(rows: list[ComparedRow]) -> tuple[ComparedRow | None, ComparedRun | None]:
    """The row of the best mean gain among those that came to their end, and its run of the best score; None where no
    row gained anything."""
    whole = [row for row in rows if row.complete and row.gain is not None and row.gain > 0]
    if not whole:
        return None, None
    row = max(whole, key=lambda row: row.gain or 0.0)
    changed = [run for run in row.runs if not run.unchanged]
    return row, max(changed, key=lambda run: (run.gain or 0.0, run.estimate or 0.0, -run.seed))


def _pairs(comparison: Comparison) -> list[ComparedPair]:
    found = []
    for one in comparison.differences:
        gain = one.gain
        figures: dict[str, Any] = dict.fromkeys(("difference", "low", "high", "p", "adjusted"))
        if gain.conclusive:
            figures = {"difference": gain.mean, "low": gain.low, "high": gain.high, "p": gain.p}
            figures["adjusted"] = one.adjusted
        found.append(ComparedPair(first=one.first, second=one.second, n=gain.n, seeds=gain.seeds, **figures))
    return found


def _certified(winner: Winner, best: PromptContent, seed: PromptContent) -> dict[str, Any]:
    from ...graphs.outcome import figures, is_unprovable, verdict_sentence

    c = winner.certificate
    unprovable = c.verdict == "not certified" and is_unprovable(c)
    return {
        "verdict": c.verdict,
        "sentence": verdict_sentence(c.verdict, c, "", unprovable),
        "prompt": best if c.verdict == "improved" or unprovable else seed,
        "test_use": winner.use,
        **figures(c),
    }


def _nothing(rows: list[ComparedRow]) -> str:
    if not any(run.state == "done" for row in rows for run in row.runs):
        return "Nothing can be concluded: no run came to its end. Keep the seed prompt."
    if not any(row.complete and row.gain is not None for row in rows):
        return "Nothing can be concluded: no row came to its end with enough answers. Keep the seed prompt."
    return "No row that came to its end gained anything over the seed prompt. Keep the seed prompt."


def _left(left: int, call: CompareCall) -> str:
    if not left:
        return "Stopped while measuring; nothing is certified yet."
    return f"{left} of {counted(len(call.arms), 'run')} are left to do; nothing is certified yet."


def _notes(call: CompareCall, rows: list[ComparedRow], use: int) -> list[str]:
    notes = []
    if call.seeds == 1:
        notes.append(
            "With one seed the intervals are conditional on these runs: they say nothing of what another run of the "
            "same strategy would find. --seeds 3 or more tells strategies apart, not runs."
        )
    elif call.seeds == 2:
        notes.append(
            "Two runs say little of how much runs vary, so that the intervals are wide; --seeds 3 or more helps."
        )
    some = [row.row for row in rows if not row.complete and any(run.state == "done" for run in row.runs)]
    if some:
        notes.append(f"{', '.join(some)}: of the runs that are done alone. A row that is not complete cannot win.")
    if use > 1:
        notes.append(f"This was use {use} of this test split; each use weakens what it can prove.")
    return notes


def _mean(scores: Scores) -> float | None:
    known = [score for score in scores.values() if score is not None]
    return sum(known) / len(known) if known else None


def _gain(best: Scores, seed: Scores) -> float | None:
    pairs = [(score, seed.get(i)) for i, score in best.items()]
    known = [after - before for after, before in pairs if after is not None and before is not None]
    return sum(known) / len(known) if known else None
