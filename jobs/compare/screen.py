"""A comparison as a person reads it: a line per row, what to mind, then the winner's certificate."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..output import add, bullets, counted, facts, listing, one_line, plain, short_id
from ..prompt_diff import diff, diff_table
from ..result_screen import cost_words
from .result import ComparedRow, ComparisonResult

_STYLES = {"improved": "bold green", "harmed": "bold red", "inconclusive": "bold yellow", "unfinished": "bold yellow"}
FEW_SEEDS = 3
"""So many scores stand on one line."""


def comparison_screen(result: ComparisonResult) -> RenderableType:
    """The whole screen of a comparison."""
    agent = f", agent {result.agent}" if result.agent else ""
    title = f"{result.task} · {counted(len(result.rows), 'row')} on {result.target}{agent}"
    parts: list[RenderableType] = [plain(f"{title} · comparison {result.alias} ({short_id(result.run_id)})", "dim")]
    parts += [Text(), _table(result), Text(), plain(_caption(result), "dim")]
    troubles = [f"{row.row}: {one_line(row.note, 300)}" for row in result.rows if row.note]
    if troubles:
        parts += [Text(), bullets(troubles)]
    parts += [Text(), plain(_sentence(result), _STYLES.get(result.verdict, "bold"))]
    if result.best is not None and result.n:
        used = result.prompt.id == result.best.id
        heading = "Prompt (- seed, + best)" if used else "Best candidate, not to be used (- seed, + candidate)"
        parts += [Text(), Text(heading, style="bold"), diff_table(diff(result.seed_prompt, result.best))]
    parts += [Text(), _facts(result)]
    if result.notes:
        parts += [Text(), Text("Notes", style="bold"), bullets(result.notes)]
    return Group(*parts)


def _table(result: ComparisonResult) -> Table:
    best = _best(result)
    paid = any(run.spent.get("usd") for row in result.rows for run in row.runs)
    agents = any(run.spent.get("agent_calls") for row in result.rows for run in row.runs)
    table = listing()
    table.add_column("ROW", no_wrap=True, overflow="ellipsis")
    for name in ("GAIN (95 %)", "BY SEED", "TO THE BEST"):
        table.add_column(name, no_wrap=name != "BY SEED" or result.seeds <= FEW_SEEDS, min_width=len(name))
    spent = ("CALLS", *(["AGENT"] if agents else []), *(["USD"] if paid else []))
    for name in spent:
        table.add_column(name, no_wrap=True, justify="right")
    for row in result.rows:
        cells = {
            "CALLS": f"{_per_run(row, 'target_calls'):,.0f}",
            "AGENT": f"{_per_run(row, 'agent_calls'):,.0f}",
            "USD": f"{_per_run(row, 'usd'):.2f}",
        }
        style = "bold" if row.row == result.winner else "" if row.complete else "yellow"
        figures = [cells[name] if any(run.run_id for run in row.runs) else "" for name in spent]
        add(table, one_line(row.row, 24), _gain(row), _by_seed(row), _to_best(result, row, best), *figures, style=style)
    return table


def _gain(row: ComparedRow) -> str:
    if row.gain is None or row.low is None or row.high is None:
        return ""
    return f"{row.gain:+.2f} ({row.low:+.2f} to {row.high:+.2f})"


def _by_seed(row: ComparedRow) -> str:
    return " ".join("-" if run.score is None else f"{run.score:.2f}" for run in row.runs)


def _best(result: ComparisonResult) -> str | None:
    """The row that the others are held against: the winner, else the one of the best mean gain."""
    known = [row for row in result.rows if row.gain is not None]
    return result.winner or (max(known, key=lambda row: row.gain or 0.0).row if known else None)


def _to_best(result: ComparisonResult, row: ComparedRow, best: str | None) -> str:
    if row.row == best:
        return "best"
    for pair in result.pairs:
        if {pair.first, pair.second} == {row.row, best} and pair.difference is not None and pair.adjusted is not None:
            difference = pair.difference if pair.first == row.row else -pair.difference
            return f"{round(difference, 2) + 0.0:+.2f} (p = {pair.adjusted:.2g})"
    return ""


def _per_run(row: ComparedRow, unit: str) -> float:
    """What its runs spent on average."""
    begun = [run for run in row.runs if run.run_id]
    amounts = [run.spent.get(unit, 0.0) for run in begun]
    return sum(amounts) / len(amounts) if amounts else 0.0


def _caption(result: ComparisonResult) -> str:
    budget = ", ".join(f"{limit:,.10g} {unit.replace('_', ' ')}" for unit, limit in result.budget.items())
    seed = "" if result.seed_mean is None else f"; the seed prompt scores {result.seed_mean:.2f}"
    return (
        f"Mean gains over the seed prompt and scores on {result.compared_on} test examples{seed}. p is corrected over "
        f"all pairs. Every run might spend {budget}; shown is what one spent on average."
    )


def _sentence(result: ComparisonResult) -> str:
    if result.winner is None or not result.n:
        return result.sentence
    run = next(run for row in result.rows for run in row.runs if run.run == result.winner_run)
    return f"Winner: {result.winner}, seed {run.seed}. {result.sentence}"


def _facts(result: ComparisonResult) -> Table:
    table = facts()
    if result.alpha is not None:
        add(
            table,
            "Proof",
            f"on {result.certified_on} test examples that chose nothing; p held against "
            f"{result.alpha:.3g}; {result.method}",
        )
    if result.spend:
        add(table, "Measuring", cost_words(result.spend, result.target))
    if result.verdict == "improved":
        add(table, "Use it", f"sage-spo show {result.alias} --prompt > prompt.md")
    more = "Go on" if result.exit_code else "See again"
    add(table, more, result.command)
    return table
