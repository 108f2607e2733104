"""What the switches of the papers' systems are worth on the landscape benchmark, paired by seed.

    uv run python benchmarks/ablations.py                                  # all pairs, 5 seeds, 1,500 target calls
    uv run python benchmarks/ablations.py --systems picked --seeds 0 1 2
    uv run python benchmarks/ablations.py --again sage                     # forget the rows of `sage`, run them anew
    uv run python benchmarks/ablations.py --show                           # the table of what is there, without a run

Every run is one of `landscape.py`, and its figures are kept in a file of JSON lines; what is there is not run again.
Prints a Markdown table, and as the last line one JSON list; progress goes to stderr. `benchmarks/README.md` says what
the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from ablation_pairs import PAIRS, SYSTEMS, Pair
from landscape import (
    HANG_SECONDS,
    ROOT,
    TOOLS,
    OneLineParser,
    Plan,
    Row,
    agent_calls,
    append,
    between,
    child_environment,
    folder_of_tools,
    run_all,
)
from scipy.stats import t

RESULTS = ROOT / "benchmarks" / "results" / "ablations.jsonl"
KEPT = (
    *("optimizer", "vocabulary", "task_seed", "budget", "agent_budget", "server", "target_calls", "agent_calls"),
    *("normalised_gain", "holdout_regression", "harmful_wrong_rules", "worse_than_seed", "trap", "field_rules"),
    *("iterations", "candidates", "accepted", "wall_s"),
)
"""What is kept of a run."""
Key = tuple[str, str, int, int, int, str]
"""What tells runs apart: row, vocabulary, budgets of target and agent calls, seed, the server's switches."""


def plans(pairs: Iterable[Pair], seeds: Sequence[int], budget: int, tools: str) -> dict[Pair, tuple[list[Plan], ...]]:
    """The runs of each pair's two rows, in the order of the seeds."""

    def row(strategy: str, pair: Pair) -> list[Plan]:
        calls = pair.budget or budget
        edits = {} if pair.agent_edits is None else {"agent_edits": pair.agent_edits}
        server = {**edits, "timeout_s": HANG_SECONDS}
        return [Plan(strategy, calls, agent_calls(calls), seed, tools, server) for seed in seeds]

    return {pair: (row(pair.a, pair), row(pair.b, pair)) for pair in pairs}


def key(plan: Plan, vocabulary: str) -> Key:
    """The key of a run that is planned."""
    server = json.dumps(plan.server, sort_keys=True)
    return plan.strategy, vocabulary, plan.budget, plan.agent_calls, plan.seed, server


def stored(path: Path) -> dict[Key, Row]:
    """The rows of a file by key; of a key that is there twice, the later one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = {}
    for row in map(json.loads, lines):
        server = json.dumps(row["server"], sort_keys=True)
        told_apart = *(row[name] for name in ("optimizer", "vocabulary", "budget", "agent_budget", "task_seed")), server
        found[told_apart] = row
    return found


def forget(path: Path, strategies: Sequence[str]) -> None:
    """Take the rows of these strategies, whatever their options, out of a file."""
    left = [row for row in stored(path).values() if strategy_of(row["optimizer"]) not in strategies]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in left), encoding="utf-8")


def strategy_of(row: str) -> str:
    """`picked` of `picked:faithful[gate=false]`."""
    return row.partition("[")[0].partition(":")[0]


def difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean of a - b, paired, with its 95 % interval by Student's t; without one where there is one pair only."""
    each = [x - y for x, y in zip(a, b, strict=True)]
    mean = fmean(each)
    if len(each) < 2:
        return mean, None, None
    half = float(t.ppf(0.975, len(each) - 1)) * stdev(each) / len(each) ** 0.5
    return mean, mean - half, mean + half


def compared(pair: Pair, runs: tuple[list[Plan], ...], rows: dict[Key, Row], vocabulary: str) -> dict[str, Any] | None:
    """The figures of a pair over the seeds that both of its rows have; None where there are none."""
    found = [[rows.get(key(plan, vocabulary)) for plan in side] for side in runs]
    both = [(x, y) for x, y in zip(*found, strict=True) if x is not None and y is not None]
    if not both:
        return None
    a, b = zip(*both, strict=True)

    def of(side: Sequence[Row], figure: str) -> list[float]:
        return [float(row[figure]) for row in side]

    shown: dict[str, Any] = {"system": pair.system, "switch": pair.switch, "a": pair.a, "b": pair.b}
    shown |= {"budget": a[0]["budget"], "agent_edits": pair.agent_edits or 1, "seeds": len(both)}
    for figure in ("normalised_gain", "holdout_regression", "harmful_wrong_rules"):
        mean, low, high = difference(of(a, figure), of(b, figure))
        shown[figure] = {"a": fmean(of(a, figure)), "b": fmean(of(b, figure)), "a - b": mean, "low": low, "high": high}
    if len(both) > 1:
        shown["sd"] = {"a": stdev(of(a, "normalised_gain")), "b": stdev(of(b, "normalised_gain"))}
    for figure in ("target_calls", "agent_calls", "iterations", "worse_than_seed", "field_rules"):
        shown[figure] = {"a": fmean(of(a, figure)), "b": fmean(of(b, figure))}
    return shown


HEAD = ["switch", "A", "B", "calls", "gain A", "gain B", "A − B (95 %)", "regression A − B", "harmful A − B", "seeds"]


def table(found: Sequence[dict[str, Any]]) -> str:
    """A Markdown table, one line per pair."""

    def cut(figure: dict[str, float], digits: int) -> str:
        low, high = figure["low"], figure["high"]
        interval = "-" if low is None else f"{low:+.{digits}f} to {high:+.{digits}f}"
        return f"{figure['a - b']:+.{digits}f} ({interval})"

    lines = [HEAD, ["---"] * len(HEAD)]
    for shown in found:
        gain = shown["normalised_gain"]
        lines.append([
            *(shown["switch"], f"`{shown['a']}`", f"`{shown['b']}`", f"{shown['budget']:,}"),
            *(f"{gain['a']:.2f}", f"{gain['b']:.2f}", cut(gain, 2), cut(shown["holdout_regression"], 2)),
            *(cut(shown["harmful_wrong_rules"], 1), str(shown["seeds"])),
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parser() -> OneLineParser:
    """The command line."""
    p = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    count = between(int, 1, 10**6)
    p.add_argument("--tools", default=TOOLS, help="the benchmark's folder, seen from the repository root (%(default)s)")
    p.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="whose switches; default: all")
    p.add_argument("--switch", default="", help="only pairs in whose switch or rows this text stands")
    p.add_argument("--seeds", nargs="+", type=between(int, 0, 10**6), default=list(range(5)), help="default: 0 to 4")
    p.add_argument("--budget", type=count, default=1500, help="target calls where a pair names none (%(default)s)")
    p.add_argument("--vocabulary", choices=["A", "B"], default="A", help="the words of the task (%(default)s)")
    p.add_argument("--jobs", type=count, default=2, help="runs at once (%(default)s)")
    p.add_argument("--out", type=Path, default=RESULTS, help="the file of runs (%(default)s)")
    p.add_argument("--again", nargs="+", metavar="NAME", default=[], help="forget the file's rows of these strategies")
    p.add_argument("--show", action="store_true", help="run nothing")
    return p


def main() -> int:
    """The exit code: 0 all pairs measured, 1 some runs failed or are left, 2 wrong usage, 130 interrupted."""
    a = (p := parser()).parse_args()
    pairs = [x for x in PAIRS if x.system in a.systems and a.switch in f"{x.switch}: {x.a} {x.b}"]
    if not pairs:
        p.error(f"--switch: '{a.switch}' stands in none of the pairs of {', '.join(a.systems)}")
    if unknown := set(a.again) - {strategy_of(row) for pair in PAIRS for row in (pair.a, pair.b)}:
        p.error(f"--again: no pair has a row of '{unknown.pop()}'")
    if not a.out.resolve().parent.is_dir():
        p.error(f"--out: there is no folder {a.out.resolve().parent}")
    tools = "" if a.show else folder_of_tools(p, a.tools)
    runs = plans(pairs, list(dict.fromkeys(a.seeds)), a.budget, tools)
    if a.again:
        forget(a.out, a.again)
    if not a.show:
        there = stored(a.out)
        every = {key(plan, a.vocabulary): plan for sides in runs.values() for side in sides for plan in side}
        left = [plan for name, plan in every.items() if name not in there]
        print(f"{len(left)} runs to do, {len(every) - len(left)} are there", file=sys.stderr, flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the children like Ctrl-C
        keep = partial(keep_figures, a.out)
        try:
            asyncio.run(run_all(left, a.jobs, child_environment(a.vocabulary), keep))
        except KeyboardInterrupt:
            print("ablations: interrupted; the same command goes on", file=sys.stderr)
            return 130
    rows = stored(a.out)
    found = [compared(pair, sides, rows, a.vocabulary) for pair, sides in runs.items()]
    shown = [figures for figures in found if figures is not None]
    print(table(shown), json.dumps(shown), sep="\n", flush=True)
    return 0 if all(figures and figures["seeds"] == len(set(a.seeds)) for figures in found) else 1


def keep_figures(path: Path, row: Row) -> None:
    """Add what is kept of a run to the file."""
    append(path, {name: row[name] for name in KEPT})


if __name__ == "__main__":
    sys.exit(main())
