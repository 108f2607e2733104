"""Strategies on the landscape: a simulated target and agent model, and a judge that knows every prompt's true score.

    uv run python benchmarks/landscape.py --strategies sage random --seeds 0 1 2 --budgets 1500 4000

Every run (strategy, budget, seed) has a process, a model server and a SAGE_HOME of its own. Prints a table, and as the
last line one JSON object; progress goes to stderr. `benchmarks/README.md` says what the figures mean.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NoReturn

from columns import aligned

from sage_spo.errors import UsageError
from sage_spo.graphs.registry import STRATEGIES
from sage_spo.graphs.run_settings import RunSettings
from sage_spo.graphs.strategy import DEFAULT_PRESET
from sage_spo.jobs.compare.rows import RULE, read_row
from sage_spo.jobs.options import option_values

SCRIPT = Path(__file__).resolve()
ROOT = SCRIPT.parent.parent
TOOLS = "../shared/tools/landscape"
AGENT_CALLS = {1500: 100, 4000: 250}
"""Agent calls by budget of target calls; a sixteenth of any other budget."""
NO_CODE = "no-code"
"""`sage:no-code` is `sage` with `sandbox="none"`; what else stands behind the colon is a preset."""
HANG_SECONDS = 5.0
"""How long a simulated time-out hangs; the server's own 30 would only make runs with faults longer."""
PATIENCE = 5.0  # seconds that an interrupted run has to end by itself
PAPERS = ("sage", "random", "genetic", "picked", "dual-phase")
"""The systems of the papers, measured with both presets."""
ROWS = [*STRATEGIES, *(f"{name}:faithful" for name in PAPERS)]
Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """One run: what to measure, on which task. `server` holds the model server's switches."""

    strategy: str
    budget: int
    agent_calls: int
    seed: int
    tools: str
    server: dict[str, float]


def work(plan: Plan) -> Row:
    """Run one plan; returns the benchmark's own record of it (judgement, calls, prompt) and the run's figures."""
    sys.path.insert(0, plan.tools)  # in front of this folder, whose `landscape` is another one
    common = importlib.import_module("common")
    sys.path.remove(plan.tools)
    common.die_with_parent()

    from sage_spo import optimize
    from sage_spo.tasks.prompt import fill

    task = landscape_task(common, plan.seed)
    budget = {"target_calls": plan.budget, "agent_calls": plan.agent_calls}
    models = {"target": "openai:target", "agent": "openai:agent"}
    with common.server(task_seed=plan.seed, **plan.server) as server:
        settings = {**models, **keywords(plan.strategy), "base_url": server.api}
        started = time.monotonic()
        result = optimize(task, budget=budget, seed=plan.seed, certify=False, **settings)
        seconds = time.monotonic() - started
        text = fill(result.best.components["system"], "{input}", {}, task.labels)  # as the target saw it
        about = result.model_dump(include={"verdict", "stop", "estimate", "iterations", "candidates", "accepted"})
        about |= {f"ledger_{kind}": result.spend["spent"][kind] for kind in budget}
        about |= {"agent_budget": plan.agent_calls, "server": plan.server, "faults": server.stats()["faults"]}
        return common.record(plan.strategy, plan.seed, plan.budget, text, server, seconds, **about)


def keywords(strategy: str) -> dict[str, Any]:
    """What `optimize` takes for a row by its name: `NAME`, `NAME:PRESET`, `sage:no-code`, each perhaps with options and
    rules of acceptance in brackets (`picked[gate=false,rule.confidence=0.9]`).

    Raises UsageError for what does not exist.
    """
    row = read_row(strategy)
    found: dict[str, Any] = {"strategy": row.strategy, "preset": row.preset}
    if row.preset == NO_CODE and row.strategy == "sage":
        found |= {"preset": DEFAULT_PRESET, "sandbox": "none"}
    found |= {"options": option_values(row.options), "rules": option_values(row.rules, RULE)}
    RunSettings(task="landscape", **found).check()
    return found


def landscape_task(common: Any, seed: int) -> Any:
    """The benchmark's task as ours: free text is scored by exact match, so that a wrapped answer fails."""
    from sage_spo.tasks.example import Example
    from sage_spo.tasks.metrics import make_metric
    from sage_spo.tasks.prompt import Prompt
    from sage_spo.tasks.task import Task

    def examples(rows: list[Row]) -> tuple[Example, ...]:
        return tuple(Example(row["id"], row["input"], row["label"], row["metadata"]) for row in rows)

    data = common.load(seed)
    search, holdout, test = examples(data["train"]), examples(data["holdout"]), examples(data["test"])
    seed_prompt = Prompt(components={"system": common.SEED_PROMPT})
    name, labels = f"landscape-{common.V.NAME}-{seed}", tuple(common.V.LABELS)
    return Task(name, seed_prompt, search, holdout, test, make_metric("exact"), labels)


async def run_all(
    plans: Sequence[Plan], jobs: int, environment: dict[str, str], keep: Callable[[Row], None]
) -> list[Row | None]:
    """The plans' rows in order, None for a run that failed; at most `jobs` at once. `keep` gets each row as soon as it
    is there. Cancelled, it ends its children."""
    gate = asyncio.Semaphore(jobs)

    async def one(plan: Plan) -> Row | None:
        async with gate:
            row, trouble = await in_child(plan, environment)
        for line in [f"failed: {trouble}"] if row is None else story(row):
            print(f"{plan.strategy} {plan.budget} seed {plan.seed}: {line}", file=sys.stderr, flush=True)
        if row is not None:
            keep(row)
        return row

    return list(await asyncio.gather(*map(one, plans)))


def append(path: Path, row: Row) -> None:
    """Add a row to a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


async def in_child(plan: Plan, environment: dict[str, str], script: Path = SCRIPT) -> tuple[Row | None, str]:
    """The row of one run in a child process of the script, else why there is none."""
    with tempfile.TemporaryDirectory(prefix="landscape-", ignore_cleanup_errors=True) as folder:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script), "--worker", json.dumps(asdict(plan))),
            stdout=PIPE,
            stderr=PIPE,
            cwd=folder,  # no .env of anybody's
            env={**environment, "SAGE_HOME": f"{folder}/home"},
            start_new_session=True,  # Ctrl-C comes here alone, and is passed on
        )
        try:
            stdout, stderr = await child.communicate()
        finally:
            if child.returncode is None:
                await end(child)
    notes = ("During task with name",)  # LangGraph's, after the line that says what went wrong
    said = [line for line in stderr.decode(errors="replace").strip().splitlines() if not line.startswith(notes)]
    lines = stdout.decode(errors="replace").strip().splitlines()
    if child.returncode or not lines:
        return None, said[-1] if said else f"exit code {child.returncode}"
    return json.loads(lines[-1]), ""


async def end(child: Process) -> None:
    """Ask a child to stop, then make it."""
    child.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(child.wait(), PATIENCE)
    except TimeoutError:
        os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


def story(row: Row) -> list[str]:
    """A finished run in a line; more where the server's and our counts of calls differ, or it knew not all inputs."""
    made = {kind: row[kind] for kind in ("target_calls", "agent_calls")}
    lines = [f"gain {row['normalised_gain']:.2f}, {' + '.join(map(str, made.values()))} calls, {row['wall_s']} s"]
    if not row["faults"]:
        ours = {kind: row[f"ledger_{kind}"] for kind in made}
        lines += [
            f"warning: {kind}: server {made[kind]}, ledger {ours[kind]}" for kind in made if made[kind] != ours[kind]
        ]
    unknown = row["unknown_examples"]
    return [*lines, f"warning: the server did not know {unknown} of the inputs"] if unknown else lines


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over the runs of one strategy and budget; `worse_than_seed` and `traps` are counts of runs."""

    def mean(field: str, digits: int = 4) -> float | None:
        return round(fmean(row[field] for row in rows), digits) if rows else None

    gains = [row["normalised_gain"] for row in rows]
    return {
        "gain": mean("normalised_gain"),
        "se": round(stdev(gains) / len(gains) ** 0.5, 4) if len(gains) > 1 else None,
        "target_calls": mean("target_calls", 1),
        "agent_calls": mean("agent_calls", 1),
        "worse_than_seed": sum(row["worse_than_seed"] for row in rows),
        "traps": sum(row["trap"] for row in rows),
        "harmful": mean("harmful_wrong_rules", 2),
        "regression": mean("holdout_regression", 3),
        "seeds": len(rows),
    }


HEAD = ["strategy", "budget", "gain (SE)", "target", "agent", "worse", "traps", "harmful", "regression", "s", "failed"]


def table(cells: dict[tuple[str, int], list[Row | None]]) -> str:
    """One line per strategy and budget; `s` are the mean seconds of a run."""
    lines = [HEAD]
    for (strategy, budget), runs in cells.items():
        rows = [row for row in runs if row is not None]
        gain, se, *others, _ = figures(rows).values()
        others.append(round(fmean(row["wall_s"] for row in rows), 1) if rows else None)
        cut = "-" if gain is None else f"{gain:.3f} ({'-' if se is None else format(se, '.3f')})"
        shown = ["-" if not rows else str(value) for value in others]
        lines.append([strategy, str(budget), cut, *shown, f"{len(runs) - len(rows)} of {len(runs)}"])
    return aligned(lines)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{Path(self.prog).stem}: {message}\n")


def between(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """The argument type of numbers in [low, high]."""

    def number(text: str) -> float:
        if not low <= (value := kind(text)) <= high:
            raise argparse.ArgumentTypeError(f"{text} is out of range, it starts at {low:g} and ends at {high:g}")
        return value

    return number


def parser() -> OneLineParser:
    """The command line."""
    p = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    count, share = between(int, 1, 10**6), between(float, 0, 1)
    p.add_argument("--tools", default=TOOLS, help="the benchmark's folder, seen from the repository root (%(default)s)")
    p.add_argument(
        "--strategies",
        nargs="+",
        default=ROWS,
        help="NAME, NAME:PRESET or sage:no-code, each perhaps with options, as in 'picked[gate=false]'; "
        "default: all, and the papers' systems with both presets",
    )
    p.add_argument("--seeds", nargs="+", type=between(int, 0, 10**6), default=list(range(10)), help="default: 0 to 9")
    p.add_argument("--budgets", nargs="+", type=count, default=[1500], help="target calls (1500)")
    p.add_argument("--agent-calls", nargs="+", type=count, help="one for each budget (100 at 1500, 250 at 4000)")
    words = p.add_mutually_exclusive_group()
    words.add_argument("--vocabulary", choices=["A", "B"], help="the words of the task")
    words.add_argument("--vocabulary-file", type=Path, help="words of your own, a .py file")
    p.add_argument("--agent-edits", type=count, help="edits per proposal of the simulated agent")
    p.add_argument("--q", type=share, help="chance that the simulated agent fixes a failing example's skill")
    p.add_argument("--fault-rate", type=share, help="share of calls that fail")
    p.add_argument("--jobs", type=count, default=2, help="runs at once (%(default)s)")
    p.add_argument("--out", type=Path, help="append every run's full row to this file, as JSON lines")
    p.add_argument("--worker", help=argparse.SUPPRESS)
    return p


def agent_calls(budget: int) -> int:
    """How many agent calls go with a budget of target calls."""
    return AGENT_CALLS.get(budget, max(1, budget // 16))


def folder_of_tools(p: OneLineParser, given: str) -> str:
    """The benchmark's folder, named as seen from the repository root."""
    tools = (ROOT / given).resolve()
    if not (tools / "server.py").is_file():
        p.error(f"--tools: the landscape benchmark is not in {tools}")
    return str(tools)


def child_environment(words: str | None) -> dict[str, str]:
    """The environment of the runs; `words`: the task's vocabulary, by name or file."""
    environment = {**os.environ, "OPENAI_API_KEY": "unused", "PYTHONDONTWRITEBYTECODE": "1"}
    return environment | ({"LANDSCAPE_VOCABULARY": words} if words else {})


def plans(p: OneLineParser, a: argparse.Namespace) -> list[Plan]:
    """All runs that the command line asks for, checked."""
    calls = a.agent_calls or [agent_calls(budget) for budget in a.budgets]
    if len(calls) != len(a.budgets):
        p.error(f"--agent-calls: {len(calls)} given for {len(a.budgets)} budgets; give one for each")
    if len(set(a.budgets)) < len(a.budgets):
        p.error("--budgets: one is given twice")
    tools = folder_of_tools(p, a.tools)
    if a.vocabulary_file and not (a.vocabulary_file.suffix == ".py" and a.vocabulary_file.is_file()):
        p.error(f"--vocabulary-file: {a.vocabulary_file} is not a Python file")
    if a.out and not a.out.resolve().parent.is_dir():
        p.error(f"--out: there is no folder {a.out.resolve().parent}")
    switches = {"agent_edits": a.agent_edits, "q": a.q, "fault_rate": a.fault_rate}
    server = {name: value for name, value in switches.items() if value is not None} | {"timeout_s": HANG_SECONDS}
    budgets = dict(zip(a.budgets, calls, strict=True))
    for given in a.strategies:
        try:
            keywords(given)
        except UsageError as error:
            p.error(f"{given}: {str(error).removeprefix('--strategies: ')}")
    wanted = product(dict.fromkeys(a.strategies), budgets.items(), dict.fromkeys(a.seeds))
    return [Plan(name, budget, agent, seed, tools, server) for name, (budget, agent), seed in wanted]


def main() -> int:
    """The exit code: 0 all runs measured, 1 some failed, 2 wrong usage, 130 interrupted."""
    a = (p := parser()).parse_args()
    if a.worker:
        print(json.dumps(work(Plan(**json.loads(a.worker)))))
        return 0
    wanted = plans(p, a)
    environment = child_environment(a.vocabulary or (a.vocabulary_file and str(a.vocabulary_file.resolve())))
    keep = partial(append, a.out) if a.out else lambda _: None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the children like Ctrl-C
    try:
        rows = asyncio.run(run_all(wanted, a.jobs, environment, keep))
    except KeyboardInterrupt:
        print("landscape: interrupted; its runs were ended", file=sys.stderr)
        return 130
    cells: dict[tuple[str, int], list[Row | None]] = {}
    for plan, row in zip(wanted, rows, strict=True):
        cells.setdefault((plan.strategy, plan.budget), []).append(row)
    found: dict[str, dict[str, Any]] = {}
    for (strategy, budget), runs in cells.items():
        found.setdefault(strategy, {})[str(budget)] = figures([row for row in runs if row is not None])
    print(table(cells), json.dumps(found), sep="\n", flush=True)
    return 0 if all(row is not None for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
