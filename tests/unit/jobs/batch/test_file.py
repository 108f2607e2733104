"""Every mistake in a jobs file is one line that names file, line and job, and exit code 2, before anything is spent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sage_spo.jobs.batch.file import read_batch
from sage_spo.jobs.cli import main
from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

GOOD = """version: 1
name: nightly
defaults: {kind: optimize, strategy: demos, seed: 3}
budget: {target_calls: 3000, usd: 5}
parallel: 2
jobs:
  - name: a
    task: reviews
    base-url: http://127.0.0.1:9/v1
    budget: target_calls=500
    option: {max_rounds: 2}
    labels: [negative, positive]
    certify: false
  - name: b
    kind: evaluate
    task: headlines
    split: search
    prompt: {from: a}
    priority: 5
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "jobs.yaml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    batch = read_batch(written(tmp_path, GOOD))
    assert (batch.name, batch.parallel) == ("nightly", 2)
    assert batch.budget.limits() == {"target_calls": 3000, "usd": 5.0}
    a, b = batch.jobs
    assert a.arguments[0] == "reviews"
    assert "--labels negative,positive" in " ".join(a.arguments)
    assert {"--strategy", "demos", "--seed", "3", "--no-certify", "max_rounds=2"} <= set(a.arguments)
    assert b.after == ("a",)
    assert (b.priority, b.order) == (5, 1)
    assert "--strategy" not in b.arguments
    call = b.call(run="nightly/b", budget=a.budget, prompts={"prompt": Path("/p.md")})
    assert call[-6:] == ["--run", "nightly/b", "--budget", "target_calls=500", "--prompt", "/p.md"]


def test_files_stand_in_the_folder_of_the_jobs_file(tmp_path: Path) -> None:
    text = "version: 1\njobs:\n  - {name: a, task: mail/task.yaml, seed_prompt: p.md, data: bench}\n"
    [job] = read_batch(written(tmp_path, text)).jobs
    assert job.arguments[0] == str(tmp_path / "mail/task.yaml")
    assert {str(tmp_path / "p.md"), str(tmp_path / "bench")} <= set(job.arguments)


JOBS = "version: 1\njobs:\n"
A = "  - {name: a, task: reviews}\n"
MISTAKES = [
    ("not YAML", "version: [1\n", ["jobs.yaml line", "not YAML"]),
    ("no mapping", "- a\n", ["jobs.yaml", "not a mapping"]),
    ("no version", "jobs: [{name: a, task: reviews}]\n", ["'version' is missing", "version: 1"]),
    ("other version", f"version: 2\njobs:\n{A}", ["jobs.yaml line 1", "version"]),
    ("no jobs", "version: 1\n", ["'jobs' is missing"]),
    ("empty", "version: 1\njobs: []\n", ["line 2", "jobs"]),
    ("unknown field", f"paralel: 2\n{JOBS}{A}", ["line 1", "'paralel'", "Did you mean 'parallel'"]),
    ("parallel of 0", f"parallel: 0\n{JOBS}{A}", ["line 1", "parallel", "greater than or equal to 1"]),
    ("shared budget", f"budget: usd=-1\n{JOBS}{A}", ["line 1", "usd=-1", "above zero"]),
    ("shared unit", f"budget: {{euro: 1}}\n{JOBS}{A}", ["line 1", "unknown unit 'euro'"]),
    ("budget of another form", f"budget: [1]\n{JOBS}{A}", ["line 1", "budget"]),
    ("unknown default", f"defaults: {{sed: 1}}\n{JOBS}{A}", ["line 1", "'sed'", "Did you mean 'seed'"]),
    ("no name", f"{JOBS}  - {{task: reviews}}\n", ["line 3", "number 1", "'name' is missing"]),
    ("name with a slash", f"{JOBS}  - {{name: a/b, task: reviews}}\n", ["line 3", "a/b", "letters"]),
    ("same names", JOBS + A + A, ["line 4", "job 'a'", "another one of that name in line 3"]),
    ("no task", f"{JOBS}  - {{name: a}}\n", ["line 3", "job 'a'", "'task' is missing"]),
    ("no such task", f"{JOBS}  - {{name: a, task: reveiws}}\n", ["line 3", "job 'a'", "Did you mean 'reviews'"]),
    ("no such file", f"{JOBS}  - {{name: a, task: x/task.yaml}}\n", ["line 3", "job 'a'", "x/task.yaml"]),
    ("no such kind", f"{JOBS}  - {{name: a, task: reviews, kind: optimise}}\n", ["job 'a'", "Did you mean 'optimize'"]),
    ("unknown option", f"{JOBS}  - {{name: a, task: reviews, sede: 1}}\n", ["job 'a'", "Did you mean 'seed'"]),
    ("dry run", f"{JOBS}  - {{name: a, task: reviews, dry_run: true}}\n", ["job 'a'", "unknown field 'dry_run'"]),
    (
        "option of another kind",
        f"{JOBS}  - {{name: a, task: reviews, split: test}}\n",
        ["job 'a'", "unknown field 'split' of kind optimize"],
    ),
    ("no number", f"{JOBS}  - name: a\n    task: reviews\n    seed: x\n", ["line 5", "job 'a'", "seed:", "integer"]),
    ("no flag", f"{JOBS}  - {{name: a, task: reviews, certify: 3}}\n", ["job 'a'", "certify: true or false"]),
    ("time-out of 0", f"{JOBS}  - {{name: a, task: reviews, timeout: 0}}\n", ["job 'a'", "timeout:"]),
    ("no such strategy", f"{JOBS}  - {{name: a, task: reviews, strategy: randon}}\n", ["job 'a'", "'random'"]),
    ("no such strategy option", f"{JOBS}  - {{name: a, task: reviews, option: {{x: 1}}}}\n", ["job 'a'", "option 'x'"]),
    ("priority", f"{JOBS}  - {{name: a, task: reviews, priority: high}}\n", ["job 'a'", "priority: a whole number"]),
    ("own budget", f"{JOBS}  - {{name: a, task: reviews, budget: 900}}\n", ["job 'a'", "budget"]),
    ("after", f"{JOBS}  - {{name: a, task: reviews, after: {{b: 1}}}}\n", ["job 'a'", "after:"]),
    ("after nothing", f"{JOBS}{A}  - {{name: b, task: reviews, after: [aa]}}\n", ["job 'b'", "'aa'", "mean 'a'"]),
    ("after itself", f"{JOBS}  - {{name: a, task: reviews, after: a}}\n", ["job 'a'", "waits for itself: a → a"]),
    (
        "a circle",
        f"{JOBS}  - {{name: a, task: reviews, after: c}}\n  - {{name: b, task: reviews, after: a}}\n"
        "  - {name: c, task: reviews, after: [b]}\n",
        ["line 3", "job 'a'", "a → c → b → a"],
    ),
    (
        "a prompt of a measurement",
        f"{JOBS}  - {{name: a, kind: evaluate, task: reviews}}\n"
        "  - {name: b, task: reviews, seed_prompt: {from: a}}\n",
        ["job 'b'", "seed_prompt", "finds no prompt"],
    ),
    ("a prompt of another form", f"{JOBS}  - {{name: a, task: reviews, seed_prompt: {{x: 1}}}}\n", ["from: JOB"]),
    ("no such prompt file", f"{JOBS}  - {{name: a, task: reviews, seed_prompt: p.md}}\n", ["job 'a'", "p.md"]),
    ("a missing key", f"{JOBS}  - {{name: a, task: reviews, target: openai:gpt-4.1}}\n", ["job 'a'", "OPENAI_API_KEY"]),
    ("no such split", f"{JOBS}  - {{name: a, kind: evaluate, task: reviews, split: tset}}\n", ["job 'a'", "'test'"]),
    (
        "a cost nobody agreed to",
        f"{JOBS}  - {{name: a, task: reviews, target: openai:gpt-4.1, budget: usd=5}}\n",
        ["job 'a'", "up to $5.00", "--yes"],
    ),
]


@pytest.mark.parametrize(("text", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, words: list[str]
) -> None:
    if "5.00" in str(words):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    assert main(["batch", str(written(tmp_path, text))]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("error: jobs.yaml")
    for word in words:
        assert word in said.err


def test_a_budget_too_small_is_exit_code_3_and_names_the_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f"{JOBS}  - {{name: a, task: reviews, budget: target_calls=20}}\n")
    assert main(["batch", str(path)]) == 3
    assert "jobs.yaml line 3: job 'a': budget: target_calls=20 is too small" in capsys.readouterr().err


def test_a_mistake_leaves_no_run_behind(tmp_path: Path, home: Path) -> None:
    text = f"{JOBS}{A}  - {{name: b, task: reviews, strategy: randon}}\n"
    assert main(["batch", str(written(tmp_path, text))]) == 2

    async def runs() -> list[Run]:
        async with await RunStore.open(home) as store:
            return await store.runs()

    assert asyncio.run(runs()) == []


def test_no_such_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", str(tmp_path / "jbos.yaml")]) == 2
    assert "jbos.yaml" in capsys.readouterr().err


def test_check_only_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, JOBS + A)
    assert main(["batch", str(path), "--check"]) == 0
    assert capsys.readouterr().out == "jobs.yaml: 1 job, nothing wrong\n"
