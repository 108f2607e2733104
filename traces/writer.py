"""The one writer of a store: rows are queued without waiting and committed in batches by a thread.

A thread, not a task, so that a batch is on disk in time even while the event loop computes, and so that any
event loop may add.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import chain
from pathlib import Path
from threading import Condition, Thread
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ..errors import StoreError
from . import tables
from .home import disk_full

T = TypeVar("T")
Work = Callable[[sa.Connection], Any]

INTERVAL = 0.025
"""Seconds a row waits before its batch is committed: half of what is promised, so that the commit itself is in time."""
MOST_VALUES = 900
"""Values in one statement; every version of SQLite takes 999."""


class BatchWriter:
    """Writes through `engine`, in the order things were handed over.

    When a batch cannot be written its rows are kept and nothing more is taken (`add` raises) until a `flush`
    has written them; what was committed before is untouched.
    """

    def __init__(self, engine: sa.Engine, where: str) -> None:
        self._engine = engine
        self._where = where
        self._changed = Condition()
        self._rows: list[tuple[str, tuple[Any, ...]]] = []
        self._since = 0.0
        self._work: list[tuple[Work, Future[Any]]] = []
        self._flushes: list[Future[None]] = []
        self._busy = False
        self._closing = False
        self._error: StoreError | None = None
        self._insertions = {name: _Insertion(table) for name, table in tables.metadata.tables.items()}
        self._thread = Thread(target=self._run, name="run-store-writer", daemon=True)
        self._thread.start()

    def add(self, table: str, values: tuple[Any, ...]) -> None:
        """Queue one row, its values in the order of the table's columns.

        Raises StoreError when the last batch could not be written.
        """
        with self._changed:
            self._refuse_when_closed()
            if self._error is not None:
                raise type(self._error)(str(self._error)) from self._error
            self._rows.append((table, values))
            if len(self._rows) == 1:
                self._since = time.monotonic()
                self._changed.notify()

    def flush(self) -> Future[None]:
        """Done when everything added so far is committed; fails with StoreError when it cannot be."""
        done: Future[None] = Future()
        with self._changed:
            if not self._rows and not self._busy:
                done.set_result(None)
                return done
            self._refuse_when_closed()
            self._flushes.append(done)
            self._changed.notify()
        return done

    def submit(self, work: Callable[[sa.Connection], T]) -> Future[T]:
        """What `work` returns from a transaction of its own, after everything added before."""
        done: Future[T] = Future()
        with self._changed:
            self._refuse_when_closed()
            self._work.append((work, done))
            self._changed.notify()
        return done

    def close(self) -> None:
        """Write what is queued and end the thread. Raises StoreError when something could not be written."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._engine.dispose()
        if self._error is not None:
            raise self._error

    def _refuse_when_closed(self) -> None:
        if self._closing:
            raise StoreError(f"the run store {self._where} was closed; open it again to write to it")

    def _urgent(self) -> bool:
        return bool(self._flushes or self._work or self._closing)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._urgent() or (self._rows and self._error is None))
                self._changed.wait_for(self._urgent, max(0.0, self._since + INTERVAL - time.monotonic()))
                rows, self._rows = self._rows, []
                work, self._work = self._work, []
                flushes, self._flushes = self._flushes, []
                closing = self._closing
                self._busy = True
            failure = self._write(rows)
            with self._changed:
                self._error = failure
                if failure is not None:
                    self._rows = rows + self._rows
                self._busy = False
            for done in flushes:
                if done.set_running_or_notify_cancel():
                    _settle(done, None, failure)
            for step, done in work:
                if done.set_running_or_notify_cancel():
                    _settle(done, *self._transact(step))
            if closing:
                return

    def _write(self, rows: list[tuple[str, tuple[Any, ...]]]) -> StoreError | None:
        if not rows:
            return None
        batches: dict[str, list[tuple[Any, ...]]] = {}
        for table, values in rows:
            batches.setdefault(table, []).append(values)

        def insert(connection: sa.Connection) -> None:
            for table, batch in batches.items():
                self._insertions[table].run(connection, batch)

        return self._transact(insert)[1]

    def _transact(self, step: Callable[[sa.Connection], T]) -> tuple[T | None, StoreError | None]:
        try:
            with self._engine.begin() as connection:
                return step(connection), None
        except StoreError as error:
            return None, error
        except Exception as error:
            cause = error.orig if isinstance(error, DBAPIError) else None
            failure = disk_full(cause or error, Path(self._where)) or StoreError(
                f"the run store {self._where} could not be written: {reason(error)}. What was committed is safe; "
                "free some space or mend the folder's rights, then resume the run."
            )
            failure.__cause__ = error
            return None, failure


def reason(error: BaseException) -> str:
    """What the database itself said, without the statement and its values."""
    return str(error.orig if isinstance(error, DBAPIError) else error)


def _settle(done: Future[Any], value: object, failure: StoreError | None) -> None:
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(value)


class _Insertion:
    """Inserts rows of one table; a row of the same primary key is replaced, of answers the first one stays.

    Many rows in each statement: while SQLite is at work on a statement the event loop's thread can run, and between
    two statements the threads wait for each other.
    """

    def __init__(self, table: sa.Table) -> None:
        names = [f'"{column.name}"' for column in table.columns]
        key = ", ".join(f'"{column.name}"' for column in table.primary_key)
        others = ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in table.columns if not c.primary_key)
        end = "NOTHING" if table is tables.answers else f"UPDATE SET {others}"
        self._begin = f'INSERT INTO "{table.name}" ({", ".join(names)}) VALUES '  # noqa: S608 - our own names
        self._row = f"({', '.join('?' for _ in names)})"
        self._end = f" ON CONFLICT ({key}) DO {end}"
        self._rows = MOST_VALUES // len(names)

    def run(self, connection: sa.Connection, batch: list[tuple[Any, ...]]) -> None:
        for start in range(0, len(batch), self._rows):
            rows = batch[start : start + self._rows]
            statement = self._begin + ", ".join([self._row] * len(rows)) + self._end
            connection.exec_driver_sql(statement, tuple(chain.from_iterable(rows)))
