"""A store is created, brought up to date, or refused with a message that says what to do; never overwritten."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from sage_spo.errors import StoreError
from sage_spo.seeding import digest
from sage_spo.traces import schema, tables
from sage_spo.traces.rows import Answer
from sage_spo.traces.store import RunStore

MIGRATIONS = Path(schema.__file__).with_name("migrations")


async def make(home: Path, answers: int = 3) -> Path:
    store = await RunStore.open(home)
    for number in range(answers):
        store.add(Answer(digest(number), "x" * 200, 1, 1, 0.0))
    await store.close()
    return store.path


async def test_the_folder_is_created_with_its_parents(tmp_path: Path) -> None:
    path = await make(tmp_path / "some" / "%percent ?" / "home")
    assert path.exists()
    assert path.parent.name == "home"


async def test_the_migrations_make_the_tables_of_the_code(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{await make(tmp_path)}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        declared = {t.name: [c.name for c in t.primary_key] for t in tables.metadata.tables.values()}
        inspector = sa.inspect(connection)
        assert {n: inspector.get_pk_constraint(n)["constrained_columns"] for n in declared} == declared
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == tables.HEAD


async def test_a_store_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = await make(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        await RunStore.open(tmp_path)
    assert path.read_bytes() == before


async def test_another_program_s_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / schema.FILE) as connection:
        connection.execute("CREATE TABLE runs (something TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="no run store"):
        await RunStore.open(tmp_path)


async def test_a_file_that_is_no_database_is_called_damaged_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / schema.FILE
    path.write_bytes(b"not a database, but something precious" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="damaged"):
        await RunStore.open(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
async def test_damage_inside_the_file_is_called_damage(tmp_path: Path, damage: str) -> None:
    path = await make(tmp_path, 2000)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 3]
    else:
        data[4096 * 2 :] = os.urandom(len(data) - 4096 * 2)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        store = await RunStore.open(tmp_path)
        try:
            await store.answers([digest(number) for number in range(2000)])
        finally:
            await store.close()


async def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="SAGE_HOME"):
        await RunStore.open(tmp_path / "home")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users may look into, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def unprivileged(step: Callable[[], None]) -> str:
    """The message of the StoreError that `step` ends with, run as a user who is not root."""
    if os.geteuid() != 0:
        with pytest.raises(StoreError) as caught:
            step()
        return str(caught.value)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        message = "no error"
        try:
            os.setuid(65534)
            step()
        except StoreError as error:
            message = str(error)
        except BaseException as error:
            message = f"not a StoreError: {error!r}"
        finally:
            os.write(send, message.encode())
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    return message


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(public: Path) -> None:
    public.chmod(0o555)
    for home in (public, public / "new"):
        message = unprivileged(lambda home=home: asyncio.run(RunStore.open(home)))  # type: ignore[misc]
        assert str(home) in message
        assert "SAGE_HOME" in message


def test_a_store_that_cannot_be_written_is_named_with_the_way_out(public: Path) -> None:
    path = asyncio.run(make(public))
    path.chmod(0o444)
    public.chmod(0o777)
    message = unprivileged(lambda: asyncio.run(RunStore.open(public)))  # type: ignore[arg-type]
    assert str(path) in message
    assert "SAGE_HOME" in message
