"""The run-time objects of a run of an agent that decides, made from what the store says of it, never from graph state.

A node finds its session by the thread's id, which is the run's id. One process keeps one session per run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..agents.actor import Actor
from ..agents.ask import AgentDesk
from ..errors import StoreError
from ..evaluation.budget import Budget, check_prices
from ..evaluation.ledger import Ledger
from ..evaluation.paid_calls import PaidCalls
from ..evaluation.paid_embeddings import PaidEmbeddings
from ..models.plain_chat import PlainChat
from ..models.retry import RetryPolicy
from ..seeding import generator
from ..settings import settings as installation
from ..tasks.environments.guard import Guarded, usable
from ..tasks.environments.loading import make_environment
from ..tasks.environments.protocol import Description, Environment
from ..traces.events import EventLog, event_log
from ..traces.home import writable_folder
from ..traces.redact import redact
from ..traces.rows import Action, Round, Run, RunStatus
from ..traces.store import RunStore
from . import lease
from .decide_learning import Learning
from .decide_methods import DecideOptions, Method
from .decide_settings import DecideSettings

if TYPE_CHECKING:
    from ..models.agent import AgentModel

IN_FLIGHT = 12
"""Calls that a crash may lose at most: a batch, and requests for embeddings beside it."""


@dataclass(frozen=True)
class Shown:
    """The sequences of past actions that a round could show, and which one it does. `embeddings` of their texts, None
    where they could not be had: then nothing is learned of them."""

    candidates: list[tuple[int, ...]]
    chosen: int
    embeddings: NDArray[np.floating[Any]] | None


_sessions: dict[str, DecideSession] = {}
_handed_in: dict[str, dict[str, Any]] = {}
"""Python objects (an environment, a listener) that a caller passed, by run id."""


@dataclass
class DecideSession:
    """What the nodes of one run work with."""

    run: Run
    settings: DecideSettings
    how: Method
    options: DecideOptions
    environment: Guarded
    description: Description
    calls: PaidCalls
    ledger: Ledger
    store: RunStore
    events: EventLog
    folder: Path
    owner: str
    desk: AgentDesk | None
    actor: Actor | None
    embeddings: PaidEmbeddings | None
    listeners: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)
    lost: bool = False
    """Whether another process has taken the run over."""
    texts: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """The versions of the task's text and of the instruction; empty before `domain` has found them."""
    learning: Learning | None = None
    rounds: dict[int, Round] = field(default_factory=dict)
    actions: dict[int, dict[int, Action]] = field(default_factory=dict)
    """By round and index."""
    shown: dict[int, Shown] = field(default_factory=dict)
    """What the round in hand shows of the past, by round."""
    began: float = field(default_factory=time.monotonic)
    """When the round in hand did."""
    _lease: asyncio.Task[None] | None = None

    @cached_property
    def length(self) -> int:
        """How many rounds the run has."""
        return self.settings.rounds or self.description.rounds

    @property
    def listed(self) -> bool:
        """Whether the environment's actions are listed: one is played a round."""
        return bool(self.description.actions)

    def emit(self, event: str, **fields: Any) -> None:
        """Write an event to the run's log and tell whoever listens."""
        self.events.emit(event, **fields)
        self.tell(event, **fields)

    def tell(self, event: str, **fields: Any) -> None:
        """Tell whoever listens, without a line in the log."""
        for listener in self.listeners:
            listener(event, fields)

    def generator(self, *path: object) -> np.random.Generator:
        """A generator of its own for this place of the run."""
        return generator(self.settings.seed, *path)

    def keep_round(self, row: Round) -> None:
        """Keep and store a round, or what has become of it."""
        self.rounds[row.round] = row
        self.store.add(row)

    def keep_action(self, row: Action) -> None:
        """Keep and store an action, or what came of it."""
        self.actions.setdefault(row.round, {})[row.index] = row
        self.store.add(row)

    def actions_of(self, round: int) -> list[Action]:
        """The actions of one round, in order."""
        return [action for _, action in sorted(self.actions.get(round, {}).items())]

    def seen_before(self, round: int) -> list[Action]:
        """The actions of earlier rounds that have a value, oldest first."""
        before = (action for of in sorted(self.actions) if of < round for action in self.actions_of(of))
        return [action for action in before if action.taken and action.value is not None]

    def meta_prompt(self, arm: int) -> tuple[str, str]:
        """Task and instruction of an arm, once `domain` has found the texts."""
        task, instruction = np.unravel_index(arm, [len(texts) for texts in self.texts])
        return self.texts[0][int(task)], self.texts[1][int(instruction)]

    async def take(self, action: Action) -> Action:
        """Let the environment take an action; keeps what came of it. Raises EnvironmentFailure."""
        outcome = await self.environment.step(action.action, action.id)
        value, why = usable(outcome.value, self.description.low, self.description.high)
        note = why or action.note
        taken = replace(action, taken=True, value=value, regret=outcome.regret, means=outcome.means, note=note)
        if why:
            self.emit("value_missing", round=action.round, index=action.index, reason=why)
        self.keep_action(taken)
        return taken

    async def aclose(self, status: RunStatus = "finished", error: str | None = None) -> None:
        """Save status and working time, let go of the run and of everything it opened."""
        _sessions.pop(self.run.id, None)
        if self._lease:
            self._lease.cancel()
        try:
            await self.store.update_run(self.run.id, status=status, error=error, seconds=self.ledger.seconds)
            await self.store.release_lease(self.run.id, self.owner)
        finally:
            await self.environment.aclose()
            if self.desk:
                await self.desk.model.aclose()
            if self.actor:
                await self.actor.model.aclose()
            try:
                self.events.close()
            finally:
                await self.store.close()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(lease.SECONDS / 3)
            if not await self.store.renew_lease(self.run.id, self.owner, lease.SECONDS):
                self.lost = True
                return
            await self.store.update_run(self.run.id, seconds=self.ledger.seconds)


def hand_in_objects(run_id: str, **objects: Any) -> None:
    """Pass Python objects (`environment`, `listener`) to the session that will serve this run."""
    _handed_in[run_id] = {name: value for name, value in objects.items() if value is not None}


async def flush_decide_session(run_id: str) -> None:
    """Commit what a run has stored so far; nothing happens where its session is closed."""
    if run_id in _sessions:
        await _sessions[run_id].store.flush()


async def close_decide_session(run_id: str, status: RunStatus, error: str | None = None) -> None:
    """Close the session of a run that did not come to its end, if there is one."""
    _handed_in.pop(run_id, None)
    if run_id in _sessions:
        await _sessions[run_id].aclose(status, None if error is None else redact(error))


def decide_waits_for_provider(run_id: str) -> bool:
    """Whether calls of a run wait for a provider that is down."""
    return run_id in _sessions and _sessions[run_id].calls.waiting


async def open_decide_session(run_id: str) -> DecideSession:
    """The session of a run, made where this process has none yet.

    Raises StoreError where there is no such run or another process holds it, and whatever is wrong with its
    environment, model or budget.
    """
    if run_id not in _sessions:
        home = await asyncio.to_thread(lambda: installation().home)
        store = await RunStore.open(home)
        try:
            _sessions[run_id] = await _assemble(run_id, home, store)
        except BaseException:
            await store.close()
            raise
    if _sessions[run_id].lost:
        raise StoreError(f"run {run_id} was taken over by another process")
    return _sessions[run_id]


def _agent_model(settings: DecideSettings) -> AgentModel:
    from ..models.agent import agent_model  # takes seconds to import, and some methods have none

    return agent_model(settings.agent, settings.base_url)


async def _assemble(run_id: str, home: Path, store: RunStore) -> DecideSession:
    run = await store.run(run_id)
    settings = DecideSettings.model_validate(run.settings)
    how, options, budget = settings.how(), settings.decide_options(), settings.limits()
    owner = await lease.take_lease(store, run_id, run.alias or run_id)
    guarded: Guarded | None = None
    try:
        objects = _handed_in.pop(run_id, {})
        made: Environment = objects.get("environment") or await asyncio.to_thread(
            make_environment, settings.environment, run_id
        )
        guarded = Guarded(made, settings.environment, settings.environment_seconds)
        starts = await guarded.reset(settings.seed)
        description = await guarded.describe()
        folder = await asyncio.to_thread(lambda: writable_folder(home.expanduser() / "runs" / run_id))
        session = await _opened(run, settings, how, options, budget, guarded, description, store, folder, owner)
        session.listeners = [objects["listener"]] if "listener" in objects else []
        await _restored(session, starts)
        session._lease = asyncio.create_task(session._keep_lease())
        return session
    except BaseException:
        if guarded is not None:
            await guarded.aclose()
        await store.release_lease(run_id, owner)
        raise


async def _opened(
    run: Run,
    settings: DecideSettings,
    how: Method,
    options: DecideOptions,
    budget: Budget,
    environment: Guarded,
    description: Description,
    store: RunStore,
    folder: Path,
    owner: str,
) -> DecideSession:
    ledger = Ledger(budget, seconds_before=run.seconds)
    policy = RetryPolicy(timeout=settings.timeout, deadline=max(RetryPolicy.deadline, 2 * settings.timeout))
    calls = PaidCalls(run.id, store, ledger, policy, settings.seed, patience=60 * settings.patience)
    chat = await asyncio.to_thread(PlainChat, settings.agent, settings.base_url) if how.agent else None
    # Only rephrasing asks for a form.
    agent = await asyncio.to_thread(_agent_model, settings) if how.rephrased else None
    embeds = how.rephrased or (options.exemplars or how.exemplars) == "learned"
    embeddings = None
    if embeds:
        embeddings = await asyncio.to_thread(
            PaidEmbeddings, settings.embedding_model(), settings.base_url, calls, folder
        )
    prices = ({chat.name: chat.price} if chat else {}) | ({embeddings.name: embeddings.price} if embeddings else {})
    check_prices(budget, prices)
    actor = None
    if chat:
        actor = Actor(chat, calls, environment.parse, size=options.batch, max_tokens=options.max_tokens)
    return DecideSession(
        run=run,
        settings=settings,
        how=how,
        options=options,
        environment=environment,
        description=description,
        calls=calls,
        ledger=ledger,
        store=store,
        events=await asyncio.to_thread(event_log, run.id, folder.parent.parent),
        folder=folder,
        owner=owner,
        desk=AgentDesk(agent, calls) if agent else None,
        actor=actor,
        embeddings=embeddings,
    )


async def _restored(session: DecideSession, starts: list[str]) -> None:
    """Take up what earlier processes of the run did, the environment included: it takes every action again."""
    run_id, store, calls = session.run.id, session.store, session.calls
    restarts = session.run.restarts + (session.run.status != "created")
    await calls.restore(restarts=restarts, in_flight=IN_FLIGHT)
    session.rounds = {row.round: row for row in await store.rounds(run_id)}
    for row in await store.actions(run_id):
        session.actions.setdefault(row.round, {})[row.index] = row
    known = session.actions.setdefault(0, {})
    for index, action in enumerate(starts):
        known.setdefault(index, Action(run_id, 0, index, action))
    await store.update_run(run_id, status="running", restarts=restarts)
    calls.on_trouble = lambda message: session.emit("call_failed", message=message)
    calls.on_call = lambda call: session.tell(
        "call", role=call.role, usd=call.usd, tokens=call.input_tokens + call.output_tokens
    )
    calls.on_wait = lambda seconds: session.tell("rate_limit", seconds=seconds)
    calls.on_outage = lambda event, fields: session.emit(event, **fields)
    for action in (action for round in sorted(session.actions) for action in session.actions_of(round)):
        if not action.taken:
            continue
        outcome = await session.environment.step(action.action, action.id)
        said = session.description
        if usable(outcome.value, said.low, said.high)[0] != action.value:
            # What was seen at first is what counts: the agent was told it, and it was learned.
            session.emit("outcome_differs", action=action.id, value=action.value)
