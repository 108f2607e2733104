"""A call of `decide` as a person reads it: a line per method, the paired differences, what to mind."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...traces.decision_result import DecisionRun, Measure
from ..output import add, bullets, counted, facts, listing, one_line, plain, short_id
from .result import DecideResult, MethodRow, PairDifference

MEASURES: dict[Measure, str] = {
    "regret": "cumulative regret",
    "gap": "gap of the best action to the optimum",
    "reward": "sum of the values",
    "best": "best value",
}


def decide_screen(result: DecideResult) -> RenderableType:
    """The whole screen."""
    agent = f" · agent {result.agent}" if result.agent else ""
    title = f"{result.environment} · {counted(len(result.rows), 'method')}, {counted(result.seeds, 'seed')}{agent}"
    parts: list[RenderableType] = [plain(f"{title} · {result.alias} ({short_id(result.run_id)})", "dim")]
    parts += [Text(), _table(result), Text(), plain(_caption(result), "dim")]
    others = [pair for pair in result.pairs if result.best in (pair.first, pair.second)] if result.best else []
    if others:
        parts += [Text(), Text(f"Paired differences to {result.best}", style="bold"), _pairs(result, others)]
    troubles = [f"{row.method}, seed {run.seed}: {run.error}" for row in result.rows for run in row.runs if run.error]
    if troubles:
        parts += [Text(), bullets([one_line(line, 300) for line in troubles])]
    if result.notes:
        parts += [Text(), Text("Notes", style="bold"), bullets([one_line(note, 300) for note in result.notes])]
    parts += [Text(), _facts(result)]
    return Group(*parts)


def decision_screen(run: DecisionRun, name: str) -> RenderableType:
    """One run on its own."""
    table = facts()
    add(table, "Run", f"{name} · {run.environment} · {run.method} · seed {run.seed} · {run.verdict}")
    figure = "-" if run.figure is None else f"{run.figure:.4g}"
    add(table, "Result", f"{MEASURES[run.measure]} {figure} after {counted(run.rounds, 'round')}")
    if run.fixed_regret is not None:
        add(table, "Drift", f"regret {run.fixed_regret:.4g} against the best single action")
    if run.best_action is not None and run.best_value is not None:
        add(table, "Best", f"{one_line(run.best_action, 80)} ({run.best_value:.6g})")
    if run.arms_of > 1:
        used = len(set(run.arms))
        entropy = f"; entropy {run.entropy[0]:.2f} → {run.entropy[-1]:.2f} nats" if run.entropy else ""
        add(table, "Arms", f"{used} of {run.arms_of:,} used{entropy}")
    if run.meta_prompt is not None:
        add(table, "Task", one_line(run.meta_prompt.task, 400))
        add(table, "Instruct", one_line(run.meta_prompt.instruction, 400))
    spent = run.spend.get("spent", {})
    add(
        table,
        "Cost",
        f"{spent.get('agent_calls', 0):,.0f} agent calls, {spent.get('tokens', 0):,.0f} tokens, "
        f"${spent.get('usd', 0):.4f}, {run.seconds / 60:.1f} minutes ({run.seconds_per_round:.2f} s a round)",
    )
    if run.stop:
        add(table, "Stopped", one_line(run.stop, None))
    for note in run.notes:
        add(table, "Mind", note)
    return table


def _table(result: DecideResult) -> Table:
    table = listing()
    table.add_column("METHOD", no_wrap=True)
    table.add_column(f"{result.measure.upper()} (SE)", no_wrap=True, justify="right")
    drifts = any(row.fixed is not None for row in result.rows)
    if drifts:
        table.add_column("VS BEST FIXED (SE)", no_wrap=True, justify="right")
    table.add_column("BY SEED", overflow="fold")
    for name in ("CALLS", "S/ROUND"):
        table.add_column(name, no_wrap=True, justify="right")
    for row in result.rows:
        cells = [row.method, figure(row.mean, row.se)]
        cells += [figure(row.fixed, row.fixed_se)] if drifts else []
        cells += [_by_seed(row), _count(row.agent_calls), _seconds(row.seconds_per_round)]
        add(table, *cells, style="bold" if row.method == result.best else "" if row.complete else "yellow")
    return table


def figure(mean: float | None, se: float | None) -> str:
    """`12.3 (0.4)`; without the error where there is none."""
    if mean is None:
        return "-"
    return f"{mean:.4g}" + ("" if se is None else f" ({se:.2g})")


def _by_seed(row: MethodRow) -> str:
    figures = [run.result.figure if run.result else None for run in row.runs]
    return " ".join("-" if value is None else f"{value:.4g}" for value in figures)


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _pairs(result: DecideResult, pairs: list[PairDifference]) -> Table:
    table = listing()
    for name in ("METHOD", "DIFFERENCE (SE)", "PAIRS"):
        table.add_column(name, no_wrap=True, justify="left" if name == "METHOD" else "right")
    for pair in pairs:
        turned = pair.first == result.best
        other = pair.second if turned else pair.first
        value = None if pair.difference is None else (-pair.difference if turned else pair.difference)
        add(
            table,
            other,
            "-" if value is None else f"{value:+.4g}" + ("" if pair.se is None else f" ({pair.se:.2g})"),
            str(pair.n),
        )
    return table


def _caption(result: DecideResult) -> str:
    better = "lower is better" if result.lower else "higher is better"
    return f"Mean {MEASURES[result.measure]} after {counted(result.rounds, 'round')} over the seeds; {better}."


def _facts(result: DecideResult) -> Table:
    table = facts()
    if result.spent:
        spent = result.spent
        add(
            table,
            "Cost",
            f"{spent.get('agent_calls', 0):,.0f} agent calls, {spent.get('tokens', 0):,.0f} tokens, "
            f"${spent.get('usd', 0):.4f}, {spent.get('minutes', 0):.1f} minutes",
        )
    add(table, "Go on" if result.exit_code else "See again", result.command)
    return table
