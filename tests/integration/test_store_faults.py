"""A full disk, a store that is read-only, in use, or not whole: said in one line, and nothing is corrupted."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sage_spo.jobs import api
from sage_spo.jobs.cli import main
from sage_spo.tests.commands import PROGRAM, running
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.integration.test_faults_and_resume import BUDGET, rule, story
from sage_spo.traces.result import Result

NAME = "one"
FILLS = """
mount -t tmpfs -o size={size} tmpfs "$SAGE_HOME" || exit 99
{optimize} > first.out 2> first.err; echo $? > first.code
{runs} > runs.out 2> runs.err; echo $? > runs.code
mount -o remount,size=64m "$SAGE_HOME" || exit 99
{resume} > second.out 2> second.err; echo $? > second.code
"""
LOCKED = """
mount --bind "$SAGE_HOME" "$SAGE_HOME" && mount -o remount,bind,ro "$SAGE_HOME" || exit 99
{optimize} > first.out 2> first.err; echo $? > first.code
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(rule()) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The story of the run where nothing is wrong with the store."""
    with pytest.MonkeyPatch.context() as patch, FakeServer(rule()) as server:
        patch.setenv("SAGE_HOME", str(tmp_path_factory.mktemp("undisturbed")))
        return story(
            api.optimize("reviews", strategy="random", target="openai:fake", base_url=server.url, budget=BUDGET)
        )


def optimize(server: FakeServer) -> list[str]:
    target = ["--target", "openai:fake", "--base-url", server.url]
    return ["optimize", "reviews", "--strategy", "random", *target, "--budget", BUDGET, "--run", NAME, "--json"]


def result(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict[str, Any]:
    """The story of a run that ends well."""
    capsys.readouterr()
    assert main(arguments) == 0
    return story(Result.model_validate(json.loads(capsys.readouterr().out)))


def mounted(script: str, folder: Path, home: Path, server: FakeServer, **more: str) -> None:
    """Run a script in a mount namespace of its own; skips where this user may not mount."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount a small disk")
    home.mkdir(exist_ok=True)
    words = {"optimize": optimize(server), "runs": ["runs", "--json"], "resume": ["resume", NAME, "--json"]}
    commands = {name: " ".join([*PROGRAM, *arguments]) for name, arguments in words.items()}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script.format(**commands, **more)],
        cwd=folder,
        env=os.environ | {"SAGE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")


@pytest.mark.parametrize("size", ["400k", pytest.param("600k", marks=pytest.mark.full)])
def test_a_disk_that_fills_stops_the_run_with_one_line_and_with_room_it_goes_on(
    server: FakeServer, undisturbed: dict[str, Any], tmp_path: Path, home: Path, size: str
) -> None:
    mounted(FILLS, tmp_path, home, server, size=size)
    said = (tmp_path / "first.err").read_text()
    assert (tmp_path / "first.code").read_text().strip() == "75", said
    [line] = [line for line in said.splitlines() if "full" in line]
    assert str(home) in line
    assert "free some space" in line
    assert f"sage-spo resume {NAME}" in line
    assert "Traceback" not in said
    assert json.loads((tmp_path / "runs.out").read_text())["runs"][0]["alias"] == NAME
    again = (tmp_path / "second.err").read_text()
    assert (tmp_path / "second.code").read_text().strip() == "0", again
    assert story(Result.model_validate_json((tmp_path / "second.out").read_text())) == undisturbed


def test_a_read_only_disk_is_named_before_anything_is_spent(server: FakeServer, tmp_path: Path, home: Path) -> None:
    assert main(["runs"]) == 0  # makes the store
    mounted(LOCKED, tmp_path, home, server)
    said = (tmp_path / "first.err").read_text()
    assert (tmp_path / "first.code").read_text().strip() == "2", said
    assert said.startswith(f"error: {home}")
    assert "Set SAGE_HOME to a folder that you may write to" in said
    assert said.count("\n") == 1
    assert server.log == []


def test_a_second_process_is_refused_and_readers_hold_up_nobody(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.latency = 0.1
    with running(*optimize(server)) as first:
        server.wait_for_requests(30, 180)
        for arguments in (["resume", NAME], optimize(server)):
            capsys.readouterr()
            assert main(arguments) == 2
            said = capsys.readouterr().err
            assert f"error: run {NAME} is being worked on by another process" in said
            assert "wait for it, or stop it first" in said
        for arguments in (["runs"], ["show", NAME], ["show", NAME, "--json"]):
            assert main(arguments) == 0
        assert first.poll() is None
        server.latency = 0.0
        out, _ = first.communicate(timeout=120)
    assert first.returncode == 0
    assert Result.model_validate_json(out).verdict == "improved"


def test_a_run_without_its_checkpoint_begins_anew_and_asks_nothing_twice(
    server: FakeServer, undisturbed: dict[str, Any], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(*optimize(server)) as first:
        server.wait_for_requests(400, 180)
        first.kill()
    for path in home.glob("checkpoints.sqlite*"):
        path.unlink()
    resumed, asked = result(capsys, ["resume", NAME, "--json"]), len(server.log)
    assert asked - len(server.counts) <= 150  # in flight, or answered within the last batch
    assert result(capsys, ["resume", NAME, "--json"]) == resumed
    assert resumed == undisturbed


def test_a_checkpoint_without_its_run_is_left_alone(
    server: FakeServer, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = result(capsys, optimize(server))
    for path in home.glob("store.sqlite*"):
        path.unlink()
    kept = checkpoints(home)
    assert main(["resume", NAME]) == 2
    assert f"there is no run '{NAME}'" in capsys.readouterr().err
    assert checkpoints(home) == kept
    assert result(capsys, optimize(server)) == before
    assert checkpoints(home) > kept


def checkpoints(home: Path) -> int:
    """How many checkpoints there are."""
    with sqlite3.connect(home / "checkpoints.sqlite") as db:
        return db.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
