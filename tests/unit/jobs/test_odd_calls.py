"""Odd calls end with exit code 2 and one line that says what is odd, never with a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from pathlib import Path

import pytest

from sage_spo.jobs.api import aoptimize
from sage_spo.jobs.cli import main
from sage_spo.settings import settings as installation
from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

FILES: dict[str, str | bytes] = {
    "task.yaml": 'name: colours\nseed_prompt: "Name it: {labels}."\nexamples: good.jsonl\nmetric: label\n',
    "good.jsonl": "".join(
        json.dumps({"input": f"thing {i}", "expected": ("red", "green", "blue")[i % 3]}) + "\n" for i in range(60)
    ),
    "empty.csv": "",
    "header.csv": "input,expected\n",
    "one.csv": "text\n" + "\n".join("abcdefghijkl"),
    "bytes.csv": bytes(range(256)),
    "bytes.parquet": b"PAR1 and no more",
    "bytes.md": b"\xff\xfe",
    "half.jsonl": '{"input": "x \\ud83d", "expected": "red"}\n',
    "digits.jsonl": '{"input": "x", "expected": ' + "9" * 5000 + "}\n",
    "deep.yaml": "a: " + "[" * 3000 + "]" * 3000,
    "list.yaml": "- a\n",
    "loop.yaml": "name: &a {x: *a}\n",
    "half.yaml": 'name: "\\ud83d"\n',
    "date.yaml": "name: 2024-99-99\n",
    "zero.yaml": 'name: x\nseed_prompt: {file: "a\\0b"}\nexamples: good.jsonl\nmetric: label\n',
    "metric.yaml": "name: x\nseed_prompt: hi\nexamples: good.jsonl\nmetric: {name: [a]}\n",
    "prompts.yaml": "name: x\nseed_prompt: [hi]\nexamples: good.jsonl\nmetric: label\n",
    "demos.yaml": "name: x\nseed_prompt: {components: {system: hi}, demos: 5}\nexamples: good.jsonl\nmetric: label\n",
    "turns.yaml": "name: x\nseed_prompt: {components: {s: hi}, demos: [{}]}\nexamples: good.jsonl\nmetric: label\n",
    "empty.md": " ",
    "blank.yaml": 'components: {system: " "}\n',
    "own.py": "def answer(messages, example):\n    return example.label\n",
    "exits.py": "raise SystemExit(5)\n",
}
CASES = [
    ("preflight empty.csv", "empty.csv is empty"),
    ("preflight header.csv", "header.csv is empty"),
    ("preflight one.csv", "no field for the expected answer"),
    ("preflight bytes.csv", "not UTF-8"),
    ("preflight bytes.parquet", "cannot be read as Parquet"),
    ("preflight half.jsonl", r"half.jsonl line 1: field 'input' holds '\ud83d'"),
    ("preflight digits.jsonl", "digits.jsonl line 1: a number of too many digits"),
    ("preflight deep.yaml", "deep.yaml: nested too deeply"),
    ("preflight list.yaml", "list.yaml is not a mapping"),
    ("preflight loop.yaml", "loop.yaml line 1: name"),
    ("preflight half.yaml", "half.yaml line 1: a text holds half a character"),
    ("preflight date.yaml", "date.yaml: not YAML (month"),
    ("preflight zero.yaml", "zero.yaml line 2"),
    ("preflight metric.yaml", "metric.yaml line 4: Unknown metric"),
    ("preflight prompts.yaml", "prompts.yaml line 2: seed_prompt: write a text"),
    ("preflight demos.yaml", "demos.yaml line 2: seed_prompt: demos must be a list"),
    ("preflight turns.yaml", "turns.yaml line 2: seed_prompt: demos: example_id"),
    ("preflight folder", "holds no task.yaml"),
    ("preflight ''", "No such task: ''"),
    (f"preflight {'x' * 5000}", "File name too long"),
    ("preflight own.py", "own.py is no task"),
    ("preflight task.yaml --labels red,green", "'blue' is none of the labels"),
    ("preflight task.yaml --labels red,red,green,blue", "labels: label 'red' is given twice"),
    ("preflight task.yaml --labels red,green,blue,", "labels: a label is empty"),
    ("preflight good.jsonl --input input --expected input", "cannot be both"),
    ("preflight task.yaml --seed-prompt folder", "folder cannot be read"),
    ("preflight task.yaml --seed-prompt bytes.md", "bytes.md line 1: byte 0xff is not UTF-8"),
    ("preflight task.yaml --seed-prompt empty.md", "empty.md is empty"),
    ("preflight task.yaml --metric exits:score", "exits.py cannot be imported: SystemExit"),
    ("preflight task.yaml --target python:exits:answer", "exits.py cannot be imported: SystemExit"),
    ("preflight task.yaml --target http://[::1", "http://host:port/path"),
    ("preflight task.yaml --target http://x:99999/", "http://host:port/path"),
    ("optimize task.yaml --target python:own:answer --run 'a b'", "--run: a name is made of letters"),
    ("evaluate task.yaml --prompt empty.md", "empty.md is empty"),
    ("evaluate task.yaml --prompt blank.yaml", "blank.yaml is empty"),
    ("evaluate task.yaml --target python:own:answer --budget usd=1", "price of python:own:answer"),
    ("show \udcff", r"'\udcff' is not UTF-8"),
    ("runs -n 99999999999999999999", "--limit"),
    (f"init good.jsonl --out {'x' * 500}", "--out"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with good and odd files."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("call", "said"), CASES, ids=[call[:60] for call, _ in CASES])
def test_an_odd_call_is_one_line(call: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(call)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "folder" / "task.yaml").write_text("name: x")
    (folder / "folder").chmod(0)
    assert main(["preflight", "folder/task.yaml"]) == 2
    (folder / "folder").chmod(0o755)
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["python:own:answer", "http://127.0.0.1:9/answer"])
def test_an_app_is_a_target_of_every_command(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", "task.yaml", "--target", target]) == 0
    seen = "will be seen by your own code" if target.startswith("python:") else "do not leave this machine"
    assert seen in capsys.readouterr().out


@pytest.mark.parametrize("command", ["optimize task.yaml --dry-run", "preflight task.yaml"])
def test_a_key_that_stands_in_the_dotenv_file_alone_is_found(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = shlex.split(f"{command} --target openai:gpt-4.1-mini")
    assert main(call) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err
    (folder / ".env").write_text("OPENAI_API_KEY=sk-from-dotenv\n")
    assert main(call) == 0, capsys.readouterr().err


def test_settings_that_cannot_be_read_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").write_bytes(b"KEY=\xf0\x01")
    assert main(["runs"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: settings (SAGE_ variables, .env in this folder) cannot be read: ")
    assert said.count("\n") == 1
    assert main(["--help"]) == 0


def test_checkpoints_that_are_damaged_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir()
    (home / "checkpoints.sqlite").write_text("no database")
    assert main(shlex.split("optimize task.yaml --target python:own:answer --json")) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: the checkpoints in {home / 'checkpoints.sqlite'} cannot be used")


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


def store(run: Run) -> None:
    async def go() -> None:
        opened = await RunStore.open(installation().home)
        await opened.create_run(run)
        await opened.close()

    asyncio.run(go())


def test_a_run_without_a_result_is_shown_but_has_no_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    store(Run("11111111-0000-4000-8000-000000000000", "now", "colours", "random", {}, status="running"))
    assert main(["show", "now"]) == 0
    assert "running" in capsys.readouterr().out
    assert main(["show", "now", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"] is None
    assert main(["show", "now", "--prompt"]) == 2
    assert "no result yet (running)" in capsys.readouterr().err


def test_a_task_is_stored_so_that_the_run_goes_on_from_any_folder(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "task.yaml").write_text((folder / "task.yaml").read_text().replace("good", "../good"))
    heard: list[str] = []

    def listener(event: str, fields: dict[str, object]) -> None:
        heard.append(fields["settings"].task)  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    for source, stored in (("mine", str(folder / "mine")), ("languages", "languages")):
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(aoptimize(source, target=lambda messages, example: "x", listener=listener))
        assert heard.pop() == stored
