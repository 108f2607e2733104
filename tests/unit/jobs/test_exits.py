"""However a command ends: an exit code, and at most one line on standard error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

import sage_spo
from sage_spo.errors import BudgetTooSmall, ModelError, RunInterrupted, SageError, TaskError
from sage_spo.jobs.exits import INTERRUPTED, RunCrashed, ended

KEY = "sk-abcdefgh12345678"


def raising(error: BaseException) -> Callable[[], Any]:
    def command() -> None:
        raise error

    return command


def crashed() -> None:
    try:
        {}["x"]
    except KeyError as error:
        raise RunCrashed("2a65bc2d-1") from error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (TaskError("a.csv line 3:\n  no 'expected'"), 2, "error: a.csv line 3: no 'expected'"),
        (ModelError("gave up"), 1, "error: gave up"),
        (BudgetTooSmall("too small"), 3, "error: too small"),
        (RunInterrupted("stopped; resume with: sage-spo resume x"), 75, "stopped; resume with: sage-spo resume x"),
        (typer.BadParameter("not a number"), 2, "error: Invalid value: not a number."),
        (KeyboardInterrupt(), 130, "error: stopped"),
        (typer.Abort(), 130, "error: stopped"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_are_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(raising(error)) == code
    assert capsys.readouterr().err == line + "\n"


def test_an_unexpected_error_is_one_line_that_names_the_file_with_the_traceback(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert ended(raising(RuntimeError(f"odd: {KEY}\nmore"))) == 1
    [path] = (home / "crashes").iterdir()
    assert capsys.readouterr().err == f"error: unexpected RuntimeError: odd: [redacted]. The traceback is in {path}.\n"
    assert "Traceback" in path.read_text()
    assert KEY not in path.read_text()


def test_a_crash_in_a_run_names_the_run_and_how_to_go_on(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert ended(crashed) == 1
    [path] = (home / "runs" / "2a65bc2d-1").iterdir()
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "unexpected KeyError in run 2a65bc2d-1" in line
    assert str(path) in line
    assert "sage-spo resume 2a65bc2d" in line


def test_with_sage_debug_errors_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGE_DEBUG", "1")
    with pytest.raises(RuntimeError):
        ended(raising(RuntimeError("odd")))


def test_the_readme_names_every_exit_code() -> None:
    def codes(kind: type[SageError]) -> set[int]:
        return {kind.exit_code}.union(*map(codes, kind.__subclasses__()))

    table = (Path(sage_spo.__file__).parent / "README.md").read_text()
    named = {int(code) for code in re.findall(r"^\| (\d+) \| ", table, re.MULTILINE)}
    assert named == codes(SageError) | {0, INTERRUPTED}


def test_a_command_that_returns_a_code_ends_with_it() -> None:
    assert ended(lambda: None) == 0
    assert ended(lambda: 3) == 3
