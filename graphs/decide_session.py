"""The run-time objects of a run of an agent that decides: made from what the store says, never from graph state."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agents.actor import Actor
from ..agents.ask import AgentDesk
from ..evaluation.budget import check_prices
from ..evaluation.paid_embeddings import PaidEmbeddings
from ..models.plain_chat import PlainChat
from ..tasks.environments.guard import Guarded, usable
from ..tasks.environments.loading import make_environment
from ..tasks.environments.protocol import Description, Environment
from ..traces.events import event_log
from ..traces.home import writable_folder
from ..traces.rows import Action, Round, Run
from ..traces.store import RunStore
from .decide_learning import Learning
from .decide_methods import DecideOptions, Method
from .decide_settings import DecideSettings
from .held_run import HeldRun, agent_named, held, paid_calls

IN_FLIGHT = 12
"""Calls that a crash may lose at most: a batch, and requests for embeddings beside it."""

UNREADABLE = "unreadable"
"""How the note of an answer begins that names no action."""

Versions = tuple[tuple[str, ...], tuple[str, ...]]
"""Of the task and of the instruction, the original first."""


@dataclass(frozen=True)
class Shown:
    """The sequences of past actions that a round could show, and which one it does. `embeddings` of their texts, None
    where they could not be had: then nothing is learned of them."""

    candidates: list[tuple[int, ...]]
    chosen: int
    embeddings: NDArray[np.floating[Any]] | None


@dataclass
class DecideSession(HeldRun):
    """What the nodes of one run work with."""

    settings: DecideSettings
    how: Method
    options: DecideOptions
    environment: Guarded
    description: Description
    folder: Path
    actor: Actor | None
    embeddings: PaidEmbeddings | None
    texts: Versions = ((), ())
    """The versions of the task's text and of the instruction; empty before `domain` has found them."""
    learning: Learning | None = None
    rounds: dict[int, Round] = field(default_factory=dict)
    actions: dict[int, dict[int, Action]] = field(default_factory=dict)
    """By round and index."""
    shown: dict[int, Shown] = field(default_factory=dict)
    """What the round in hand shows of the past, by round."""
    began: float = field(default_factory=time.monotonic)
    """When the round in hand did."""
    entered: int = -1
    """The round whose calls are under way."""

    def enter(self, round: int) -> None:
        """Begin the calls of a round, once in a process: what its first node paid for, a later one has come to."""
        if round != self.entered:
            self.calls.begin(round)
            self.entered = round

    @cached_property
    def length(self) -> int:
        """How many rounds the run has."""
        return self.settings.rounds or self.description.rounds

    @property
    def listed(self) -> bool:
        """Whether the environment's actions are listed: one is played a round."""
        return bool(self.description.actions)

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
        means = outcome.means if len(outcome.means) == len(self.description.actions) else ()
        taken = replace(action, taken=True, value=value, regret=outcome.regret, means=means, note=note)
        if why:
            self.emit("value_missing", round=action.round, index=action.index, reason=why)
        self.keep_action(taken)
        return taken

    async def _let_go(self) -> None:
        await self.environment.aclose()
        if self.actor:
            await self.actor.model.aclose()


async def open_decide_session(run_id: str) -> DecideSession:
    """The session of a run, made where this process has none yet.

    Raises StoreError where there is no such run or another process holds it, and whatever is wrong with its
    environment, model or budget.
    """
    return await held(run_id, _assemble)


async def _assemble(run: Run, store: RunStore, home: Path, objects: dict[str, Any]) -> DecideSession:
    settings = DecideSettings.model_validate(run.settings)
    made: Environment = objects.get("environment") or await asyncio.to_thread(
        make_environment, settings.environment, run.id
    )
    environment = Guarded(made, settings.environment, settings.environment_seconds)
    try:
        starts = await environment.reset(settings.seed)
        session = await _opened(run, settings, environment, store, home, objects.get("listener"))
        await _restored(session, starts)
        return session
    except BaseException:
        await environment.aclose()
        raise


async def _opened(
    run: Run, settings: DecideSettings, environment: Guarded, store: RunStore, home: Path, listener: Any
) -> DecideSession:
    how, options, description = settings.how(), settings.decide_options(), await environment.describe()
    folder = await asyncio.to_thread(lambda: writable_folder(home.expanduser() / "runs" / run.id))
    calls = paid_calls(run, store, settings)
    chat = await asyncio.to_thread(PlainChat, settings.agent, settings.base_url) if how.agent else None
    # Only rephrasing asks for a form.
    agent = await asyncio.to_thread(agent_named, settings.agent, settings.base_url) if how.rephrased else None
    embeddings = None
    if options.embeds(how):
        embeddings = await asyncio.to_thread(
            PaidEmbeddings, settings.embedding_model(), settings.base_url, calls, folder
        )
    prices = ({chat.name: chat.price} if chat else {}) | ({embeddings.name: embeddings.price} if embeddings else {})
    check_prices(calls.ledger.budget, prices)
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
        events=await asyncio.to_thread(event_log, run.id, home),
        folder=folder,
        desk=AgentDesk(agent, calls) if agent else None,
        actor=actor,
        embeddings=embeddings,
        listener=listener,
    )


async def _restored(session: DecideSession, starts: list[str]) -> None:
    """Take up what earlier processes of the run did, the environment included: it takes every action again."""
    run_id, store = session.run.id, session.store
    session.rounds = {row.round: row for row in await store.rounds(run_id)}
    for row in await store.actions(run_id):
        session.actions.setdefault(row.round, {})[row.index] = row
    known = session.actions.setdefault(0, {})
    for index, action in enumerate(starts):
        known.setdefault(index, Action(run_id, 0, index, action))
    await session.begin(IN_FLIGHT)
    for action in (action for round in sorted(session.actions) for action in session.actions_of(round)):
        if not action.taken:
            continue
        outcome = await session.environment.step(action.action, action.id)
        said = session.description
        if usable(outcome.value, said.low, said.high)[0] != action.value:
            # What was seen at first is what counts: the agent was told it, and it was learned.
            session.emit("outcome_differs", action=action.id, value=action.value)
