"""Opening the database file: its engines, and bringing its tables to the version of this code."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from ..errors import StoreError
from . import tables
from .home import disk_full, unwritable
from .writer import reason

FILE = "store.sqlite"
BUSY_SECONDS = 30
"""How long a writer waits for another process's batch to be committed."""

_migrating = Lock()  # alembic keeps the migration under way in module globals


def writing_engine(path: Path) -> sa.Engine:
    """An engine whose transactions take the write lock at once.

    A transaction that began by reading could not wait for another writer: SQLite ends it with "database is locked".
    """
    engine = sa.create_engine(_url(path), connect_args={"timeout": BUSY_SECONDS})

    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        # With a write-ahead log, NORMAL survives the death of the process at any moment; only a power cut may
        # cost the last batches, and never the file.
        connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def reading_engine(path: Path) -> sa.Engine:
    """An engine for queries alone, from any number of threads; with the write-ahead log they hold up no writer."""
    engine = sa.create_engine(_url(path), connect_args={"timeout": BUSY_SECONDS}, max_overflow=-1)
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    return engine


def _url(path: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(path))


def prepare(engine: sa.Engine, path: Path) -> None:
    """Create the tables, or bring those of an older version up to date, in one transaction.

    Raises StoreError, and leaves the file as it is, when it is damaged, something else than a run store, of a
    newer version, or not to be written.
    """
    try:
        _use_write_ahead_log(engine)
        with engine.begin() as connection:
            version = _version(connection)
            if version != tables.HEAD:
                _upgrade(connection, version, path)
    except (DBAPIError, sqlite3.Error) as error:
        raise explained(error, path) from error


def explained(error: Exception, path: Path) -> StoreError:
    """What a database error means for the user of the store at `path`."""
    text = reason(error)
    if full := disk_full((isinstance(error, DBAPIError) and error.orig) or error, path):
        return full
    if "not a database" in text or "malformed" in text:
        return StoreError(
            f"the run store {path} is damaged ({text}). Nothing was changed; move the file away and a new one is "
            "made, or put a copy in its place."
        )
    if "readonly" in text or "unable to open" in text:
        return unwritable(path, text)
    return StoreError(f"the run store {path} cannot be used: {text}")


def _use_write_ahead_log(engine: sa.Engine) -> None:
    """Let readers and a writer work side by side. The mode stays with the file."""
    connection: Any = engine.raw_connection()
    try:
        deadline = time.monotonic() + BUSY_SECONDS
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                # Another process opening the new file: this change alone does not wait for locks by itself.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
    finally:
        connection.close()


def _version(connection: sa.Connection) -> str | None:
    """The store's version; None for a new file."""
    names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if not names:
        return None
    if "alembic_version" not in names:
        return ""
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(connection: sa.Connection, version: str | None, path: Path) -> None:
    # Only a new or old store pays for importing alembic.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection, "metadata": tables.metadata})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version == "":
        raise StoreError(f"{path} is an SQLite file but no run store. Set SAGE_HOME to another folder.")
    if version is not None and version not in known:
        raise StoreError(
            f"the run store {path} was written by a newer version of sage-spo (version {version}, this one knows "
            f"{tables.HEAD}). Get the newest sage-spo, or set SAGE_HOME to another folder; nothing was changed."
        )
    with _migrating:
        command.upgrade(config, "head")
