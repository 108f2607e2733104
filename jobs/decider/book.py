"""A decider's state file: one SQLite file that many threads and processes may work with at once.

Whatever a method returned from is committed and synced: a process killed at any moment leaves the file whole.
"""

from __future__ import annotations

import fcntl
import io
import json
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import StoreError, UsageError
from ...evaluation.choosing.choice import Choice
from ...traces.home import disk_full, unwritable, writable_file, writable_folder

FORMAT = 1
APPLICATION_ID = 0x53504F44
"""Written into the file's header, so that another SQLite file is not taken for a decider's."""
PATIENCE_SECONDS = 60.0
"""How long a caller waits for others to let go of the file."""
KEPT = 10_000
"""Rounds kept, from the newest; older ones are let go once they were learned from, or never got a score."""

SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE rounds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, arm INTEGER NOT NULL, probability REAL NOT NULL,
    asked_at REAL NOT NULL, missing INTEGER NOT NULL DEFAULT 0, value REAL, score REAL, action TEXT,
    place INTEGER UNIQUE, refused TEXT
);
CREATE INDEX best ON rounds (value) WHERE action IS NOT NULL;
CREATE TABLE learned (one INTEGER PRIMARY KEY CHECK (one = 1), place INTEGER NOT NULL, state BLOB NOT NULL);
"""

SCORED = "max(coalesce((SELECT max(place) FROM rounds), 0), (SELECT place FROM learned))"
"""How many scores came in: those learned from may be of rounds that are no longer kept."""

Answer = Literal["taken", "duplicate", "forgotten"]


@dataclass(frozen=True)
class Waiting:
    """A score that came in: the round's number, arm and probability, and in which turn it came."""

    id: int
    arm: int
    probability: float
    score: float
    place: int


class Book:
    """The file at `path`. Every method opens it anew, so that a Book may be used in any thread and after a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether a decider was set up here. Raises StoreError where something else is at this place."""
        if not self.path.exists():
            return False
        with self._open() as db:
            marks = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
            empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if marks == [0, 0] and empty:  # made, and killed before anything was written
            return False
        if marks != [APPLICATION_ID, FORMAT]:
            raise StoreError(f"{self.path} is no state of a decider that this version reads; name another file")
        return True

    def set_up(self, terms: str, tables: Mapping[str, NDArray[Any]]) -> None:
        """Write a new decider's settings and embeddings; nothing where another process was faster."""
        writable_folder(self.path.parent)
        with self._writing() as db:
            if db.execute("PRAGMA user_version").fetchone()[0]:
                return
            for statement in SCHEMA.strip().split(";\n"):
                db.execute(statement)
            db.execute("INSERT INTO about VALUES ('terms', ?), ('tables', ?)", (terms, packed(tables)))
            db.execute("INSERT INTO learned VALUES (1, 0, ?)", (packed({}),))
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {FORMAT}")

    def about(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The settings and the embeddings."""
        with self._open() as db:
            found = dict(db.execute("SELECT name, value FROM about").fetchall())
        return json.loads(found["terms"]), unpacked(found["tables"])

    def learned(self, since: int) -> tuple[int, dict[str, NDArray[Any]]] | None:
        """How many scores were learned from and the state after them; None where it is those `since` alone."""
        with self._open() as db:
            row = db.execute("SELECT place, state FROM learned WHERE place != ?", (since,)).fetchone()
        return None if row is None else (row[0], unpacked(row[1]))

    def give_out(self, pick: Callable[[int], Choice]) -> tuple[int, Choice]:
        """The number of a new round and what `pick` chose for it; both are written down before this returns."""
        with self._writing() as db:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rounds'").fetchone()
            id = int(row[0]) + 1 if row else 1
            choice = pick(id)
            db.execute(
                "INSERT INTO rounds (id, arm, probability, asked_at) VALUES (?, ?, ?, ?)",
                (id, choice.arm, choice.probability, time.time()),
            )
            db.execute(
                "DELETE FROM rounds WHERE id <= ? AND (place IS NULL OR place <= (SELECT place FROM learned))",
                (id - KEPT,),
            )
        return id, choice

    def record(self, id: int, value: float, score: float, action: str | None) -> tuple[Answer, float]:
        """Write down a value and its score: `taken`, or `duplicate` where there is one and `forgotten` where the round
        is gone, with the value that stands. Raises UsageError where there never was such a round."""
        with self._writing() as db:
            row = self._round(db, id, "value")
            if row is None:
                return "forgotten", value
            if row[0] is not None:
                return "duplicate", float(row[0])
            db.execute(
                f"UPDATE rounds SET value = ?, score = ?, action = ?, missing = 0, place = 1 + {SCORED} WHERE id = ?",  # noqa: S608
                (value, score, action, id),
            )
        return "taken", value

    def record_missing(self, id: int) -> None:
        """Write down that no score is to be waited for; one that comes later still counts."""
        with self._writing() as db:
            if self._round(db, id, "value") is not None:
                db.execute("UPDATE rounds SET missing = 1 WHERE id = ? AND value IS NULL", (id,))

    def open_ids(self, most: int) -> list[int]:
        """The newest rounds that wait for a value, newest first, at most so many."""
        query = "SELECT id FROM rounds WHERE value IS NULL AND missing = 0 ORDER BY id DESC LIMIT ?"
        with self._open() as db:
            return [int(row[0]) for row in db.execute(query, (most,))]

    def waits(self, id: int) -> bool:
        """Whether this round waits for a value."""
        query = "SELECT 1 FROM rounds WHERE id = ? AND value IS NULL AND missing = 0"
        with self._open() as db:
            return db.execute(query, (id,)).fetchone() is not None

    def refused(self, id: int) -> bool:
        """Whether the score of this round could not be learned from."""
        with self._open() as db:
            return db.execute("SELECT 1 FROM rounds WHERE id = ? AND refused IS NOT NULL", (id,)).fetchone() is not None

    def waiting(self, place: int) -> list[Waiting]:
        """The scores after this place, in the order in which they came."""
        query = "SELECT id, arm, probability, score, place FROM rounds WHERE place > ? ORDER BY place"
        with self._open() as db:
            return [Waiting(*row) for row in db.execute(query, (place,))]

    def save_learned(self, scored: Waiting, state: Mapping[str, NDArray[Any]], refused: str | None) -> None:
        """Write down the state after this score; `refused`: why it was not learned from, where it was not."""
        with self._writing() as db:
            db.execute("UPDATE learned SET place = ?, state = ?", (scored.place, packed(state)))
            if refused is not None:
                db.execute("UPDATE rounds SET refused = ? WHERE id = ?", (refused, scored.id))

    def best_actions(self, most: int, *, lowest: bool) -> list[tuple[str, float]]:
        """The best distinct actions with their values, the best last."""
        better, order = ("min", "ASC") if lowest else ("max", "DESC")
        query = (
            f"SELECT action, {better}(value) AS best FROM rounds WHERE action IS NOT NULL AND refused IS NULL "  # noqa: S608
            f"GROUP BY action ORDER BY best {order}, max(id) DESC LIMIT ?"
        )
        with self._open() as db:
            return [(str(action), float(value)) for action, value in db.execute(query, (most,))][::-1]

    def counts(self) -> tuple[int, int, int]:
        """How many rounds were given out, how many of those kept wait for a value, how many scores came in."""
        with self._open() as db:
            issued = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rounds'").fetchone()
            waiting = db.execute("SELECT count(*) FROM rounds WHERE value IS NULL AND missing = 0").fetchone()
            scored = db.execute(f"SELECT {SCORED}").fetchone()
        return int(issued[0]) if issued else 0, int(waiting[0]), int(scored[0])

    @staticmethod
    def _round(db: sqlite3.Connection, id: int, column: str) -> tuple[Any, ...] | None:
        """The column of a round; None where it is no longer kept. Raises UsageError where there never was one."""
        row = db.execute(f"SELECT {column} FROM rounds WHERE id = ?", (id,)).fetchone()  # noqa: S608
        if row is None:
            issued = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rounds'").fetchone()
            if not 1 <= id <= (int(issued[0]) if issued else 0):
                raise UsageError(f"there is no meta-prompt {id}: give the id of one that this decider gave out")
        return row

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Hold the right to learn: one caller at a time, over all threads and processes; it ends with the process."""
        try:
            with self.path.with_name(self.path.name + ".lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise disk_full(error, self.path) or unwritable(self.path, error.strerror or str(error)) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            writable_file(self.path)
            with closing(sqlite3.connect(self.path, timeout=PATIENCE_SECONDS, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = FULL")
                yield db
        except sqlite3.DatabaseError as error:
            raise disk_full(error, self.path) or StoreError(f"{self.path} cannot be used: {error}") from error


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as the bytes of an `.npz` file."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """What `packed` made; raises StoreError where it is damaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return dict(found)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"what the decider has learned cannot be read: {error}") from error
