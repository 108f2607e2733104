"""Which tasks are rugged for their prompts, and whether that says which strategy wins.

    uv run python benchmarks/ruggedness.py --strategies sage genetic --seeds 0 1 2 --out rugged.jsonl

Each seed is one task of the landscape benchmark: the strategies search it in one SAGE_HOME, `sage-spo landscape`
measures the prompts that they met, and the exact judge says what each gained. Prints a row for each task, then for each
two strategies the rank correlation of the range and the difference of their gains, with a permutation p; the last line
is one JSON object. `benchmarks/README.md` says what the figures mean.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import sys
import time
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from columns import aligned
from landscape import (
    HANG_SECONDS,
    TOOLS,
    OneLineParser,
    Plan,
    Row,
    append,
    between,
    child_environment,
    folder_of_tools,
    in_child,
    keywords,
    landscape_task,
)
from scipy.stats import permutation_test, rankdata

from sage_spo.errors import UsageError

SCRIPT = Path(__file__).resolve()
MOST_RANGE = 3.0
"""Ranges are cut at so many median distances: beyond, the likeness of near prompts lasts as far as was seen."""


def work(plan: Plan) -> Row:
    """Search one task with all strategies, and measure the landscape of what they met."""
    sys.path.insert(0, plan.tools)
    sys.modules.pop("landscape")  # this folder's, whose name is also that of one in the tools
    common, truth = importlib.import_module("common"), importlib.import_module("truth")
    sys.path.remove(plan.tools)
    common.die_with_parent()

    from sage_spo import landscape, optimize
    from sage_spo.tasks.prompt import fill

    task, gains = landscape_task(common, plan.seed), {}
    names, began = json.loads(plan.strategy), time.monotonic()
    with common.server(task_seed=plan.seed, **plan.server) as server:
        models = {"target": "openai:target", "agent": "openai:agent", "base_url": server.api}
        for place, name in enumerate(names):
            budget = {"target_calls": plan.budget, "agent_calls": plan.agent_calls}
            result = optimize(
                task, budget=budget, seed=plan.seed, certify=False, run=f"row{place}", **models, **keywords(name)
            )
            text = fill(result.best.components["system"], "{input}", {}, task.labels)
            gains[name] = truth.judge(plan.seed, text)["normalised_gain"]
        found = landscape([f"row{place}" for place in range(len(names))], task=task, embeddings="local")
    scale = None if found.range is None else min(MOST_RANGE, found.range.value / found.typical)
    figures = found.model_dump(include={"verdict", "agreement", "p", "typical", "spread", "edit_share", "met"})
    figures |= {"prompts": len(found.prompts), "range": scale, "seconds": time.monotonic() - began}
    share = None if not found.sill or not found.nugget else found.nugget.value / max(found.sill.value, 1e-9)
    return {"task_seed": plan.seed, "budget": plan.budget, "gains": gains, "nugget_share": share, **figures}


def table(rows: list[Row]) -> str:
    """One line for each task."""
    names = list(rows[0]["gains"])
    lines = [["seed", "verdict", "certain", "range", "nugget", *names, "winner"]]
    for row in rows:
        gains = [f"{row['gains'][name]:.2f}" for name in names]
        figures = ["-" if row[name] is None else f"{row[name]:.2f}" for name in ("range", "nugget_share")]
        winner = max(names, key=lambda name, row=row: row["gains"][name])
        lines.append([str(row["task_seed"]), row["verdict"], f"{row['agreement']:.0%}", *figures, *gains, winner])
    return aligned(lines)


def correlations(rows: list[Row]) -> list[dict[str, Any]]:
    """For each two strategies Spearman's ρ of smoothness (the range in median distances) and how much more the first
    one gains, over the tasks whose landscape has a range, with a two-sided permutation p."""
    known = [row for row in rows if row["range"] is not None]
    if len(known) < 4 or len({row["range"] for row in known}) < 2:
        return []
    ranges = rankdata([row["range"] for row in known])
    found = []
    for one, other in combinations(rows[0]["gains"], 2):
        differences = [row["gains"][one] - row["gains"][other] for row in known]
        if len(set(differences)) < 2:
            continue
        more = rankdata(differences)
        test = permutation_test(
            (ranges,), lambda x, more=more: np.corrcoef(x, more)[0, 1], permutation_type="pairings", rng=0
        )
        found.append(
            {"first": one, "second": other, "n": len(known), "rho": float(test.statistic), "p": float(test.pvalue)}
        )
    return found


async def run_all(plans: list[Plan], jobs: int, out: Path | None) -> list[Row]:
    """The rows of the plans whose run did not fail."""
    gate = asyncio.Semaphore(jobs)
    run = partial(in_child, environment=child_environment(None), script=SCRIPT)

    async def one(plan: Plan) -> Row | None:
        async with gate:
            row, trouble = await run(plan)
        said = f"failed: {trouble}" if row is None else f"{row['verdict']}, {row['prompts']} prompts"
        print(f"seed {plan.seed}: {said}", file=sys.stderr, flush=True)
        if row is not None and out:
            append(out, row)
        return row

    return [row for row in await asyncio.gather(*map(one, plans)) if row is not None]


def parser() -> OneLineParser:
    p = OneLineParser(description=__doc__)
    p.add_argument("--tools", default=TOOLS, help=f"the benchmark's folder, seen from the repository root ({TOOLS})")
    p.add_argument("--strategies", nargs="+", default=["sage", "random", "genetic", "protegi"])
    p.add_argument("--seeds", nargs="+", type=between(int, 0, 10**6), default=list(range(10)), help="default: 0 to 9")
    p.add_argument("--budget", type=between(int, 100, 10**6), default=1500, help="target calls of each search (1500)")
    p.add_argument("--jobs", type=between(int, 1, 64), default=2, help="tasks at once (2)")
    p.add_argument("--out", type=Path, help="append every task's row to this file, as JSON lines")
    p.add_argument("--worker", help="(one plan, as JSON)")
    return p


def main() -> int:
    """The exit code: 0 all tasks measured, 1 some failed, 2 wrong usage, 130 interrupted."""
    a = (p := parser()).parse_args()
    if a.worker:
        print(json.dumps(work(Plan(**json.loads(a.worker)))))
        return 0
    for name in a.strategies:
        try:
            keywords(name)
        except UsageError as error:
            p.error(f"{name}: {error}")
    tools, names = folder_of_tools(p, a.tools), json.dumps(list(dict.fromkeys(a.strategies)))
    server = {"timeout_s": HANG_SECONDS}
    plans = [Plan(names, a.budget, a.budget // 16, seed, tools, server) for seed in dict.fromkeys(a.seeds)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows = asyncio.run(run_all(plans, a.jobs, a.out))
    except KeyboardInterrupt:
        print("ruggedness: interrupted; its runs were ended", file=sys.stderr)
        return 130
    if not rows:
        return 1
    rows.sort(key=lambda row: row["task_seed"])
    print(table(rows))
    found = correlations(rows)
    for one in found:
        print(
            f"{one['first']} - {one['second']}: rho {one['rho']:+.2f} with the range (p {one['p']:.2f}, n {one['n']})"
        )
    print(json.dumps({"tasks": rows, "correlations": found}))
    return 0 if len(rows) == len(plans) else 1


if __name__ == "__main__":
    sys.exit(main())
