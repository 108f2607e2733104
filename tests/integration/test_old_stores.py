"""Stores that earlier versions wrote are opened, brought up to date, shown, and gone on with.

How `tests/data/stores/NNNN.sqlite` were made: the last commit at that schema version was checked out, and ran
`optimize` on a task of 30 examples (that of `task` below) against the scripted server, once to its end (`done`) and
once killed after 45 requests (`cut`); a hypothesis and a schedule were put in by SQL, most rows of `done`
were taken out, and the file was packed (`page_size` 512, VACUUM). To add one for a new version, do the same. `0005`
to `0007`, which differ by an index and by tables that were of no use before, were made by opening the one before.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from sage_spo.jobs.cli import main
from sage_spo.tests.fakes.answers import rule_for
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces import tables

STORES = sorted((Path(__file__).parents[1] / "data" / "stores").glob("*.sqlite"))
MADE_FOR, MADE_AT = "/tmp/old/task/task.yaml", "http://127.0.0.1:8931/v1"
LABELS = ("red", "green", "blue")


def rows() -> list[dict[str, str]]:
    return [
        {"id": f"e{i}", "input": f"thing number {i}", "expected": LABELS[i % 3], "size": ("small", "large")[i % 2]}
        for i in range(30)
    ]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    (tmp_path / "task.yaml").write_text(
        'name: colours\nseed_prompt: "Name the colour: {labels}."\nexamples: data.jsonl\nmetric: label\n'
        "labels: [red, green, blue]\n"
    )
    return tmp_path / "task.yaml"


def test_there_is_one_of_every_version() -> None:
    assert [path.stem for path in STORES] == [f"{n:04}" for n in range(1, int(tables.HEAD) + 1)]
    assert all(path.stat().st_size < 70_000 for path in STORES)


@pytest.mark.parametrize("stored", STORES, ids=[path.stem for path in STORES])
def test_it_is_opened_shown_and_gone_on_with(
    stored: Path, task: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    path = shutil.copy(stored, home / "store.sqlite")
    gains = {"nswer with": 0.5, "eply with": 0.5, "nly the label": 0.5}
    with FakeServer(rule_for(rows(), base=0.3, gains=gains)) as server:
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [(stored.stem,)]
            for old, new in ((MADE_FOR, str(task)), (MADE_AT, server.url)):
                db.execute("UPDATE runs SET settings = replace(settings, ?, ?)", (old, new))
        assert main(["runs", "--json"]) == 0
        listed = {run["alias"]: run for run in json.loads(capsys.readouterr().out)["runs"]}
        assert (listed["done"]["status"], listed["cut"]["status"]) == ("finished", "running")
        for name in ("done", "cut"):
            assert main(["show", name]) == 0
            assert main(["show", name, "--json"]) == 0
        capsys.readouterr()
        assert main(["resume", "cut", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["spend"]["spent"]["target_calls"] <= 160
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT version_num FROM alembic_version").fetchall() == [(tables.HEAD,)]
