"""Rows are committed in batches, in time, in order; whatever was flushed survives the death of the process."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event

from sage_spo.errors import StoreError
from sage_spo.seeding import digest
from sage_spo.traces import schema
from sage_spo.traces.codec import encode
from sage_spo.traces.rows import Answer
from sage_spo.traces.store import RunStore
from sage_spo.traces.writer import BatchWriter

from .conftest import RUN, Triple

WRITE_UNTIL_KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from sage_spo.seeding import digest
from sage_spo.traces.rows import Answer, Call
from sage_spo.traces.store import RunStore

async def main():
    store = await RunStore.open(Path(sys.argv[1]))
    for number in itertools.count(int(sys.argv[2])):
        key = digest(number)
        store.add(Answer(key, "x" * 500, 1, 1, 0.1))
        store.add(Call("run", key, "target", 0, 1, 1, 0.0, 1, False, False))
        if number % 7 == 0:
            await store.flush()
            print(number, flush=True)

asyncio.run(main())
"""

FILL_THE_DISK = """
import asyncio, resource, sys
from pathlib import Path
from sage_spo.errors import StoreError
from sage_spo.seeding import digest
from sage_spo.traces.rows import Answer
from sage_spo.traces.store import RunStore

async def main():
    store = await RunStore.open(Path(sys.argv[1]))
    await store.answers([])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    taken, committed = 0, 0
    try:
        for number in range(10_000):
            store.add(Answer(digest(number), "x" * 2000, 1, 1, 0.1))
            taken = number + 1
            if number % 10 == 9:
                await store.flush()
                committed = taken
    except StoreError as error:
        assert "could not be written" in str(error), error
    assert 0 < committed < taken, (committed, taken)
    try:
        store.add(Answer(digest("late"), "", 1, 1, 0.1))
    except StoreError:
        pass
    else:
        raise AssertionError("a store that cannot be written took another row")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await store.flush()
    store.add(Answer(digest("later"), "", 1, 1, 0.1))
    found = await store.answers([digest(number) for number in range(taken)] + [digest("late"), digest("later")])
    assert len(found) == taken + 1, (len(found), taken)
    await store.close()

asyncio.run(main())
"""


def committed(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    finally:
        connection.close()


def answer(number: int) -> Answer:
    return Answer(digest(number), "text", 1, 1, 0.1)


async def test_a_batch_is_committed_in_time_even_while_the_event_loop_computes(store: RunStore) -> None:
    store.add(answer(1))
    deadline = time.monotonic() + 5
    while not committed(store.path) and time.monotonic() < deadline:
        time.sleep(0.02)  # noqa: ASYNC251 - blocks the loop on purpose
    assert committed(store.path) == 1


async def test_flush_commits_everything_at_once(tmp_path: Path) -> None:
    path = tmp_path / schema.FILE
    engine = schema.writing_engine(path)
    schema.prepare(engine, path)
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    writer = BatchWriter(engine, str(path))
    for number in range(1000):
        writer.add("answers", encode(answer(number)))
    writer.flush().result(timeout=30)
    assert committed(path) == 1000
    assert len(commits) <= 3  # one, and those whose 50 ms were over before
    before = len(commits)
    writer.flush().result(timeout=30)
    assert len(commits) == before
    writer.close()


async def test_closing_commits_and_then_nothing_is_taken(tmp_path: Path) -> None:
    store = await RunStore.open(tmp_path)
    store.add(answer(1))
    await store.close()
    assert committed(store.path) == 1
    with pytest.raises(StoreError, match="closed"):
        store.add(answer(2))
    await store.flush()


async def test_cancelled_flushes_hurt_nobody(store: RunStore) -> None:
    for number in range(50):
        store.add(answer(number))
        waiting = asyncio.create_task(store.flush())
        await asyncio.sleep(0)
        waiting.cancel()
    await store.flush()
    assert committed(store.path) == 50


async def test_a_step_that_fails_takes_no_row_with_it(store: RunStore) -> None:
    store.add(answer(1))
    with pytest.raises(StoreError):
        await store.update_run("nobody", status="failed")
    store.add(answer(2))
    await store.flush()
    assert committed(store.path) == 2


def test_whatever_was_flushed_survives_kill_9(tmp_path: Path) -> None:
    flushed = 0
    for _ in range(2):
        command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path), str(flushed + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(30):
                line = writer.stdout.readline()
                assert line, "the writing process ended by itself"
                flushed = int(line)
            os.kill(writer.pid, signal.SIGKILL)
            flushed = max([flushed, *map(int, writer.stdout.read().split())])

        async def check(last: int) -> None:
            store = await RunStore.open(tmp_path)
            keys = [digest(number) for number in range(1, last + 1)]
            assert set(keys) == set(await store.answers(keys))
            assert set(keys) <= {call.key for call in await store.calls("run")}
            await store.close()

        asyncio.run(check(flushed))
        connection = sqlite3.connect(tmp_path / schema.FILE)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_a_full_disk_is_an_error_that_loses_nothing_and_can_be_mended(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_program_that_forgets_to_close_ends_and_loses_nothing(tmp_path: Path) -> None:
    code = WRITE_UNTIL_KILLED.replace("itertools.count(int(sys.argv[2]))", "range(1, 4)")
    subprocess.run([sys.executable, "-c", code, str(tmp_path), "1"], check=True, timeout=120)
    assert committed(tmp_path / schema.FILE) == 3


async def test_a_burst_of_rows_is_all_there_after_a_flush(store: RunStore, triple: Callable[[int], Triple]) -> None:
    rows = [row for number in range(1500) for row in triple(number)]
    for row in rows:
        store.add(row)
    await store.flush()
    assert len(await store.records(RUN)) == 1500
