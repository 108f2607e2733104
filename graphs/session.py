"""The run-time objects of a run: made from what the store says of it, never from graph state.

A node finds its session by the thread's id, which is the run's id. One process keeps one session per run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..agents.ask import AgentDesk
from ..agents.leaks import Copies
from ..agents.paid_sandbox import PaidSandbox
from ..agents.validator import ValidationRules, Validator, bold
from ..errors import SandboxError, StoreError
from ..evaluation.budget import check_prices
from ..evaluation.evaluator import Evaluator
from ..evaluation.intervals import mean_interval
from ..evaluation.ledger import Charge, Ledger
from ..evaluation.paid_calls import PaidCalls
from ..evaluation.panels import Panels
from ..models.prices import sandbox_price
from ..models.retry import RetryPolicy
from ..seeding import generator
from ..settings import settings as installation
from ..tasks.load import load_task
from ..tasks.prompt import Prompt
from ..tasks.target import Target
from ..tasks.targets import make_target
from ..tasks.task import Task
from ..traces.events import EventLog, event_log
from ..traces.redact import redact
from ..traces.rows import Decision, Hypothesis, Run, RunStatus, StoredPrompt, Turn
from ..traces.store import RunStore
from . import lease
from .run_settings import RunSettings
from .strategy import SearchOptions

if TYPE_CHECKING:
    from ..models.agent import AgentModel
    from ..sandbox.protocol import Sandbox

CODE_IN_FLIGHT = 2
"""Runs of code that a crash may lose at most: as many as a paid sandbox has under way at once."""

_sessions: dict[str, Session] = {}
_handed_in: dict[str, dict[str, Any]] = {}
"""Python objects (a task, a target) that a caller passed instead of names, by run id."""


@dataclass
class Session:
    """What the nodes of one run work with."""

    run: Run
    settings: RunSettings
    task: Task
    evaluator: Evaluator
    calls: PaidCalls
    ledger: Ledger
    store: RunStore
    events: EventLog
    panels: Panels
    desk: AgentDesk | None
    home: Path
    owner: str
    listeners: list[Callable[[str, dict[str, Any]], None]] = field(default_factory=list)
    lost: bool = False
    """Whether another process has taken the run over."""
    turn: str = ""
    """Whose turn it is, where several strategies share the run."""
    sandbox: Sandbox | None = None
    """Where analysis code runs; None where the run has none."""
    paid_before: dict[tuple[int, int], float] = field(default_factory=dict)
    """What earlier processes of this run paid for code, in US dollars by iteration and index."""
    _prompts: dict[str, Prompt] = field(default_factory=dict)
    _since: dict[str, int] = field(default_factory=dict)
    """The iteration in which each prompt was first kept."""
    _decisions: dict[tuple[int, int], Decision] = field(default_factory=dict)
    _turns: dict[int, Turn] = field(default_factory=dict)
    _hypotheses: dict[tuple[int, int], Hypothesis] = field(default_factory=dict)
    _lease: asyncio.Task[None] | None = None

    def emit(self, event: str, **fields: Any) -> None:
        """Write an event to the run's log and tell whoever listens (progress bars)."""
        self.events.emit(event, **fields)
        self.tell(event, **fields)

    def prompt(self, prompt_id: str) -> Prompt:
        """A prompt of this run by its id."""
        return self._prompts[prompt_id]

    @property
    def options(self) -> SearchOptions:
        """The options of the strategy, or of the one whose turn it is."""
        return self._own_options.of_turn(self.turn)

    @cached_property
    def _own_options(self) -> SearchOptions:
        return self.settings.search_options()

    @cached_property
    def rules(self) -> ValidationRules:
        """The rules of acceptance."""
        return self.settings.validation().fitted(len(self.task.search))

    def known_before(self, iteration: int) -> set[str]:
        """Ids of the prompts of earlier iterations: what a proposal must differ from.

        Not those of this iteration, which a step that is run again after a crash has left behind.
        """
        return {prompt_id for prompt_id, since in self._since.items() if since < iteration}

    def decide(self, decision: Decision) -> None:
        """Keep and store a verdict on a candidate."""
        self._decisions[decision.iteration, decision.index] = decision
        self.store.add(decision)

    def decisions_before(self, iteration: int) -> list[Decision]:
        """The verdicts of earlier iterations, oldest first."""
        return [d for (at, _), d in sorted(self._decisions.items()) if at < iteration]

    def decisions_of(self, iteration: int) -> list[Decision]:
        """The verdicts of one iteration, in order."""
        return [d for (at, _), d in sorted(self._decisions.items()) if at == iteration]

    def take_turn(self, turn: Turn) -> None:
        """Keep and store whose turn it is, or how it ended."""
        self._turns[turn.index] = turn
        self.store.add(turn)

    def turns_before(self, step: int) -> list[Turn]:
        """The turns that were chosen in earlier steps than this, oldest first."""
        return [turn for _, turn in sorted(self._turns.items()) if turn.step < step]

    def suppose(self, hypothesis: Hypothesis) -> None:
        """Keep and store a hypothesis, or what has become of it."""
        self._hypotheses[hypothesis.iteration, hypothesis.index] = hypothesis
        self.store.add(hypothesis)

    def hypothesis(self, iteration: int, index: int) -> Hypothesis:
        """One hypothesis of this run."""
        return self._hypotheses[iteration, index]

    def hypotheses_of(self, iteration: int) -> list[Hypothesis]:
        """The hypotheses of one iteration, in order."""
        return [h for (at, _), h in sorted(self._hypotheses.items()) if at == iteration]

    def hypotheses_before(self, iteration: int) -> list[Hypothesis]:
        """The hypotheses of earlier iterations, oldest first."""
        return [h for (at, _), h in sorted(self._hypotheses.items()) if at < iteration]

    @cached_property
    def copies(self) -> Copies:
        """Finds what a prompt copied from the search split."""
        return Copies(example.input for example in self.task.search)

    def generator(self, *path: object) -> np.random.Generator:
        """A generator of its own for this place of the run (iteration, role, index)."""
        return generator(self.settings.seed, *path)

    def tell(self, event: str, **fields: Any) -> None:
        """Tell whoever listens, without a line in the log."""
        for listener in self.listeners:
            listener(event, fields)

    def standing(self, prompt_id: str) -> dict[str, float]:
        """Mean score of a prompt over what the search measured, its 95 % interval and n."""
        scores = [r.score for r in self.evaluator.records(prompt_id) if r.score is not None and r.split != "test"]
        interval = mean_interval(scores) if scores else None
        return {
            "score": sum(scores) / len(scores) if scores else 0.0,
            "low": interval.low if interval else 0.0,
            "high": interval.high if interval else 1.0,
            "n": len(scores),
        }

    def keep(self, prompt: Prompt, iteration: int) -> str:
        """Store a prompt of this run; returns its id."""
        if prompt.id not in self._prompts:
            self._prompts[prompt.id] = prompt
            self._since[prompt.id] = iteration
            content = prompt.model_dump(mode="json", include={"components", "demos", "shown"})
            self.store.add(StoredPrompt(self.run.id, prompt.id, iteration, content, prompt.parents, prompt.origin))
        return prompt.id

    def validator(self, flip_rate: float, *, tried: bool = False, panels: Panels | None = None) -> Validator:
        """The validator with this run's rules; `tried`: for candidates whose edits were tried one by one; `panels`: to
        screen on others than the run's."""
        rules = self.rules
        return Validator(
            evaluator=self.evaluator,
            panels=panels or self.panels,
            rules=bold(rules) if tried else rules,
            flip_rate=flip_rate,
            deterministic=flip_rate == 0.0 and not self.evaluator.target.stochastic,
        )

    def hold_certification(self, winner: Prompt) -> None:
        """Keep back what certifying this prompt against the seed may cost at most: calls, tokens and dollars."""
        if not self.settings.certify:
            return
        limits, target = self.ledger.budget, self.evaluator.target
        tokens, usd = 0, 0.0
        if limits.tokens is not None or limits.usd is not None:
            for prompt in (self.task.seed_prompt, winner):
                for request in (target.request(prompt, example) for example in self.task.test):
                    charge = Charge(request.max_input_tokens, request.max_output_tokens, target.price)
                    tokens, usd = tokens + charge.tokens, usd + charge.usd
        self.ledger.hold_for_certification(calls=2 * len(self.task.test), tokens=tokens, usd=usd)

    async def aclose(self, status: RunStatus = "finished", error: str | None = None) -> None:
        """Save status and working time, let go of the run and of everything it opened."""
        _sessions.pop(self.run.id, None)
        if self._lease:
            self._lease.cancel()
        try:
            await self.store.update_run(self.run.id, status=status, error=error, seconds=self.ledger.seconds)
            await self.store.release_lease(self.run.id, self.owner)
        finally:
            # Where the store cannot be written, nothing may stay behind all the same.
            await self.evaluator.target.aclose()
            if self.desk:
                await self.desk.model.aclose()
            if self.sandbox:
                await self.sandbox.aclose()
            try:
                self.events.close()
            finally:
                await self.store.close()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(lease.SECONDS / 3)
            if not await self.store.renew_lease(self.run.id, self.owner, lease.SECONDS):
                self.lost = True  # this process slept too long and another one has the run now
                return
            await self.store.update_run(self.run.id, seconds=self.ledger.seconds)


def hand_in(run_id: str, **objects: Any) -> None:
    """Pass Python objects (`task`, `target`, `listener`) to the session that will serve this run."""
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


async def open_session(run_id: str) -> Session:
    """The session of a run, made where this process has none yet.

    Raises StoreError where there is no such run or another process holds it, and whatever is wrong with the
    run's task, target or budget.
    """
    if run_id not in _sessions:
        _sessions[run_id] = await _make(run_id)
    if _sessions[run_id].lost:
        raise StoreError(f"run {run_id} was taken over by another process")
    return _sessions[run_id]


def _agent_model(settings: RunSettings) -> AgentModel:
    from ..models.agent import agent_model  # takes seconds to import, and most runs have none

    return agent_model(settings.agent or "", settings.base_url)


def sandbox_of(settings: RunSettings) -> Sandbox | None:
    """Where the run's analysis code runs; no process is started yet. Raises SandboxError where model-written code
    could not be isolated.

    The playbook's analyses are our own code: unless another place is named, they stay on this machine, whatever keys
    there are, and run in a plain worker process where nothing isolates.
    """
    if not settings.runs_code:
        return None
    from ..sandbox.choose import make_sandbox  # probing takes a moment, and most strategies run no code

    if settings.agent or settings.sandbox != "auto":
        return make_sandbox(settings.sandbox)
    try:
        return make_sandbox("local")
    except SandboxError:
        return make_sandbox("plain")


async def _make(run_id: str) -> Session:
    home = await asyncio.to_thread(lambda: installation().home)
    store = await RunStore.open(home)
    try:
        return await _assemble(run_id, home, store)
    except BaseException:
        await store.close()
        raise


async def _assemble(run_id: str, home: Path, store: RunStore) -> Session:
    run = await store.run(run_id)
    settings = RunSettings.model_validate(run.settings)
    owner = await lease.take_lease(store, run_id, run.alias or run_id)
    try:
        objects = _handed_in.pop(run_id, {})
        task = objects.get("task") or await asyncio.to_thread(load_task, settings.task, **settings.task_options)
        target: Target = await asyncio.to_thread(
            make_target, objects.get("target") or settings.target, task, settings.base_url, settings.concurrency
        )
        agent = await asyncio.to_thread(_agent_model, settings) if settings.agent else None
        budget = settings.limits()
        prices = {target.name: target.price} | ({agent.name: agent.price} if agent else {})
        check_prices(budget, prices)
        ledger = Ledger(budget, seconds_before=run.seconds)
        calls = PaidCalls(
            run_id,
            store,
            ledger,
            RetryPolicy(timeout=settings.timeout, deadline=max(RetryPolicy.deadline, 2 * settings.timeout)),
            settings.seed,
            patience=60 * settings.patience,
        )
        evaluator = Evaluator(task, target, calls, cache_scope=settings.cache_scope)
        events = await asyncio.to_thread(event_log, run_id, home)
        session = Session(
            run=run,
            settings=settings,
            task=task,
            evaluator=evaluator,
            calls=calls,
            ledger=ledger,
            store=store,
            events=events,
            panels=Panels.draw(task, settings.seed),
            desk=AgentDesk(agent, calls) if agent else None,
            home=home,
            owner=owner,
            listeners=[objects["listener"]] if "listener" in objects else [],
            sandbox=await asyncio.to_thread(sandbox_of, settings),
        )
        session.hold_certification(task.seed_prompt)
        restarts = run.restarts + (run.status != "created")
        await calls.restore(restarts=restarts, in_flight=evaluator.limit.reached)
        session.paid_before = {(r.iteration, r.index): r.usd for r in await store.code_runs(run_id) if r.usd}
        ledger.restore_code(session.paid_before.values(), restarts=restarts, in_flight=CODE_IN_FLIGHT)
        await evaluator.restore()
        for stored in (await store.prompts(run_id)).values():
            session._prompts[stored.id] = Prompt(**stored.content, parents=stored.parents, origin=stored.origin)
            session._since[stored.id] = stored.iteration
        for hypothesis in await store.hypotheses(run_id):
            session._hypotheses[hypothesis.iteration, hypothesis.index] = hypothesis
        for decision in await store.decisions(run_id):
            session._decisions[decision.iteration, decision.index] = decision
        session._turns |= {turn.index: turn for turn in await store.turns(run_id)}
        await store.update_run(run_id, status="running", restarts=restarts)
        calls.on_trouble = lambda message: session.emit("call_failed", message=message)
        calls.on_call = lambda call: session.tell(
            "call", role=call.role, usd=call.usd, tokens=call.input_tokens + call.output_tokens
        )
        calls.on_wait = lambda seconds: session.tell("rate_limit", seconds=seconds)
        calls.on_outage = lambda event, fields: session.emit(event, **fields)
        if session.sandbox is not None and session.sandbox.most_billed:
            session.sandbox = PaidSandbox(
                session.sandbox,
                ledger,
                sandbox_price(session.sandbox.name),
                lambda usd: session.tell("call", role="sandbox", usd=usd, tokens=0),
            )
        session._lease = asyncio.create_task(session._keep_lease())
        return session
    except BaseException:
        await store.release_lease(run_id, owner)
        raise
