"""A run that several strategies share, killed with -9: the same turns, the same result, nothing paid twice."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from sage_spo.jobs.api import resume
from sage_spo.settings import settings as installation
from sage_spo.tests.fakes.server import FakeServer
from sage_spo.tests.one_run import GOOD, TASK, committed, left, run_in_home, run_one
from sage_spo.traces.rows import Turn
from sage_spo.traces.store import RunStore

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["sage_spo.tests.one_run"])
MEMBERS = "random+picked+protegi+dual-phase"


async def turns_so_far(home: Path) -> list[Turn]:
    async with await RunStore.open(home) as store:
        return await store.turns((await store.run("one")).id)


@pytest.mark.parametrize(
    ("chooser", "kills"), [("thompson", (0.3, 0.7)), pytest.param("exp3", (0.5, 0.9), marks=pytest.mark.full)]
)
def test_killed_twice_in_two_members_turns_it_goes_on_as_if_it_never_had_been(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chooser: str, kills: tuple[float, float]
):
    more: dict[str, Any] = {"options": {"chooser": chooser, "members": MEMBERS, "candidates": 2}, "certify": False}
    with monkeypatch.context() as patch, FakeServer(GOOD) as server:
        patch.setenv("SAGE_HOME", str(tmp_path / "whole"))
        run_one("auto", server.url, **more)
        expected, calls = left(installation().home), sum(server.counts.values())
    assert len({turn.strategy for turn in expected["turns"]}) > 1

    met = []
    with FakeServer(GOOD, latency=0.01) as server:
        asked = kept = 0
        for part in kills:
            process = FORKS.Process(target=run_in_home, args=(str(home), "auto", server.url, more))
            process.start()
            server.wait_for_requests(int(part * calls), seconds=60)
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
            asked, kept = server.all_requests(), committed(home)
            met.append(len(asyncio.run(turns_so_far(home))))
        resume("one", task=TASK)
        again = sum(server.counts.values())
    assert 0 < met[0] <= met[1] <= len(expected["turns"])
    assert again - asked == calls - kept, "what was committed was asked again"
    found = left(home)
    for what in expected:
        assert found[what] == expected[what], what
