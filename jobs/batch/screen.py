"""A batch as a person reads it: one line per job, then what went wrong."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ..output import add, bullets, listing, one_line, plain, short_id
from .result import BatchOutcome, JobOutcome

RIGHT = ("CALLS", "USD")


def batch_screen(outcome: BatchOutcome) -> RenderableType:
    """The whole screen of a batch."""
    paid = any(job.spent.get("usd") for job in outcome.jobs)
    table = listing()
    table.add_column("JOB", no_wrap=True, overflow="ellipsis", max_width=24)
    for name in ("RESULT", "SEED → BEST", "GAIN (95 %)", "CALLS", *(["USD"] if paid else []), "RUN"):
        rows = [_cells(job)[name] for job in outcome.jobs]
        # Cut where a terminal is narrow are the names alone.
        least = max(len(name), *map(len, rows))
        table.add_column(name, no_wrap=True, min_width=least, justify="right" if name in RIGHT else "left")
    for job in outcome.jobs:
        style = {"done": "", "failed": "red", "skipped": "yellow"}.get(job.state, "dim")
        cells = _cells(job)
        add(table, *(cells[str(column.header)] for column in table.columns), style=style)
    parts: list[RenderableType] = [table, Text(), plain(_total(outcome), "bold")]
    troubles = [f"{job.name}: {one_line(job.error, 300)}" for job in outcome.jobs if job.error]
    if troubles:
        parts.append(bullets(troubles))
    return Group(*parts)


def _cells(job: JobOutcome) -> dict[str, str]:
    return {
        "JOB": job.name,
        "RESULT": (job.verdict or job.state) if job.state in ("done", "failed") else job.state,
        "SEED → BEST": _scores(job),
        "GAIN (95 %)": _gain(job),
        "CALLS": f"{job.spent['target_calls']:,.0f}" if job.spent else "",
        "USD": f"{job.spent.get('usd', 0.0):.2f}" if job.spent else "",
        "RUN": short_id(job.run_id) if job.run_id else "",
    }


def _scores(job: JobOutcome) -> str:
    if job.best_score is None:
        return ""
    return f"{job.best_score:.2f}" if job.seed_score is None else f"{job.seed_score:.2f} → {job.best_score:.2f}"


def _gain(job: JobOutcome) -> str:
    if job.low is None or job.high is None:
        return ""
    if job.gain is None:
        return f"({job.low:.2f} to {job.high:.2f})"
    return f"{job.gain:+.2f} ({job.low:+.2f} to {job.high:+.2f})"


def _total(outcome: BatchOutcome) -> str:
    states = [job.state for job in outcome.jobs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    shared = "; ".join(
        f"{outcome.spent[unit]:,.10g} of {limit:,.10g} {unit.replace('_', ' ')} spent"
        for unit, limit in outcome.limits.items()
    )
    return f"{outcome.batch}: {counts}" + (f"; {shared}" if shared else "")
