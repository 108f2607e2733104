"""The run store: what every run of a user did, in one SQLite file that many processes may use at once."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from ..errors import StoreError, nearest
from . import schema, tables
from .codec import COLUMNS, TABLES, decode, encode, encode_by_name, pack
from .home import writable_file, writable_folder
from .rows import (
    Action,
    Answer,
    Call,
    CodeRun,
    Decision,
    Hypothesis,
    Record,
    Round,
    Row,
    Run,
    RunStatus,
    ScheduleRow,
    Spending,
    StoredPrompt,
    TestUse,
    Turn,
)
from .writer import BatchWriter

R = TypeVar("R")
T = TypeVar("T")

CHUNK = 500
"""Values per IN (…): well under what any database takes."""

_ADDABLE = frozenset(get_args(Row))


class RunStore:
    """All runs, and the answers of models that they share: `async with await RunStore.open(home) as store`.

    Whatever reads also sees everything this process has added before. Every method may raise StoreError when the
    file cannot be read or written.
    """

    def __init__(self, path: Path, writer: BatchWriter) -> None:
        self.path = path
        self._writer = writer
        self._reader = schema.reading_engine(path)
        atexit.register(self._writer.close)

    @classmethod
    async def open(cls, home: Path) -> RunStore:
        """The store in `home`, created or brought up to date if need be.

        Raises StoreError when the folder cannot be written, or the file is damaged or of a newer version.
        """

        def prepared() -> tuple[Path, BatchWriter]:
            path = writable_file(writable_folder(home.expanduser()) / schema.FILE)
            engine = schema.writing_engine(path)
            try:
                schema.prepare(engine, path)
            except BaseException:
                engine.dispose()
                raise
            return path, BatchWriter(engine, str(path))

        return cls(*await asyncio.to_thread(prepared))

    async def __aenter__(self) -> RunStore:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Commit what is queued and let go of the file."""
        atexit.unregister(self._writer.close)
        try:
            await asyncio.to_thread(self._writer.close)
        finally:
            self._reader.dispose()

    # Writing in batches

    def add(self, row: Row) -> None:
        """Queue a row without waiting; it is committed within 50 ms, in order.

        A row of the same primary key is replaced, of answers the first one stays. Raises StoreError when an earlier
        batch could not be written (`flush` tries again), TypeError when a value cannot be stored.
        """
        if type(row) not in _ADDABLE:
            raise TypeError(f"rows of type {type(row).__name__} are not added in batches")
        self._writer.add(TABLES[type(row)].name, encode(row))

    async def flush(self) -> None:
        """Returns when everything added so far is committed, in one commit and without waiting for the 50 ms."""
        done = self._writer.flush()
        if not done.done():
            await asyncio.wrap_future(done)

    async def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        return await asyncio.wrap_future(self._writer.submit(work))

    # Runs

    async def create_run(self, run: Run) -> None:
        """Raises StoreError when the id or the alias is taken."""
        values = {**encode_by_name(run), "alias": run.alias or None}

        def create(connection: sa.Connection) -> None:
            self._refuse_taken(connection, run.id, run.alias)
            connection.execute(tables.runs.insert(), values)

        await self._transact(create)

    async def run(self, name: str) -> Run:
        """The run with this id, alias, or unique beginning of an id. Raises StoreError naming the nearest one."""
        exact = await self._runs(sa.or_(tables.runs.c.id == name, tables.runs.c.alias == name))
        if exact:
            return next((run for run in exact if run.id == name), exact[0])
        begun = await self._runs(sa.func.substr(tables.runs.c.id, 1, len(name)) == name) if name else []
        if len(begun) == 1:
            return begun[0]
        if begun:
            ids = ", ".join(run.id for run in begun[:5])
            raise StoreError(f"several runs begin with '{name}': {ids}. Give more of the id.")
        known = await self.runs()
        names = itertools.chain.from_iterable((run.alias, run.id) if run.alias else (run.id,) for run in known)
        raise StoreError(f"there is no run '{name}' in {self.path}.{nearest(name, names)}")

    async def runs(self, limit: int | None = None) -> list[Run]:
        """The runs, newest first, at most `limit`."""
        return await self._runs(sa.true(), limit)

    async def update_run(self, run_id: str, **changes: Any) -> Run:
        """The run with these fields changed and `updated_at` set to now. Raises StoreError when there is none."""
        allowed = {f.name for f in fields(Run)} - {"id", "created_at"}
        if unknown := sorted(set(changes) - allowed):
            raise TypeError(f"a run has no field to change named {', '.join(unknown)}")
        if "status" in changes and changes["status"] not in get_args(RunStatus):
            raise TypeError(f"a run's status is one of {', '.join(get_args(RunStatus))}, not {changes['status']!r}")

        def update(connection: sa.Connection) -> Run:
            here = tables.runs.c.id == run_id
            found = decode(Run, connection.execute(sa.select(*COLUMNS[Run]).where(here)))
            if not found:
                raise StoreError(f"there is no run '{run_id}' in {self.path}")
            if changes.get("alias") not in (None, found[0].alias):
                self._refuse_taken(connection, None, changes["alias"])
            run = replace(found[0], **{"updated_at": time.time(), **changes})
            connection.execute(tables.runs.update().where(here).values(encode_by_name(run)))
            return run

        return await self._transact(update)

    async def _runs(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Run]:
        order = (tables.runs.c.created_at.desc(), tables.runs.c.id)
        return await self._read(Run, sa.select(*COLUMNS[Run]).where(where).order_by(*order).limit(limit))

    def _refuse_taken(self, connection: sa.Connection, run_id: str | None, alias: str | None) -> None:
        c = tables.runs.c
        for column, name in ((c.id, run_id), (c.alias, alias)):
            other = connection.execute(sa.select(c.id).where(column == name)).scalar() if name else None
            if other is not None:
                raise StoreError(f"there is a run '{name}' already (id {other}): resume it, or choose another name")

    # Answers and the journal of calls

    async def answers(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The answers known to any run, by key; keys without one are left out."""
        packed = list({pack(key): None for key in keys})
        columns = ", ".join(f'"{column.name}"' for column in COLUMNS[Answer])

        def read(connection: sa.Connection) -> list[Answer]:
            found: list[Answer] = []
            for start in range(0, len(packed), CHUNK):
                chunk = tuple(packed[start : start + CHUNK])
                marks = ", ".join("?" * len(chunk))
                # Written out: building it from parts takes longer than the database needs for the answers.
                query = f"SELECT {columns} FROM answers WHERE key IN ({marks})"  # noqa: S608 - our own names
                found += decode(Answer, connection.exec_driver_sql(query, chunk))
            return found

        return {answer.key: answer for answer in await self._fetch(read)}

    async def calls(self, run_id: str) -> list[Call]:
        """Every call of a run, by iteration and key (not by time: the order must not depend on timing)."""
        c = tables.calls.c
        query = sa.select(*COLUMNS[Call]).where(c.run_id == pack(run_id)).order_by(c.iteration, c.key)
        return await self._read(Call, query)

    async def spending(self, run_id: str) -> list[Spending]:
        """What a run's calls cost, by role and step (see `Call.iteration`), in order."""
        c = tables.calls.c
        counts = (sa.func.count(), sa.func.sum(c.cached.cast(sa.Integer)), sa.func.sum(c.missing.cast(sa.Integer)))
        sums = (sa.func.sum(column) for column in (c.input_tokens, c.output_tokens, c.usd))
        query = sa.select(c.role, c.iteration, *counts, *sums).where(c.run_id == pack(run_id))
        query = query.group_by(c.role, c.iteration).order_by(c.role, c.iteration)
        return await self._fetch(lambda connection: [Spending(*row) for row in connection.execute(query)])

    # Prompts, records, decisions

    async def prompts(self, run_id: str, ids: Iterable[str] | None = None) -> dict[str, StoredPrompt]:
        """A run's prompts by id, oldest iteration first; all of them, or those asked for."""
        c = tables.prompts.c
        packed = None if ids is None else [pack(i) for i in ids]
        found = await self._read_chunks(StoredPrompt, c.run_id == pack(run_id), c.id, packed)
        return {prompt.id: prompt for prompt in sorted(found, key=lambda p: (p.iteration, p.id))}

    async def records(
        self, run_id: str, prompt_ids: Iterable[str] | None = None, split: str | None = None
    ) -> list[Record]:
        """A run's records, by prompt, example and repeat; of all prompts and splits, or of those asked for."""
        c = tables.records.c
        where = c.run_id == pack(run_id)
        if split is not None:
            where &= c.split == split
        packed = None if prompt_ids is None else [pack(i) for i in prompt_ids]
        found = await self._read_chunks(Record, where, c.prompt_id, packed)
        return sorted(found, key=lambda r: (r.prompt_id, r.example_id, r.repeat))

    async def decisions(self, run_id: str) -> list[Decision]:
        """A run's decisions in the order they were taken."""
        return await self._by_iteration(Decision, run_id)

    async def turns(self, run_id: str) -> list[Turn]:
        """Whose turn it was, in order, where several strategies shared the run."""
        return await self._by_iteration(Turn, run_id)

    async def hypotheses(self, run_id: str) -> list[Hypothesis]:
        """A run's hypotheses, by iteration."""
        return await self._by_iteration(Hypothesis, run_id)

    async def code_runs(self, run_id: str) -> list[CodeRun]:
        """The code that a run executed, in the order it did."""
        return await self._by_iteration(CodeRun, run_id)

    async def _by_iteration(self, row_type: type[R], run_id: str) -> list[R]:
        c = TABLES[row_type].c
        query = sa.select(*COLUMNS[row_type]).where(c.run_id == pack(run_id)).order_by(c.iteration, c.index)
        return await self._read(row_type, query)

    async def rounds(self, run_id: str) -> list[Round]:
        """The rounds of a run of an agent that decides, in order."""
        c = tables.rounds.c
        query = sa.select(*COLUMNS[Round]).where(c.run_id == pack(run_id)).order_by(c.round)
        return await self._read(Round, query)

    async def actions(self, run_id: str) -> list[Action]:
        """What it did, by round and index."""
        c = tables.actions.c
        query = sa.select(*COLUMNS[Action]).where(c.run_id == pack(run_id)).order_by(c.round, c.index)
        return await self._read(Action, query)

    # The test splits' ledger

    async def use_test(self, test_key: str, run_id: str) -> int:
        """Which use of this test split the run is, from 1; asking again for the same run gives the same number."""
        c = tables.test_uses.c

        def use(connection: sa.Connection) -> int:
            uses = sa.select(c.number).where(c.test_key == test_key)
            number = connection.execute(uses.where(c.run_id == run_id)).scalar()
            if number is None:
                number = 1 + (
                    connection.execute(sa.select(sa.func.max(c.number)).where(c.test_key == test_key)).scalar() or 0
                )
                row = encode_by_name(TestUse(test_key, run_id, time.time()))
                connection.execute(tables.test_uses.insert(), {**row, "number": number})
            return number

        return await self._transact(use)

    async def test_uses(self, test_key: str) -> list[TestUse]:
        """The runs that used this test split, the first one first."""
        c = tables.test_uses.c
        return await self._read(TestUse, sa.select(*COLUMNS[TestUse]).where(c.test_key == test_key).order_by(c.number))

    # Schedules

    async def schedules(self) -> dict[str, ScheduleRow]:
        """Where every schedule of this store stands, by name."""
        order = tables.schedules.c.name
        return {
            row.name: row for row in await self._read(ScheduleRow, sa.select(*COLUMNS[ScheduleRow]).order_by(order))
        }

    async def save_schedule(self, row: ScheduleRow) -> None:
        """Store where a schedule stands; returns when that is committed."""
        values = dict(zip((column.name for column in COLUMNS[ScheduleRow]), encode(row), strict=True))
        saved = insert(tables.schedules).values(values)
        changed = {name: value for name, value in values.items() if name != "name"}
        upsert = saved.on_conflict_do_update(index_elements=["name"], set_=changed)
        await self._transact(lambda connection: connection.execute(upsert).rowcount)

    # Leases: one process per run

    async def acquire_lease(self, run_id: str, owner: str, seconds: float = 30) -> bool:
        """True when `owner` now holds the run for so many seconds; False while another one does."""

        def acquire(connection: sa.Connection) -> bool:
            now = time.time()
            lease = insert(tables.leases).values(run_id=run_id, owner=owner, expires_at=now + seconds)
            free = sa.or_(tables.leases.c.owner == owner, tables.leases.c.expires_at <= now)
            taken = lease.on_conflict_do_update(
                index_elements=["run_id"],
                set_={"owner": lease.excluded.owner, "expires_at": lease.excluded.expires_at},
                where=free,
            )
            return connection.execute(taken).rowcount == 1

        return await self._transact(acquire)

    async def lease_owner(self, run_id: str) -> str | None:
        """Who holds the run now; None where nobody does."""
        c = tables.leases.c
        held = sa.select(c.owner).where(c.run_id == run_id, c.expires_at > time.time())
        return await self._transact(lambda connection: connection.execute(held).scalar())

    async def renew_lease(self, run_id: str, owner: str, seconds: float = 30) -> bool:
        """True when `owner` still held the run and holds it for so many seconds more; False when it lost it."""
        lease = tables.leases.update().where(_held(run_id, owner)).values(expires_at=time.time() + seconds)
        return await self._transact(lambda connection: connection.execute(lease).rowcount == 1)

    async def release_lease(self, run_id: str, owner: str) -> None:
        """Let go of the run, so that another process may take it at once; nothing happens when it was lost."""
        lease = tables.leases.delete().where(_held(run_id, owner))
        await self._transact(lambda connection: connection.execute(lease).rowcount)

    # Reading

    async def _read(self, row_type: type[R], *queries: sa.Select[Any]) -> list[R]:
        return await self._fetch(
            lambda connection: [row for query in queries for row in decode(row_type, connection.execute(query))]
        )

    async def _fetch(self, work: Callable[[sa.Connection], T]) -> T:
        await self.flush()

        def read() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        try:
            # A thread and the plain driver: a sixth of the time that an asynchronous driver's hops take.
            return await asyncio.to_thread(read)
        except (DBAPIError, sqlite3.Error) as error:
            raise schema.explained(error, self.path) from error

    async def _read_chunks(
        self, row_type: type[R], where: sa.ColumnElement[bool], column: sa.Column[Any], values: Sequence[bytes] | None
    ) -> list[R]:
        """The rows where `column` is one of `values` (None: any), asked for in chunks."""
        query = sa.select(*COLUMNS[row_type]).where(where)
        if values is None:
            return await self._read(row_type, query)
        distinct = list(dict.fromkeys(values))
        chunks = [distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK)]
        return await self._read(row_type, *(query.where(column.in_(chunk)) for chunk in chunks))


def _held(run_id: str, owner: str) -> sa.ColumnElement[bool]:
    return sa.and_(tables.leases.c.run_id == run_id, tables.leases.c.owner == owner)
