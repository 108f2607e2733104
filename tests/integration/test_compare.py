"""Comparisons as people and cron call them: whole, killed with -9, with a row that fails, with input that is wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sage_spo import acompare, compare
from sage_spo.errors import UsageError
from sage_spo.graphs.registry import strategies
from sage_spo.jobs.cli import main
from sage_spo.settings import settings as installation
from sage_spo.tasks.halves import halves_of_test
from sage_spo.tasks.load import load_task
from sage_spo.tests.commands import started
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.processes import descendants, eventually
from sage_spo.traces.rows import Record, TestUse
from sage_spo.traces.store import RunStore

Captured = pytest.CaptureFixture[str]
IN_FLIGHT = 60
"""Calls that a kill may lose at most: under way, or answered in the last 50 ms."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A model that is right 40 % of the time on the built-in reviews, more often once told the form."""
    known = [{"input": e.input, "expected": e.expected} for e in load_task("reviews").everything]
    with FakeServer(rule_for(known, base=0.4, gains={"nswer with": 0.35, "nly the label": 0.35})) as running:
        yield running


def call(server: FakeServer, *more: str) -> list[str]:
    """Arguments of a small comparison called `mine`."""
    shared = ["--target", "openai:fake", "--base-url", server.url, "--run", "mine", "--seeds", "1"]
    return ["compare", "reviews", "--strategies", "random,demos", "--budget", "target_calls=250", *shared, *more]


def document(arguments: list[str], capsys: Captured, code: int = 0) -> dict[str, Any]:
    """The JSON document of a call that ends with that exit code."""
    capsys.readouterr()
    ended = main([*arguments, "--json"])
    said = capsys.readouterr()
    assert ended == code, said.err
    return json.loads(said.out)


def story(outcome: dict[str, Any]) -> dict[str, Any]:
    """What must not depend on kills: all but ids of runs and working time."""
    told = {name: value for name, value in outcome.items() if name not in ("run_id", "spend", "rows")}
    for row in outcome["rows"]:
        runs = [{n: v for n, v in run.items() if n not in ("run_id", "seconds", "spent")} for run in row["runs"]]
        calls = [run["spent"]["target_calls"] for run in row["runs"]]
        told[row["row"]] = {**row, "runs": runs, "calls": calls}
    return told


async def _kept(name: str) -> tuple[list[Record], list[TestUse]]:
    async with await RunStore.open(installation().home) as store:
        run = await store.run(name)
        return await store.records(run.id), await store.test_uses(load_task("reviews").test_key)


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.full)])
def test_killed_and_cancelled_it_ends_as_undisturbed_and_pays_nothing_twice(
    server: FakeServer, capsys: Captured, monkeypatch: pytest.MonkeyPatch, home: Path, kills: int
) -> None:
    monkeypatch.setenv("SAGE_HOME", str(home / "undisturbed"))
    undisturbed = document(call(server), capsys)
    needed = len(server.log)
    _is_fair(undisturbed, needed)
    assert document(call(server), capsys) == undisturbed, "a finished comparison is shown again"
    assert len(server.log) == needed
    _is_shown(capsys)
    server.log.clear()
    monkeypatch.setenv("SAGE_HOME", str(home))
    server.latency = 0.02
    for calls in (100, needed - 120)[:kills]:  # in the first search, and while the test split is measured
        process = started(*call(server, "--json"))
        server.wait_for_requests(calls, 120)
        children = descendants(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))  # noqa: B023
    server.latency = 0.0
    asyncio.run(_cancelled_while_measuring(server))
    server.latency = 0.0
    assert story(document(call(server), capsys)) == story(undisturbed)
    assert len(server.log) <= needed + 2 * IN_FLIGHT


async def _cancelled_while_measuring(server: FakeServer) -> None:
    """A program that cancels `acompare`, and goes on with something else, is not charged any more."""

    def say(line: str) -> None:
        if line.startswith("measuring what"):
            server.latency = 0.3
            measuring.set()

    measuring = asyncio.Event()
    options = {"target": "openai:fake", "base_url": server.url, "concurrency": 1}
    comparing = asyncio.create_task(
        acompare("reviews", ["random", "demos"], seeds=1, budget={"target_calls": 250}, run="mine", say=say, **options)
    )
    await measuring.wait()
    await asyncio.sleep(0.7)
    comparing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await comparing
    asked = len(server.log)
    await asyncio.sleep(1)
    assert len(server.log) == asked
    async with await RunStore.open(installation().home) as store:
        assert (await store.run("mine")).status == "interrupted"


def _is_fair(outcome: dict[str, Any], asked: int) -> None:
    """Every run paid for its own calls, none saw the test split, whose halves were used once each."""
    runs = [run for row in outcome["rows"] for run in row["runs"]]
    spent = sum(run["spent"]["target_calls"] for run in runs) + outcome["spend"]["spent"]["target_calls"]
    assert spent == asked
    assert {run["run"] for run in runs} == {"mine/random-0", "mine/demos-0"}
    for run in runs:
        assert not [record for record in asyncio.run(_kept(run["run"]))[0] if record.split == "test"]
    records, uses = asyncio.run(_kept("mine"))
    first, second = ({e.id for e in half} for half in halves_of_test(load_task("reviews")))
    of_best = {r.example_id for r in records if r.prompt_id == outcome["best"]["id"]}
    assert of_best == first | second
    assert len(uses) == 2
    assert outcome["verdict"] == "improved"
    assert outcome["n"] == len(second)
    assert outcome["alpha"] == pytest.approx(0.0304, abs=1e-4)
    assert outcome["pairs"][0]["adjusted"] <= 1
    assert all(row["conditional"] for row in outcome["rows"])


def _is_shown(capsys: Captured) -> None:
    assert main(["show", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "GAIN (95 %)" in shown
    assert "Winner: " in shown
    assert "conditional on these runs" in " ".join(shown.split())
    assert main(["show", "mine", "--prompt"]) == 0
    assert main(["runs"]) == 0
    assert "compare" in capsys.readouterr().out
    assert main(["resume", "mine"]) == 2
    assert "is a comparison; go on with: sage-spo compare reviews" in capsys.readouterr().err


def test_a_row_that_fails_keeps_the_others_and_the_same_command_does_it_again(
    server: FakeServer, capsys: Captured, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it may cost is agreed on once, by the first call alone.
    home.mkdir()
    (home / "prices.yaml").write_text("prices:\n  openai:fake: [0.1, 0.4]\n")
    monkeypatch.setenv("SAGE_PRICES", str(home / "prices.yaml"))
    server.latency = 0.05
    before = descendants(os.getpid())

    def kill() -> None:
        server.wait_for_requests(40, 60)
        for pid in descendants(os.getpid()) - before:
            os.kill(pid, signal.SIGKILL)
        server.latency = 0.0

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        outcome = document(call(server), capsys, 1)
        killing.result()
    failed, other = outcome["rows"]
    assert failed["note"] == "failed: its process was killed by signal 9"
    assert failed["gain"] is None
    assert other["runs"][0]["state"] == "done"
    assert outcome["seed_mean"] is not None
    again = document(call(server), capsys)
    assert [run["state"] for row in again["rows"] for run in row["runs"]] == ["done", "done"]
    # Another winner is another certificate, of a split that has given one already.
    assert (outcome["winner"], again["winner"]) == ("demos", "random")
    assert (outcome["test_use"], again["test_use"]) == (1, 3)
    assert again["alpha"] < outcome["alpha"] / 5


# What they may do wrong is checked in one process elsewhere; here, that a process with one that hangs ends.
@pytest.mark.parametrize("names", [("hangs",), pytest.param(("raises", "hangs", "forgets"), marks=pytest.mark.full)])
def test_strategies_of_other_people_and_peers_that_do_not_work_are_rows_with_a_reason(
    server: FakeServer, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    info = tmp_path / "site" / "own_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    entries = "".join(f"{name} = own_rows:{name}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[sage_spo.strategies]\n{entries}")
    (info.parent / "own_rows.py").write_text(
        "import time\n"
        "def raises(search): raise KeyError('x')\n"
        "def hangs(search): time.sleep(1000)\n"
        "def forgets(search): pass\n"
    )
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.setenv("PYTHONPATH", str(info.parent))
    monkeypatch.setenv("SAGE_STRATEGY_SECONDS", "1")
    for name, value in {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "empty")}.items():
        monkeypatch.setenv(name, value)
    strategies.cache_clear()
    try:
        arguments = call(server, "--strategies", f"demos,{','.join(names)}", "--peers", "gepa", "--parallel", "2")
        outcome = document(arguments, capsys, 1)
    finally:
        strategies.cache_clear()
    good, *bad = outcome["rows"]
    assert good["runs"][0]["state"] == "done"
    assert good["gain"] is not None
    assert {row["runs"][0]["state"] for row in bad} == {"failed"}
    words = {
        "raises": "strategy 'raises' (own_rows:raises) raised KeyError: 'x' (own_rows.py, line 2)",
        "hangs": "hangs: for 1 s it has neither returned nor asked anything",
        "forgets": "strategy 'forgets' (own_rows:forgets) returned nothing, not a list of prompts",
    }
    peer = "peer gepa: gepa==0.1.4 cannot be installed: "
    for row, said in zip(bad, [*(words[name] for name in names), peer], strict=True):
        assert said in row["note"]
        assert "\n" not in row["note"]


@pytest.mark.full
def test_a_run_that_says_nothing_has_hung_and_is_ended(server: FakeServer, capsys: Captured) -> None:
    server.latency = 300.0
    outcome = document(call(server, "--silence", "0.1"), capsys, 1)
    assert [row["note"] for row in outcome["rows"]] == ["failed: it said nothing for 0.1 minutes and was ended"] * 2
    assert outcome["sentence"].startswith("Nothing can be concluded: no run came to its end.")
    server.latency = 0.0
    assert document(call(server), capsys)["verdict"] == "improved"


def test_stopped_it_ends_with_75_and_says_what_is_left(server: FakeServer) -> None:
    server.latency = 0.1
    process = started(*call(server, "--json"))
    server.wait_for_requests(30, 120)
    server.latency = 5.0  # the step in hand does not end before the second signal
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    outcome = json.loads(out)
    assert outcome["verdict"] == "unfinished"
    assert outcome["sentence"] == "2 of 2 runs are left to do; nothing is certified yet."
    assert [row["note"] for row in outcome["rows"]] == ["interrupted", "to do"]
    assert "--run mine" in outcome["command"]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("strategies", "more", "code", "said"),
    [
        ("random,demmos", [], 2, "--strategies: unknown 'demmos'. Did you mean 'demos'?"),
        ("random,demos:faithfull", [], 2, "--strategies: demos:faithfull: preset: strategy demos has none named"),
        ("random,demos:", [], 2, "'demos:' names no preset; write demos, or as in demos:faithful"),
        ("random", [], 2, "a comparison takes at least two rows"),
        ("", [], 2, "a comparison takes at least two rows"),
        ("random,demos,random", [], 2, "--strategies: 'random' is given twice"),
        ("random,demos", ["--peers", "nobody"], 2, "--peers: there is no peer 'nobody'."),
        ("random,demos", ["--budget", "target_calls=50"], 3, "--strategies: random: budget: target_calls=50 is too"),
        (
            "",
            ["--peers", "gepa,dspy", "--budget", "target_calls=9"],
            3,
            "--peers: peer:gepa: budget: target_calls=9 is too",
        ),
        ("random", ["--peers", "gepa", "--budget", "minutes=9"], 2, "--peers: peer:gepa: --budget: a peer plans by"),
        ("", ["--peers", "gepa,dspy", "--target", "python:json:dumps"], 2, "--agent: a peer's prompts are written by"),
        ("random,demos", ["--budget", "calls=50"], 2, "budget: unknown unit 'calls'"),
        ("random,demos", ["--rule", "confidense=0.9"], 2, "--strategies: random: rule 'confidense' of acceptance"),
        ("random,demos", ["--run", "a b"], 2, "--run: a name is made of letters"),
        ("random,demos", ["--seeds", "0"], 2, "--seeds"),
        ("random,demos", ["--sandbox", "nowhere"], 2, "--sandbox: unknown 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_before_anything_is_asked(
    server: FakeServer, capsys: Captured, strategies: str, more: list[str], code: int, said: str
) -> None:
    arguments = ["compare", "reviews", "--strategies", strategies, "--target", "openai:fake", "--base-url", server.url]
    assert main([*arguments, *more]) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert "no-certify" not in error
    assert not server.log


def test_a_dry_run_says_what_would_be_done_and_stores_nothing(server: FakeServer, capsys: Captured) -> None:
    outcome = document(call(server, "--dry-run"), capsys)
    assert outcome["runs"] == ["mine/random-0", "mine/demos-0"]
    assert outcome["budget"] == {"target_calls": 250}
    assert outcome["most_measuring_calls"] == 3 * outcome["compared_on"] + 2 * outcome["certified_on"]
    assert not server.log
    assert main(["runs"]) == 0
    assert "No runs yet" in capsys.readouterr().out


def test_from_python_what_cannot_be_handed_to_a_process_is_refused() -> None:
    with pytest.raises(UsageError, match="not a Python object"):
        compare(load_task("reviews"), ["random", "demos"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown option 'tagret'"):
        compare("reviews", ["random", "demos"], tagret="local")
