"""What the sessions of every kind of run share: this process holds the run, and lets go of it at the end.

A node finds its session by the thread's id, which is the run's id. One process keeps one session per run.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from ..agents.ask import AgentDesk
from ..errors import StoreError
from ..evaluation.ledger import Ledger
from ..evaluation.paid_calls import PaidCalls
from ..models.retry import RetryPolicy
from ..seeding import generator
from ..settings import settings as installation
from ..traces.events import EventLog
from ..traces.redact import redact
from ..traces.rows import Run, RunStatus
from ..traces.store import RunStore
from . import lease

if TYPE_CHECKING:
    from ..models.agent import AgentModel
    from .decide_settings import DecideSettings
    from .run_settings import RunSettings

_sessions: dict[str, HeldRun] = {}
_handed_in: dict[str, dict[str, Any]] = {}
"""Python objects (a task, an environment, a listener) that a caller passed instead of names, by run id."""


@dataclass(kw_only=True)
class HeldRun(ABC):
    """A run that this process holds: its calls, its log, and the lease that says so."""

    run: Run
    calls: PaidCalls
    events: EventLog
    desk: AgentDesk | None
    listener: Callable[[str, dict[str, Any]], None] | None
    lost: bool = False
    """Whether another process has taken the run over."""
    _owner: str = ""
    _lease: asyncio.Task[None] | None = None

    @property
    def ledger(self) -> Ledger:
        """The run's budget, and what of it is spent."""
        return self.calls.ledger

    @property
    def store(self) -> RunStore:
        """Where the run is kept."""
        return self.calls.store

    def emit(self, event: str, **fields: Any) -> None:
        """Write an event to the run's log and tell whoever listens (progress bars)."""
        self.events.emit(event, **fields)
        self.tell(event, **fields)

    def tell(self, event: str, **fields: Any) -> None:
        """Tell whoever listens, without a line in the log."""
        if self.listener:
            self.listener(event, fields)

    def generator(self, *path: object) -> np.random.Generator:
        """A generator of its own for this place of the run (iteration, role, index)."""
        return generator(self.calls.seed, *path)

    @property
    def restarts(self) -> int:
        """How often the run has been taken up, this time included."""
        return self.run.restarts + (self.run.status != "created")

    async def begin(self, in_flight: int | Callable[[int], int]) -> None:
        """Take up what earlier processes of the run paid for (`in_flight`: see `PaidCalls.restore`)."""
        await self.calls.restore(restarts=self.restarts, in_flight=in_flight)
        self.calls.on_trouble = lambda message: self.emit("call_failed", message=message)
        self.calls.on_call = lambda call: self.tell(
            "call", role=call.role, usd=call.usd, tokens=call.input_tokens + call.output_tokens
        )
        self.calls.on_wait = lambda seconds: self.tell("rate_limit", seconds=seconds)
        self.calls.on_outage = lambda event, fields: self.emit(event, **fields)

    def hold(self, owner: str) -> None:
        """Renew the lease of this owner until the session is closed."""
        self._owner, self._lease = owner, asyncio.create_task(self._keep_lease())

    async def aclose(self, status: RunStatus = "finished", error: str | None = None) -> None:
        """Save status and working time, let go of the run and of everything it opened."""
        _sessions.pop(self.run.id, None)
        if self._lease:
            self._lease.cancel()
        try:
            await self.store.update_run(self.run.id, status=status, error=error, seconds=self.ledger.seconds)
            await self.store.release_lease(self.run.id, self._owner)
        finally:
            # Where the store cannot be written, nothing may stay behind all the same.
            await self._let_go()
            if self.desk:
                await self.desk.model.aclose()
            try:
                self.events.close()
            finally:
                await self.store.close()

    @abstractmethod
    async def _let_go(self) -> None:
        """Close what only this kind of run has open."""

    async def _keep_lease(self) -> None:
        await lease.keep_lease(self.store, self.run.id, self._owner, lambda: self.ledger.seconds)
        self.lost = True


S = TypeVar("S", bound=HeldRun)
Assemble = Callable[[Run, RunStore, Path, dict[str, Any]], Awaitable[S]]
"""Makes the session of a run in this store and SAGE_HOME, with the objects that were handed in."""


async def held(run_id: str, assemble: Assemble[S]) -> S:
    """The session of a run, made where this process has none yet.

    Raises StoreError where there is no such run or another process holds it, and whatever `assemble` does.
    """
    if run_id not in _sessions:
        home = await asyncio.to_thread(lambda: installation().home)
        store = await RunStore.open(home)
        try:
            run = await store.run(run_id)
            owner = await lease.take_lease(store, run_id, run.alias or run_id)
            try:
                session = await assemble(run, store, home, _handed_in.pop(run_id, {}))
                await store.update_run(run_id, status="running", restarts=session.restarts)
            except BaseException:
                await store.release_lease(run_id, owner)
                raise
        except BaseException:
            await store.close()
            raise
        session.hold(owner)
        _sessions[run_id] = session
    if _sessions[run_id].lost:
        raise StoreError(f"run {run_id} was taken over by another process")
    return cast("S", _sessions[run_id])


def paid_calls(run: Run, store: RunStore, settings: RunSettings | DecideSettings) -> PaidCalls:
    """The run's calls, with the limits that its settings name. Raises BudgetError."""
    policy = RetryPolicy(timeout=settings.timeout, deadline=max(RetryPolicy.deadline, 2 * settings.timeout))
    ledger = Ledger(settings.limits(), seconds_before=run.seconds)
    return PaidCalls(run.id, store, ledger, policy, settings.seed, patience=60 * settings.patience)


def agent_named(name: str, base_url: str | None) -> AgentModel:
    """The model that agents of a run ask."""
    from ..models.agent import agent_model  # takes seconds to import, and most runs have none

    return agent_model(name, base_url)


def hand_in(run_id: str, **objects: Any) -> None:
    """Pass Python objects (`task`, `target`, `environment`, `listener`) to the session that will serve this run."""
    _handed_in[run_id] = {name: value for name, value in objects.items() if value is not None}


async def flush_session(run_id: str) -> None:
    """Commit what a run has stored so far; nothing happens where its session is closed."""
    if run_id in _sessions:
        await _sessions[run_id].store.flush()


async def close_session(run_id: str, status: RunStatus, error: str | None = None) -> None:
    """Close the session of a run that did not come to its end, if there is one."""
    _handed_in.pop(run_id, None)
    if run_id in _sessions:
        await _sessions[run_id].aclose(status, None if error is None else redact(error))


def waits_for_provider(run_id: str) -> bool:
    """Whether calls of a run wait for a provider that is down."""
    return run_id in _sessions and _sessions[run_id].calls.waiting
