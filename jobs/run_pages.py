"""What the run store says of runs, as a person reads it: the list of runs, the course of one, one without a result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..traces.rows import DECIDE, Decision, Run, Spending, StoredPrompt, is_search
from .output import add, counted, facts, listing, one_line, printable, short_id
from .so_far import BestSoFar, so_far_words

DAY = 86_400
_SUMMED_UP = {"screened out": False, "not measured": True}
"""Verdicts of candidates that never raced, and whether the reason is worth a line."""


def run_name(run: Run) -> str:
    """What to call a run in a command: the name the user gave it, else the beginning of its id."""
    return run.alias or short_id(run.id)


def runs_table(runs: Sequence[Run]) -> Table:
    """One line per run: name, task, strategy, what came of it, gain, minutes, when."""
    table = listing()
    for name in ("RUN", "TASK", "STRATEGY", "STATUS", "GAIN", "MIN", "WHEN"):
        right = name in ("GAIN", "MIN")
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for run in runs:
        result = run.result or {}
        gain = result.get("gain")
        add(
            table,
            one_line(run_name(run), 20),
            one_line(run.task, 16),
            run.strategy,
            status_words(run),
            "" if gain is None else f"{gain:+.2f}",
            f"{run.seconds / 60:.1f}",
            _when(run.created_at),
        )
    return table


def status_words(run: Run) -> str:
    """The verdict of a finished run, the status of another."""
    if run.status != "finished" or not run.result:
        return run.status
    score = run.result.get("score")
    return run.result.get("verdict") or ("measured" if score is None else f"scored {score:.2f}")


def _when(then: float) -> str:
    age = time.time() - then
    if age < 90:
        return "just now"
    if age < 5400:
        return f"{age / 60:.0f} min ago"
    if age < DAY:
        return f"{age / 3600:.0f} h ago"
    return time.strftime("%Y-%m-%d", time.localtime(then))


def unfinished_page(
    run: Run, spending: Sequence[Spending], decisions: Sequence[Decision], best: BestSoFar | None
) -> RenderableType:
    """How far a run without a result has come, and how to go on."""
    table = facts()
    add(table, "Run", f"{run_name(run)} · {run.task} · {run.strategy} · {run.status}")
    accepted = sum(d.verdict == "accepted" for d in decisions)
    iterations = max((d.iteration for d in decisions), default=0)
    add(
        table,
        "So far",
        f"{counted(iterations, 'iteration')}, {counted(len(decisions), 'candidate')}, {accepted} accepted",
    )
    calls, tokens = sum(s.calls for s in spending), sum(s.input_tokens + s.output_tokens for s in spending)
    add(table, "Cost", f"{calls:,} calls, {tokens:,} tokens, ${sum(s.usd for s in spending):.4f}")
    if best is not None:
        add(table, "Best so far", so_far_words(best))
        add(table, "See it", f"sage-spo show {run_name(run)} --prompt")
    if run.error:
        add(table, "Error", one_line(run.error, None))
    if run.strategy in ("compare", "landscape"):
        add(table, "Go on", str(run.settings.get("command", "")))
    elif is_search(run.strategy) or run.strategy.startswith(DECIDE):
        add(table, "Go on", f"sage-spo resume {run_name(run)}")
    return table


def course_table(decisions: Sequence[Decision], prompts: Mapping[str, StoredPrompt]) -> RenderableType:
    """Every candidate's verdict; those that never raced share a line per iteration."""
    table = listing()
    table.add_column("ITER", justify="right", no_wrap=True)
    table.add_column("CANDIDATE", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("VERDICT", no_wrap=True)
    table.add_column("WHY", overflow="fold")
    for iteration in dict.fromkeys(d.iteration for d in decisions):
        members = [d for d in decisions if d.iteration == iteration]
        for decision in (d for d in members if d.verdict not in _SUMMED_UP):
            stored = prompts.get(decision.prompt_id)
            origin = stored.origin if stored else decision.prompt_id
            style = "green" if decision.verdict == "accepted" else ""
            reason = one_line(decision.reason, None)
            add(table, str(iteration), one_line(origin, 28), decision.verdict, reason, style=style)
        for verdict, explained in _SUMMED_UP.items():
            reasons = [d.reason for d in members if d.verdict == verdict]
            if reasons:
                add(table, str(iteration), counted(len(reasons), "candidate"), verdict, reasons[0] if explained else "")
    return Group(Text("Course of the search", style="bold"), table)


def decision_json(decision: Decision, prompts: Mapping[str, StoredPrompt]) -> dict[str, Any]:
    """A verdict as `show --json` gives it."""
    stored = prompts.get(decision.prompt_id)
    return {
        "iteration": decision.iteration,
        "index": decision.index,
        "prompt_id": decision.prompt_id,
        "origin": printable(stored.origin) if stored else None,
        "champion_id": decision.champion_id,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "stats": dict(decision.stats),
    }


def run_json(run: Run) -> dict[str, Any]:
    """A run as `runs --json` and `show --json` give it."""
    return {
        "id": run.id,
        "alias": run.alias,
        "task": run.task,
        "strategy": run.strategy,
        "status": run.status,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "seconds": run.seconds,
        "restarts": run.restarts,
        "error": run.error,
        "settings": dict(run.settings),
    }
