"""Agents that decide in sequence: every environment × method, with scripted agents whose skill under each meta-prompt
is known, so that the choice of meta-prompts is judged exactly.

    uv run python benchmarks/decide.py                 # default sizes; takes hours
    uv run python benchmarks/decide.py --quick         # a minute
    uv run python benchmarks/decide.py --environments bandits:buttons-hard --methods expo,fixed --seeds 2
    uv run python benchmarks/decide.py --methods expo --switch-at 50 --environments bandits:buttons-hard

Prints a table, and as the last line one JSON object: `seconds_per_round`, `peak_mb`, and figures by environment, and by
family and method. `--out FILE` appends a line per environment and method as it is done. `benchmarks/README.md` says
what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from columns import aligned

from sage_spo.errors import SageError
from sage_spo.evaluation.meta_scores import mean_se
from sage_spo.graphs.decide_methods import METHODS, method
from sage_spo.jobs.decide.deciding import adecide
from sage_spo.jobs.decide.result import DecideResult
from sage_spo.tasks.environments.loading import ENVIRONMENTS, make_environment
from sage_spo.tests.fakes.acting import ScriptedActor
from sage_spo.tests.fakes.server import FakeServer

LEARNED_SEEDS = 2
WINDOW = 10
"""Rounds over which skill is averaged where it is asked when an agent is back at what it was before a switch."""
QUICK = {
    "environments": ("bandits:buttons-hard", "drifting:switch", "regression:w2-b30", "tsp:10"),
    "methods": ("expo", "expo-es", "exp3s", "fixed", "ucb1"),
    "rounds": 8,
    "seeds": 1,
}
LARGE = ("tsp:15", "tsp:20")
"""Learned methods are left out there, unless they are asked for."""
Row = dict[str, Any]


class Judge:
    """Listens to runs, and knows the true skill of every meta-prompt that they used."""

    def __init__(self, actor: ScriptedActor) -> None:
        self._actor = actor
        self.skills: list[list[float]] = []
        """By run, then by round."""

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        if event == "created":
            self.skills.append([])
        if event == "meta_prompt":
            self.skills[-1].append(self._actor.skill(fields["text"]))

    def row(self, switch_at: int | None) -> Row:
        """Mean skill of all rounds, of the first and of the last quarter; after a switch, the rounds until the mean of
        a window is back at what it was in the window before it (None: never)."""
        runs = [skills for skills in self.skills if skills]
        if not runs:
            return {}
        quarter = max(1, len(runs[0]) // 4)
        found: Row = {
            "skill": round(fmean(fmean(run) for run in runs), 3),
            "skill_first": round(fmean(fmean(run[:quarter]) for run in runs), 3),
            "skill_last": round(fmean(fmean(run[-quarter:]) for run in runs), 3),
        }
        if switch_at is not None:
            found["rounds_to_undo"] = [undone(run, switch_at) for run in runs]
        return found


def undone(skills: Sequence[float], switch_at: int) -> int | None:
    """Rounds after the switch until the mean skill of a window is what it was in the last window before."""
    before = fmean(skills[max(0, switch_at - WINDOW) : switch_at] or [0.0])
    for end in range(switch_at + WINDOW, len(skills) + 1):
        if fmean(skills[end - WINDOW : end]) >= before:
            return end - switch_at
    return None


async def measured(a: argparse.Namespace, environment: str, name: str, server: FakeServer, actor: ScriptedActor) -> Row:
    """One environment with one method."""
    judge = Judge(actor)
    started = time.monotonic()
    result = await adecide(
        environment,
        [name],
        rounds=a.rounds,
        seeds=a.seeds or seeds_of(environment, name),
        agent="openai:actor",
        base_url=server.url,
        embeddings="openai:embeddings",
        preset=a.preset,
        options=options_of(a.option),
        listener=judge,
    )
    return row_of(result, judge.row(a.switch_at), time.monotonic() - started)


def row_of(result: DecideResult, judged: Row, seconds: float) -> Row:
    """The figures of one environment and method."""
    [row] = result.rows
    runs = [run.result for run in row.runs if run.result]
    entropy, distance = row.entropy, [value for value in row.distance if value is not None]
    quarter = max(1, len(entropy) // 4)
    moves, _ = mean_se([sum(1 for a, b in zip(r.arms, r.arms[1:], strict=False) if a != b) for r in runs])
    return {
        "environment": result.environment,
        "method": row.method,
        "measure": result.measure,
        "mean": row.mean,
        "se": row.se,
        "fixed": row.fixed,
        "fixed_se": row.fixed_se,
        "by_seed": [run.result.figure if run.result else None for run in row.runs],
        "rounds": result.rounds,
        "seconds_per_round": row.seconds_per_round,
        "agent_calls": row.agent_calls,
        "entropy_first": round(fmean(entropy[:quarter]), 3) if entropy else None,
        "entropy_last": round(fmean(entropy[-quarter:]), 3) if entropy else None,
        "entropy_by_round": [round(value, 3) for value in entropy],
        "distance": round(fmean(distance), 3) if distance else None,
        "distance_last": round(fmean(distance[-quarter:]), 3) if distance else None,
        "moves": moves,
        **judged,
        "seconds": round(seconds, 1),
        "errors": [run.error for run in row.runs if run.error],
    }


def seeds_of(environment: str, name: str) -> int:
    """The paper's number of runs; two for learned methods."""
    return LEARNED_SEEDS if method(name).rephrased else ENVIRONMENTS[environment].runs


def options_of(given: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE` texts as options."""
    from sage_spo.jobs.options import option_values

    return option_values(list(given))


def fits(environment: str, name: str, asked: bool) -> bool:
    """Whether the method can be used there, and is to be."""
    how = method(name)
    listed = bool(make_environment(environment).describe().actions)  # type: ignore[union-attr]  (built in: not awaited)
    return (how.agent or listed) and (asked or not (how.rephrased and environment in LARGE))


HEAD = [
    "environment",
    "method",
    "measure",
    "mean (SE)",
    "vs fixed (SE)",
    "skill",
    "last",
    "entropy",
    "moves",
    "calls",
    "s/round",
]


def table(rows: Sequence[Row]) -> str:
    """A line per environment and method."""
    lines = [HEAD]
    for row in rows:
        lines.append(
            [
                row["environment"],
                row["method"],
                row["measure"],
                figure(row["mean"], row["se"]),
                figure(row["fixed"], row["fixed_se"]),
                shown(row.get("skill")),
                shown(row.get("skill_last")),
                f"{shown(row['entropy_first'])} → {shown(row['entropy_last'])}",
                shown(row["moves"]),
                shown(row["agent_calls"]),
                shown(row["seconds_per_round"]),
            ]
        )
    return aligned(lines)


def figure(mean: float | None, se: float | None) -> str:
    return "-" if mean is None else f"{mean:.3g}" + ("" if se is None else f" ({se:.2g})")


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def summary(rows: Sequence[Row]) -> Row:
    """The last line: the slowest method's seconds per round, the peak of memory, figures by environment and family."""
    by_environment: dict[str, Any] = {}
    families: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        by_environment.setdefault(row["environment"], {})[row["method"]] = [row["mean"], row["se"]]
        if row["mean"] is not None:
            family = row["environment"].partition(":")[0]
            families.setdefault(family, {}).setdefault(row["method"], []).append(row["mean"])
    return {
        "seconds_per_round": max((row["seconds_per_round"] or 0.0 for row in rows), default=None),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "figures": by_environment,
        "families": {of: {name: fmean(v) for name, v in by.items()} for of, by in families.items()},
    }


async def run_all(a: argparse.Namespace) -> tuple[list[Row], int]:
    """The rows in order, and how many failed."""
    actor = ScriptedActor(a.actor_seed, a.switch_at, a.sloppy)
    rows, failed = [], 0
    with FakeServer(actor, embedding_size=a.embedding_size) as server:
        for environment in a.environments:
            for name in (name for name in a.methods if fits(environment, name, a.asked)):
                try:
                    row = await measured(a, environment, name, server, actor)
                except SageError as error:
                    print(f"{environment} {name}: {error}", file=sys.stderr, flush=True)
                    failed += 1
                    continue
                failed += bool(row["errors"])
                rows.append(row)
                print(f"{environment} {name}: {figure(row['mean'], row['se'])} in {row['seconds']} s", file=sys.stderr)
                if a.out is not None:
                    with a.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    return rows, failed


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="four environments, five methods, eight rounds")
    p.add_argument("--environments", help="names with commas between them; default: all")
    p.add_argument("--methods", help="names with commas between them; default: all")
    p.add_argument("--rounds", type=int, help="default: the environment's own")
    p.add_argument("--seeds", type=int, help="default: the paper's runs, and two for learned methods")
    p.add_argument("--preset", default="default")
    p.add_argument("--option", action="append", default=[], metavar="NAME=VALUE")
    p.add_argument("--actor-seed", type=int, default=0, help="of the words' weights")
    p.add_argument("--switch-at", type=int, help="after so many plays the words have the opposite weights (bandits)")
    p.add_argument("--sloppy", type=float, default=0.0, help="share of answers without an action")
    p.add_argument("--embedding-size", type=int, default=256, help="numbers in an embedding (%(default)s)")
    p.add_argument("--out", type=Path, help="append a line per environment and method")
    return p


def main() -> int:
    """The exit code: 0 all measured, 1 some failed, 2 wrong usage."""
    a = (p := parser()).parse_args()
    a.asked = a.environments is not None
    quick = QUICK if a.quick else {}
    for name, known in (("environments", ENVIRONMENTS), ("methods", METHODS)):
        given = getattr(a, name)
        names = [one.strip() for one in given.split(",")] if given else list(quick.get(name, known))
        wrong = next((one for one in names if one not in known), None)
        if wrong is not None:
            p.exit(2, f"decide: --{name}: unknown '{wrong}'. Known: {', '.join(known)}\n")
        setattr(a, name, names)
    a.rounds, a.seeds = a.rounds or quick.get("rounds"), a.seeds or quick.get("seeds")
    with tempfile.TemporaryDirectory(prefix="decide-") as folder:
        os.environ |= {"SAGE_HOME": f"{folder}/home", "OPENAI_API_KEY": "unused"}
        rows, failed = asyncio.run(run_all(a))
    print(table(rows), json.dumps(summary(rows)), sep="\n", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
