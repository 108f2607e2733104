"""Many processes, threads and event loops use one store: readers disturb no writer, a run has one owner."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sage_spo.seeding import digest
from sage_spo.traces.rows import Answer
from sage_spo.traces.store import RunStore

from .conftest import RUN, Triple


async def test_readers_see_whole_batches_while_another_store_writes(
    tmp_path: Path, triple: Callable[[int], Triple]
) -> None:
    writer, reader = await RunStore.open(tmp_path), await RunStore.open(tmp_path)
    seen: list[int] = []

    async def read() -> None:
        while not seen or seen[-1] < 300:
            calls = await reader.calls(RUN)
            answers = await reader.answers(call.key for call in calls)
            assert len(answers) == len(calls), "a call was committed before its answer"
            seen.append(len(calls))
            await asyncio.sleep(0)

    async def write() -> None:
        for number in range(300):
            for row in triple(number):
                writer.add(row)
            await asyncio.sleep(0.001)

    await asyncio.wait_for(asyncio.gather(read(), read(), write()), timeout=60)
    assert seen[0] < 300
    await writer.close()
    await reader.close()


async def test_a_reader_in_the_middle_of_a_query_holds_up_no_writer(store: RunStore) -> None:
    for number in range(100):
        store.add(Answer(digest(number), "x", 1, 1, 0.0))
    await store.flush()
    other = sqlite3.connect(store.path)
    half_read = other.execute("SELECT * FROM answers")
    half_read.fetchone()
    started = time.monotonic()
    store.add(Answer(digest("new"), "x", 1, 1, 0.0))
    await store.flush()
    assert time.monotonic() - started < 5
    assert len(half_read.fetchall()) == 99
    other.close()


async def test_one_store_serves_several_event_loops(store: RunStore) -> None:
    failures: list[BaseException] = []

    async def use(number: int) -> None:
        for step in range(20):
            key = digest(number, step)
            store.add(Answer(key, str(number), 1, 1, 0.0))
            assert (await store.answers([key]))[key].text == str(number)

    def in_a_loop_of_its_own(number: int) -> None:
        try:
            asyncio.run(use(number))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=in_a_loop_of_its_own, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert not failures
    assert len(await store.answers(digest(n, s) for n in range(4) for s in range(20))) == 80


async def test_a_new_store_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    def opened() -> int:
        async def use() -> int:
            store = await RunStore.open(tmp_path)
            try:
                return await store.use_test("test", threading.current_thread().name)
            finally:
                await store.close()

        return asyncio.run(use())

    numbers = await asyncio.gather(*(asyncio.to_thread(opened) for _ in range(4)))
    assert max(numbers) == len(set(numbers))


async def test_a_second_owner_waits_until_the_lease_expires(tmp_path: Path) -> None:
    one, two = await RunStore.open(tmp_path), await RunStore.open(tmp_path)
    assert await one.acquire_lease(RUN, "one", seconds=0.5)
    assert await one.acquire_lease(RUN, "one", seconds=0.5)
    assert not await two.acquire_lease(RUN, "two")
    assert await two.acquire_lease("another run", "two")
    assert await one.renew_lease(RUN, "one", seconds=0.2)
    await asyncio.sleep(0.25)
    assert await two.acquire_lease(RUN, "two")
    assert not await one.renew_lease(RUN, "one")
    await one.release_lease(RUN, "one")
    assert not await one.acquire_lease(RUN, "one")
    await two.release_lease(RUN, "two")
    assert await one.acquire_lease(RUN, "one")
    await one.close()
    await two.close()


async def test_uses_of_a_test_split_are_counted_once_per_run(store: RunStore) -> None:
    assert await store.use_test("split", "a") == 1
    assert await store.use_test("split", "b") == 2
    assert await store.use_test("split", "a") == 1
    assert await store.use_test("other", "b") == 1
    assert [(use.test_key, use.run_id) for use in await store.test_uses("split")] == [("split", "a"), ("split", "b")]
    assert (await store.test_uses("split"))[0].used_at <= time.time()
    assert await store.test_uses("unknown") == []
