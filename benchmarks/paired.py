"""Rows of `landscape.py --out` against one of them, seed by seed.

    uv run python benchmarks/paired.py runs.jsonl --against auto --hindsight sage dual-phase protegi

For each budget and row the mean gain, and the mean over common seeds of AGAINST's gain minus the row's, both with their
standard errors. `best in hindsight` is, for each seed, the best of the rows named there: nobody can know it beforehand,
and being a maximum it is lucky too. A row that stands in the file twice counts as last written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from columns import aligned

HINDSIGHT = "best in hindsight"
Gains = dict[int, dict[str, dict[int, float]]]
"""Gain by budget, row and seed."""


def read(path: Path) -> Gains:
    """The gains in a file of rows."""
    found: Gains = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        by_seed = found.setdefault(row["budget"], {}).setdefault(row["optimizer"], {})
        by_seed[row["task_seed"]] = row["normalised_gain"]
    return found


def with_hindsight(rows: dict[str, dict[int, float]], names: Sequence[str]) -> dict[str, dict[int, float]]:
    """The rows, and for each seed that all the named ones have, the best of these."""
    known = [rows[name] for name in names if name in rows]
    seeds = set.intersection(*map(set, known)) if known else set()
    best = {seed: max(row[seed] for row in known) for seed in sorted(seeds)}
    return rows | ({HINDSIGHT: best} if best else {})


def mean_se(values: Sequence[float]) -> str:
    """`0.587 (0.036)`: mean and standard error."""
    if not values:
        return "-"
    se = format(stdev(values) / len(values) ** 0.5, ".3f") if len(values) > 1 else "-"
    return f"{fmean(values):.3f} ({se})"


def table(rows: dict[str, dict[int, float]], against: str) -> list[tuple[str, str, str, str, str]]:
    """For each row, the best first: name, gain, what AGAINST gains more, seeds where it does, and common seeds."""
    base, lines = rows[against], []
    for name, row in sorted(rows.items(), key=lambda item: -fmean(item[1].values())):
        more = [base[seed] - row[seed] for seed in row if seed in base]
        paired = ("", "", "") if name == against else (mean_se(more), str(sum(d > 0 for d in more)), str(len(more)))
        lines.append((name, mean_se(list(row.values())), *paired))
    return lines


def main() -> int:
    """The exit code: 0, or 2 where the file does not hold the row."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows", type=Path, help="what `landscape.py --out` wrote")
    p.add_argument("--against", default="auto", help="the row that all are held against (%(default)s)")
    p.add_argument("--hindsight", nargs="+", default=[], help="rows of which the best of each seed is a row too")
    a = p.parse_args()
    for budget, rows in sorted(read(a.rows).items()):
        if a.against not in rows:
            print(f"paired: there is no row '{a.against}' of budget {budget} in {a.rows}", file=sys.stderr)
            return 2
        head = ("row", "gain (SE)", f"{a.against} gains more by (SE)", "in", "of seeds")
        lines = [head, *table(with_hindsight(rows, a.hindsight), a.against)]
        print(f"{budget} target calls", aligned(lines), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
