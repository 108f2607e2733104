"""The one writer of a store: rows are queued without waiting and committed in batches by a thread.

A thread, not a task, so that a batch is on disk in time even while the event loop computes, and so that any
event loop may add.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Thread
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from ..errors import StoreError
from . import tables

T = TypeVar("T")
Work = Callable[[sa.Connection], Any]

INTERVAL = 0.05
"""Seconds a row waits at most before its batch is committed."""


class BatchWriter:
    """Writes through `engine`, in the order things were handed over.

    When a batch cannot be written its rows are kept and nothing more is taken (`add` raises) until a `flush`
    has written them; what was committed before is untouched.
    """

    def __init__(self, engine: sa.Engine, where: str) -> None:
        self._engine = engine
        self._where = where
        self._changed = Condition()
        self._rows: list[tuple[str, dict[str, Any]]] = []
        self._since = 0.0
        self._work: list[tuple[Work, Future[Any]]] = []
        self._flushes: list[Future[None]] = []
        self._busy = False
        self._closing = False
        self._error: StoreError | None = None
        self._statements = {name: _upsert(table) for name, table in tables.metadata.tables.items()}
        self._thread = Thread(target=self._run, name="run-store-writer", daemon=True)
        self._thread.start()

    def add(self, table: str, values: dict[str, Any]) -> None:
        """Queue one row. Raises StoreError when the last batch could not be written."""
        with self._changed:
            self._refuse_when_closed()
            if self._error is not None:
                raise StoreError(str(self._error)) from self._error
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

    def _write(self, rows: list[tuple[str, dict[str, Any]]]) -> StoreError | None:
        if not rows:
            return None
        batches: dict[str, list[dict[str, Any]]] = {}
        for table, values in rows:
            batches.setdefault(table, []).append(values)

        def insert(connection: sa.Connection) -> None:
            for table, batch in batches.items():
                connection.execute(self._statements[table], batch)

        return self._transact(insert)[1]

    def _transact(self, step: Callable[[sa.Connection], T]) -> tuple[T | None, StoreError | None]:
        try:
            with self._engine.begin() as connection:
                return step(connection), None
        except StoreError as error:
            return None, error
        except Exception as error:
            failure = StoreError(
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


def _upsert(table: sa.Table) -> sa.Insert:
    """An insertion where a row of the same primary key is replaced; of answers the first one stays."""
    statement = insert(table)
    key = list(table.primary_key.columns)
    if table is tables.answers:
        return statement.on_conflict_do_nothing(index_elements=key)
    values = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=key, set_=values)
