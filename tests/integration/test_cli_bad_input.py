"""Every slip of a user ends with the right exit code and one line that names the thing and the mend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sage_spo.jobs.cli import main
from sage_spo.tests.commands import PROGRAM
from sage_spo.tests.fakes.server import FakeServer

LABELS = ("red", "green", "blue")
TASK = """
name: colours
seed_prompt: "Name the colour: {labels}."
examples: data.jsonl
metric: label
labels: [red, green, blue]
"""


def rows(count: int = 60) -> list[dict[str, str]]:
    return [{"id": f"e{i}", "input": f"thing number {i}", "expected": LABELS[i % 3]} for i in range(count)]


def write_rows(path: Path, data: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in data))


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good task.yaml, which is the working folder."""
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "task.yaml").write_text(TASK)
    write_rows(folder / "data.jsonl", rows())
    monkeypatch.chdir(folder)
    return folder


Spoil = Callable[[Path], object]


def nothing(folder: Path) -> None:
    """Leave the task as it is: the call is what is wrong."""


def replace(old: str, new: str) -> Spoil:
    return lambda folder: (folder / "task.yaml").write_text(TASK.replace(old, new))


def data(text: str | bytes, name: str = "data.jsonl") -> Spoil:
    return lambda folder: (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def line_of(number: int, text: str) -> Spoil:
    def spoil(folder: Path) -> None:
        lines = (folder / "data.jsonl").read_text().splitlines()
        lines[number - 1] = text
        (folder / "data.jsonl").write_text("\n".join(lines))

    return spoil


def in_two_splits(folder: Path) -> None:
    for name, part in (("a", rows()[:30]), ("b", rows()[25:45]), ("c", rows()[45:])):
        write_rows(folder / f"{name}.jsonl", [{"input": r["input"], "expected": r["expected"]} for r in part])
    (folder / "task.yaml").write_text(
        TASK.replace("examples: data.jsonl", "examples: {search: a.jsonl, holdout: b.jsonl, test: c.jsonl}")
    )


OPTIMIZE = "optimize task.yaml"
CASES: list[tuple[str, str, Spoil, list[str]]] = [
    ("no such task", "optimize reveiws", nothing, ["reveiws", "Did you mean 'reviews'"]),
    ("no such file", "optimize ./dta.jsonl", nothing, ["No such file", "dta.jsonl"]),
    ("no such file for init", "init dta.jsonl", nothing, ["No such file", "Did you mean 'data.jsonl'"]),
    ("no such prompt file", "evaluate task.yaml --prompt p.md", nothing, ["No such file", "p.md"]),
    ("no such run", "show nothing", nothing, ["no run 'nothing'"]),
    ("no such run to resume", "resume nothing", nothing, ["no run 'nothing'"]),
    ("no such strategy", f"{OPTIMIZE} --strategy randon", nothing, ["randon", "Did you mean 'random'"]),
    ("no such provider", f"{OPTIMIZE} --target opnai:gpt", nothing, ["opnai", "Did you mean 'openai'"]),
    ("no such agent provider", f"{OPTIMIZE} --agent opnai:gpt", nothing, ["opnai", "Did you mean 'openai'"]),
    ("no such split", "evaluate task.yaml --split tset", nothing, ["--split", "tset", "Did you mean 'test'"]),
    ("no such option", f"{OPTIMIZE} --budgt usd=1", nothing, ["--budgt", "--budget", "--help"]),
    ("no such command", "optimise task.yaml", nothing, ["optimise", "--help"]),
    ("no number", f"{OPTIMIZE} --seed x", nothing, ["--seed", "integer", "--help"]),
    ("not YAML", OPTIMIZE, replace("metric: label", "metric: [label"), ["task.yaml line"]),
    ("not JSON", OPTIMIZE, line_of(7, '{"input": "x", expected}'), ["data.jsonl line 7", "not JSON"]),
    ("misspelt field", OPTIMIZE, replace("metric:", "metrik:"), ["task.yaml line 5", "Did you mean 'metric'"]),
    ("unknown metric", OPTIMIZE, replace("metric: label", "metric: lable"), ["lable", "Did you mean 'label'"]),
    ("unknown metric option", f"{OPTIMIZE} --metric lable", nothing, ["lable", "Did you mean 'label'"]),
    ("without expected", OPTIMIZE, line_of(9, '{"id": "e8", "input": "x"}'), ["data.jsonl line 9", "expected"]),
    ("duplicate ids", OPTIMIZE, line_of(3, json.dumps(rows()[0] | {"input": "y"})), ["data.jsonl line 3", "e0"]),
    (
        "small split",
        OPTIMIZE,
        lambda f: write_rows(f / "data.jsonl", rows(14)),
        ["split of 3", "needs 5", "bring 9 more"],
    ),
    ("example in two splits", OPTIMIZE, in_two_splits, ["a.jsonl line 26", "b.jsonl line 1", "search", "holdout"]),
    ("not UTF-8", OPTIMIZE, data(b'{"input": "caf\xe9", "expected": "red"}\n'), ["data.jsonl line 1", "UTF-8"]),
    ("placeholder", OPTIMIZE, replace("{labels}", "{lables}"), ["{lables}", "Did you mean 'labels'"]),
    ("budget of zero", f"{OPTIMIZE} --budget usd=0", nothing, ["usd=0", "above zero"]),
    ("budget below zero", f"{OPTIMIZE} --budget minutes=-3", nothing, ["minutes=-3", "above zero"]),
    ("unknown unit", f"{OPTIMIZE} --budget target_cals=9", nothing, ["target_cals", "Did you mean 'target_calls'"]),
    ("no unit", f"{OPTIMIZE} --budget 900", nothing, ["900", "usd=2"]),
    ("missing key", f"{OPTIMIZE} --target openai:gpt-4.1", nothing, ["OPENAI_API_KEY"]),
    ("missing key to evaluate", "evaluate task.yaml --target openai:gpt-4.1", nothing, ["OPENAI_API_KEY"]),
    (
        "unknown price",
        f"{OPTIMIZE} --target openai:mine --base-url http://127.0.0.1:1/v1 --budget usd=1",
        nothing,
        ["usd", "price of openai:mine", "SAGE_PRICES"],
    ),
    ("option out of range", f"{OPTIMIZE} --candidates 0", nothing, ["candidates"]),
    ("fields of a built-in task", "optimize reviews --input text", nothing, ["built-in"]),
    ("output is there", "init data.jsonl", nothing, ["task.yaml", "--force"]),
    ("output cannot be written", "init data.jsonl --out nowhere/t.yaml", nothing, ["nowhere/t.yaml"]),
]


@pytest.mark.parametrize(("call", "spoil", "names"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_slip_is_exit_code_2_and_one_line_that_names_it(
    task: Path, capsys: pytest.CaptureFixture[str], call: str, spoil: Spoil, names: list[str]
) -> None:
    spoil(task)
    assert main(call.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1, said.err
    for name in names:
        assert name in said.err, said.err


def test_nothing_is_left_of_a_refused_run(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(f"{OPTIMIZE} --budget usd=0".split())
    main(f"{OPTIMIZE} --target opnai:x".split())
    main(f"{OPTIMIZE} --budget target_calls=30".split())
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == []


@pytest.mark.parametrize("command", ["optimize", "preflight"])
def test_a_budget_too_small_to_conclude_is_exit_code_3_before_the_first_call(
    task: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    with FakeServer() as server:
        target = ["--target", "openai:fake", "--base-url", server.url]
        assert main([command, "task.yaml", *target, "--budget", "target_calls=40"]) == 3
        assert server.log == []
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: budget: target_calls=40 is too small")
    assert said.err.count("\n") == 1


def test_a_name_that_stands_for_another_run_is_refused(task: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(lambda request: "red") as server:
        call = f"{OPTIMIZE} --target openai:fake --base-url {server.url} --run mine --iterations 1 --json".split()
        assert main(call) == 0
        asked = len(server.log)
        capsys.readouterr()
        assert main([*call, "--seed", "4"]) == 2
        assert len(server.log) == asked
    said = capsys.readouterr()
    assert said.err.startswith("error: --run: run 'mine' was made with seed = 0, and is called with 4")
    assert said.err.count("\n") == 1


def test_a_cost_above_the_threshold_needs_a_yes_where_nobody_can_be_asked(
    task: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    assert main(f"{OPTIMIZE} --target openai:gpt-4.1 --budget usd=5".split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "up to $5.00" in said.err
    assert "--yes" in said.err


def _without_rights() -> list[str]:
    """What to put in front of a command so that it may not write where its user has no right to."""
    if os.getuid() != 0:
        return []
    dropped = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("root's rights cannot be laid down here")
    return command


@pytest.mark.parametrize(
    "command", ["runs", "optimize reviews", pytest.param("evaluate reviews", marks=pytest.mark.full)]
)
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, command: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    done = subprocess.run(
        [*_without_rights(), *PROGRAM, *command.split()],
        env={**os.environ, "SAGE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {home}")
    assert "Set SAGE_HOME to a folder that you may write to" in done.stderr
    assert done.stderr.count("\n") == 1
