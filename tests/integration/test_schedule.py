"""Schedules with real fires: once per time, through restarts and kill -9, stopped by a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sage_spo.jobs.cli import main
from sage_spo.jobs.schedule.file import read_schedules
from sage_spo.jobs.schedule.loop import Keeper
from sage_spo.settings import settings as installation
from sage_spo.tests.commands import running
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.traces.rows import Run, ScheduleRow
from sage_spo.traces.store import RunStore

JOBS = """version: 1
defaults: {{target: openai:fake, base_url: {url}, kind: evaluate, split: search}}
jobs: [{{name: look, task: reviews}}]
"""
TIMES = "version: 1\nschedules: [{{name: looks, jobs: jobs.yaml, {when}}}]\n"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(lambda request: "negative") as running:
        yield running


def written(folder: Path, server: FakeServer, when: str) -> Path:
    (folder / "jobs.yaml").write_text(JOBS.format(url=server.url))
    path = folder / "nights.yaml"
    path.write_text(TIMES.format(when=when))
    return path


def runs() -> list[Run]:
    async def stored() -> list[Run]:
        async with await RunStore.open(installation().home) as store:
            return await store.runs()

    return asyncio.run(stored())


def row() -> ScheduleRow:
    async def stored() -> ScheduleRow:
        async with await RunStore.open(installation().home) as store:
            return (await store.schedules())["nights/looks"]

    return asyncio.run(stored())


def test_what_is_due_fires_once_as_runs_of_its_own(server: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path, server, "cron: 0 2 * * *")
    now = [1_777_600_000.0]  # 2026-05-01 01:46:40 UTC
    said: list[str] = []

    def once() -> int:
        return asyncio.run(Keeper(read_schedules(path), said.append, clock=lambda: now[0]).run(once=True))

    assert once() == 0
    assert runs() == []
    now[0] += 3600
    assert once() == 0
    assert [run.alias for run in runs()] == ["nights/looks/20260501T020000Z/look"]
    assert once() == 0
    assert len(runs()) == 1
    now[0] += 3 * 86_400
    assert once() == 0
    assert runs()[0].alias == "nights/looks/20260504T020000Z/look"
    assert len(runs()) == 2
    # Its answers were known: the second fire measured the same prompt on the same examples.
    assert len(server.log) == 200
    assert (row().last_code, row().last_outcome) == (0, "1 done")


@pytest.mark.full
def test_a_fire_that_was_killed_goes_on_as_the_same_fire(server: FakeServer, tmp_path: Path) -> None:
    path = written(tmp_path, server, "every: 1s")
    server.latency = 0.3
    with running("schedule", str(path)) as process:
        server.wait_for_requests(40, 90)
        process.kill()
    cut = row()
    assert cut.firing_at is not None
    server.latency = 0.0
    assert main(["schedule", str(path), "--once"]) == 0
    assert len(runs()) == 1
    assert runs()[0].status == "finished"
    assert row().firing_at is None
    assert len(server.log) <= 200 + 40


def test_a_signal_ends_it_and_a_second_keeper_is_refused(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, server, "cron: 0 2 * * *")
    with running("schedule", str(path)) as process:
        assert process.stderr is not None
        assert "keeping 1 schedule of" in process.stderr.readline()
        for _ in range(100):
            if (installation().home / "store.sqlite").exists() and "nights/looks" in str(_rows()):
                break
        assert main(["schedule", str(path), "--once"]) == 75
        assert "under way in another process" in capsys.readouterr().err
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def _rows() -> dict[str, ScheduleRow]:
    async def stored() -> dict[str, ScheduleRow]:
        async with await RunStore.open(installation().home) as store:
            return await store.schedules()

    return asyncio.run(stored())
