"""Runs killed with -9 at random moments and resumed: each must end as the undisturbed one, and ask nothing twice.

python benchmarks/kill.py
python benchmarks/kill.py --runs 3 --seed 7 --strategies sage

A run is the command line in a process of its own, against a server in this process whose answers depend on the request
alone. What had been committed is read from a copy of the store between the kill and the resume; what is asked again is
read from the server's log.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import PROGRAM
from sage_spo.tests.fakes.agent import ScriptedAgent, edit, hypothesis
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.causes import FIX, PHONE, answering, failing_for, tickets, written
from sage_spo.tests.fakes.faults import Fault
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.processes import alive, descendants, eventually
from sage_spo.traces.result import Result
from sage_spo.traces.store import RunStore

NAME = "cut"
LATENCY = 0.02
TWICE = 3
"""Every so manieth run is killed a second time, while it resumes."""
SETTLE_SECONDS = 0.3
"""What a killed process had sent has come in by then."""
LOOK = "print(records['example_id'].nunique())\nemit('phone', {'phone': {'n': 1, 'failures': 1}})"
CAUSE = hypothesis('records["channel"].eq("phone")', FIX, "Phone tickets fail.")
COLUMNS = "{:>4}  {:8}  {:>18}  {:>9}  {:>9}  {:>9}  {:>6}  {:8}  {}"


class MarkingServer(FakeServer):
    """A server that marks every answer with its request's digest, as a number of tokens, which the store keeps."""

    def _chat(self, body: dict[str, Any], fault: Fault | None) -> dict[str, Any]:
        reply = super()._chat(body, fault)
        reply["usage"]["completion_tokens"] = mark(reply["id"])
        return reply


def mark(digest: str) -> int:
    """The number that stands for a request."""
    return int(digest[:10], 16)


@dataclass(frozen=True)
class Scene:
    """A run's command line, and how it goes when nobody disturbs it: seconds, requests by mark, and what is left."""

    strategy: str
    options: tuple[str, ...]
    seconds: float = 0.0
    needed: Counter[int] = field(default_factory=Counter)
    left: dict[str, Any] | None = None

    @property
    def optimize(self) -> list[str]:
        return ["optimize", *self.options, "--strategy", self.strategy, "--run", NAME, "--json"]


@dataclass(frozen=True)
class Moment:
    """When to kill: once the server has been asked so often, and so many seconds after that."""

    calls: int
    seconds: float

    def __str__(self) -> str:
        return f"call {self.calls}" if self.calls else f"{self.seconds:.2f} s"


def moment(scene: Scene, rng: random.Random) -> Moment:
    """A moment over the whole of a run: by the clock, which start-up takes much of, or between any two calls, or in
    what follows the last one."""
    where, calls = rng.random(), sum(scene.needed.values())
    if where < 0.3:
        return Moment(0, rng.uniform(0, scene.seconds))
    if where < 0.8:
        return Moment(rng.randint(1, calls), rng.uniform(0, 0.1))
    return Moment(calls, rng.uniform(0, 1.0))


@dataclass(frozen=True)
class Kill:
    """One kill: when, what was committed by then, how long the server's log was, and how many processes were left."""

    moment: Moment
    ended: bool
    committed: Counter[int]
    log: int
    processes: int


def scenes(folder: Path, url: str, strategies: list[str]) -> list[Scene]:
    """The runs to be killed; every one is certified."""
    server = ("--target", "openai:fake", "--base-url", url)
    task = str(written(tickets((72, 24, 48)), folder))
    with_agent = ("--agent", "openai:fake", "--sandbox", "local", "--iterations", "2", "--option", "opinions=2")
    known = {
        "random": Scene("random", ("reviews", *server, "--budget", "target_calls=800")),
        "sage": Scene("sage", (task, *server, *with_agent, "--budget", "target_calls=700,agent_calls=60")),
    }
    return [known[name] for name in strategies]


def answer() -> Any:
    """Answers for both strategies: a scripted agent, tickets that fail for a cause, reviews by a rule."""
    task = tickets((72, 24, 48))
    sorting, texts = answering(task, failing_for(PHONE)), {e.input for e in task.everything}
    rows = [{"input": e.input, "expected": e.expected} for e in load_task("reviews").everything]
    judging = rule_for(rows, base=0.4, gains={"nswer with": 0.25, "eply with": 0.25, "only the label": 0.25})

    def target(request: dict[str, Any]) -> str:
        return (sorting if request["messages"][-1]["content"] in texts else judging)(request)

    def diagnosis(text: str) -> dict[str, Any]:
        return {"hypotheses": [CAUSE]} if "what it printed" in text else {"code": LOOK}

    return ScriptedAgent({"Diagnosis": diagnosis, "Proposal": edit(FIX)}, target)


class Runner:
    """Starts, kills and resumes runs of one `SAGE_HOME` after the other."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()

    def start(self, home: Path, arguments: list[str]) -> subprocess.Popen[str]:
        environment = os.environ | {"SAGE_HOME": str(home), "TMPDIR": str(self.temporary)}
        for name in ("E2B_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
            environment.pop(name, None)
        return subprocess.Popen(
            [*PROGRAM, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def undisturbed(self, scene: Scene) -> Scene:
        """The scene with what an undisturbed run of it takes and leaves."""
        home, began, first = self.folder / f"{scene.strategy}-whole", time.monotonic(), len(self.server.log)
        process = self.start(home, scene.optimize)
        _, said = process.communicate()
        seconds = time.monotonic() - began
        if process.returncode:
            raise SystemExit(f"the undisturbed run failed:\n{said}")
        needed = Counter(mark(entry.digest) for entry in self.server.log[first:])
        return replace(scene, seconds=seconds, needed=needed, left=asyncio.run(left(home)))

    def kill(self, home: Path, arguments: list[str], first: int, moment: Moment) -> Kill:
        """Start a run and kill it at that moment, unless it has ended by then; `first`: where the log of it begins."""
        with self.start(home, arguments) as process:
            while len(self.server.log) - first < moment.calls and process.poll() is None:
                time.sleep(0.001)
            ended, children = True, set()
            try:
                process.communicate(timeout=moment.seconds)
            except subprocess.TimeoutExpired:
                # Stopped first, so that it starts nothing more while its processes are looked for.
                process.send_signal(signal.SIGSTOP)
                ended, children = False, descendants(process.pid)
                process.kill()
        gone = eventually(lambda: not alive(children), 10.0)
        time.sleep(SETTLE_SECONDS)
        return Kill(moment, ended, committed(home), len(self.server.log), 0 if gone else len(alive(children)))

    def disturbed(self, scene: Scene, number: int, rng: random.Random) -> dict[str, Any]:
        """Kill a run once or twice, resume it, and compare."""
        home, first = self.folder / f"{scene.strategy}-{number}", len(self.server.log)
        kills = [self.kill(home, scene.optimize, first, moment(scene, rng))]
        if number % TWICE == TWICE - 1:
            kills.append(self.kill(home, self.going_on(scene, home, rng), first, moment(scene, rng)))
        arguments = self.going_on(scene, home, rng)
        process = self.start(home, arguments)
        _, said = process.communicate()
        asked = Counter(mark(entry.digest) for entry in self.server.log[first:])
        after = asyncio.run(left(home)) if process.returncode == 0 else {"error": said}
        resent = 0
        for kill, end in zip(kills, [*(k.log for k in kills[1:]), len(self.server.log)], strict=True):
            again = Counter(mark(entry.digest) for entry in self.server.log[kill.log : end])
            open_ = scene.needed - kill.committed
            resent += sum((again - open_).values())
        different = [name for name in scene.left or {} if after.get(name) != (scene.left or {})[name]]
        if different:
            explain(scene, after, different)
        result = {
            "resent": resent,
            "in_flight": sum((asked - scene.needed).values()),
            "different": bool(different),
            "processes": sum(kill.processes for kill in kills),
            "late": all(kill.ended for kill in kills),
        }
        print(
            COLUMNS.format(
                number,
                scene.strategy,
                ", ".join("ended" if k.ended else str(k.moment) for k in kills),
                ", ".join(str(sum(k.committed.values())) for k in kills),
                sum(scene.needed.values()),
                result["in_flight"],
                resent,
                arguments[0],
                "DIFFERS" if different else "same",
            ),
            flush=True,
        )
        return result

    def going_on(self, scene: Scene, home: Path, rng: random.Random) -> list[str]:
        """The command that takes the run up: either of the two, once there is a run."""
        return ["resume", NAME, "--json"] if rng.random() < 0.5 and has_run(home) else scene.optimize


def explain(scene: Scene, after: dict[str, Any], different: list[str]) -> None:
    """Say on standard error what differs."""
    print(after.get("error", ""), file=sys.stderr)
    for name in different:
        print(
            f"  {name}: {str((scene.left or {})[name])[:2000]}\n  now: {str(after.get(name))[:2000]}", file=sys.stderr
        )


def copied(home: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query gives on a copy of the store, so that looking changes nothing; nothing where there is none yet."""
    with tempfile.TemporaryDirectory() as folder:
        for path in home.glob("store.sqlite*"):
            shutil.copy(path, folder)
        if not (Path(folder) / "store.sqlite").exists():
            return []
        with sqlite3.connect(Path(folder) / "store.sqlite") as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError as error:  # the tables had not been made
                if "no such table" not in str(error):
                    raise
                return []


def committed(home: Path) -> Counter[int]:
    """The answers in the store, by their requests' marks."""
    return Counter(row[0] for row in copied(home, "SELECT output_tokens FROM answers"))


def has_run(home: Path) -> bool:
    """Whether the run had been made."""
    return bool(copied(home, f"SELECT id FROM runs WHERE alias = '{NAME}'"))


async def left(home: Path) -> dict[str, Any]:
    """What a run leaves in the store, without times and ids; of its cost the logical calls."""
    async with await RunStore.open(home) as store:
        run = await store.run(NAME)
        result = Result.model_validate(run.result)
        calls = {role: spend["calls"] for role, spend in result.spend["by_role"].items()}
        return {
            "result": result.model_dump(exclude={"run_id", "spend"}) | {"calls": calls},
            "decisions": [replace(d, run_id="") for d in await store.decisions(run.id)],
            "hypotheses": [replace(h, run_id="") for h in await store.hypotheses(run.id)],
            "code": [replace(r, run_id="", seconds=0.0) for r in await store.code_runs(run.id)],
            "records": [replace(r, run_id="", key="") for r in await store.records(run.id)],
        }


def main() -> int:
    """Run it; 0 where nothing was asked twice, no result differs and no process was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=25, help="runs to kill, taken from the strategies in turn")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--strategies", default="sage,random", help="separated by commas")
    options = parser.parse_args()
    rng, found = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="kill-") as path, MarkingServer(answer(), latency=LATENCY) as server:
        runner = Runner(server, Path(path))
        chosen = [runner.undisturbed(s) for s in scenes(Path(path), server.url, options.strategies.split(","))]
        for scene in chosen:
            verdict = (scene.left or {})["result"]["verdict"]
            print(f"{scene.strategy}: {sum(scene.needed.values())} calls in {scene.seconds:.1f} s, {verdict}")
        print(COLUMNS.format("run", "strategy", "killed after", "committed", "calls", "in flight", "resent", "by", ""))
        for number in range(options.runs):
            found.append(runner.disturbed(chosen[number % len(chosen)], number, rng))
        files = len(list(runner.temporary.iterdir()))
    summary = {
        "runs": len(found),
        "resent_committed": sum(f["resent"] for f in found),
        "different_results": sum(f["different"] for f in found),
        "left_processes": sum(f["processes"] for f in found),
        "left_files": files,
        "most_in_flight_resent": max((f["in_flight"] for f in found), default=0),
        "ended_before_the_kill": sum(f["late"] for f in found),
    }
    print(json.dumps(summary))
    bad = ("resent_committed", "different_results", "left_processes")
    return 1 if any(summary[name] for name in bad) else 0


if __name__ == "__main__":
    sys.exit(main())
