"""Runs are found by id, alias or the unique beginning of an id; what is not found is named with its nearest match."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sage_spo.errors import StoreError
from sage_spo.traces.rows import Run
from sage_spo.traces.store import RunStore

from .conftest import RUN


async def test_a_run_is_found_by_id_alias_and_beginning(store: RunStore, run_row: Run) -> None:
    await store.create_run(run_row)
    for name in (RUN, "first", RUN[:4], RUN[:1]):
        assert await store.run(name) == run_row


async def test_a_beginning_shared_by_runs_is_refused(store: RunStore, run_row: Run) -> None:
    await store.create_run(replace(run_row, id="abc1", alias=None))
    await store.create_run(replace(run_row, id="abc2", alias=None))
    assert (await store.run("abc2")).id == "abc2"
    with pytest.raises(StoreError, match="abc1, abc2"):
        await store.run("abc")


async def test_an_exact_name_wins_over_a_beginning(store: RunStore, run_row: Run) -> None:
    await store.create_run(replace(run_row, id="abcdef", alias=None))
    await store.create_run(replace(run_row, id="other", alias="abc"))
    assert (await store.run("abc")).id == "other"


@pytest.mark.parametrize("name", ["frist", "", "%", "7d1b5f0e-6a55-4a36-9f2b-0d6f0b2f8c12"])
async def test_an_unknown_run_is_refused(store: RunStore, run_row: Run, name: str) -> None:
    await store.create_run(run_row)
    with pytest.raises(StoreError, match="there is no run") as caught:
        await store.run(name)
    assert ("Did you mean 'first'?" in str(caught.value)) == (name == "frist")


async def test_ids_and_aliases_are_taken_once(store: RunStore, run_row: Run) -> None:
    await store.create_run(run_row)
    with pytest.raises(StoreError, match="'first' already"):
        await store.create_run(replace(run_row, id="new"))
    with pytest.raises(StoreError, match="already"):
        await store.create_run(replace(run_row, alias="new"))
    for alias in (None, None, ""):
        await store.create_run(replace(run_row, id=f"unnamed{len(await store.runs())}", alias=alias))
    assert len(await store.runs()) == 4


async def test_runs_come_newest_first(store: RunStore, run_row: Run) -> None:
    for number in range(5):
        await store.create_run(replace(run_row, id=str(number), alias=None, created_at=float(number)))
    assert [run.id for run in await store.runs()] == ["4", "3", "2", "1", "0"]
    assert [run.id for run in await store.runs(2)] == ["4", "3"]


async def test_a_run_is_updated(store: RunStore, run_row: Run) -> None:
    await store.create_run(run_row)
    changed = await store.update_run(RUN, status="finished", result={"gain": 0.1}, error=None)
    assert (changed.status, changed.result) == ("finished", {"gain": 0.1})
    assert changed.updated_at > run_row.updated_at
    assert await store.run(RUN) == changed


async def test_what_cannot_be_updated_is_refused(store: RunStore, run_row: Run) -> None:
    await store.create_run(run_row)
    await store.create_run(replace(run_row, id="other", alias="second"))
    with pytest.raises(StoreError, match="no run"):
        await store.update_run("nobody", status="failed")
    with pytest.raises(StoreError, match="'first' already"):
        await store.update_run("other", alias="first")
    with pytest.raises(TypeError, match="stauts"):
        await store.update_run(RUN, stauts="failed")
    with pytest.raises(TypeError, match="status"):
        await store.update_run(RUN, status="done")
    assert (await store.update_run("other", alias="second", status="running")).status == "running"
