"""The run-time objects of a run: made from what the store says of it, never from graph state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agents.ask import AgentDesk
from ..agents.leaks import Copies
from ..agents.paid_sandbox import PaidSandbox
from ..agents.validator import ValidationRules, Validator, bold
from ..errors import SandboxError
from ..evaluation.budget import check_prices
from ..evaluation.evaluator import Evaluator
from ..evaluation.intervals import mean_interval
from ..evaluation.ledger import Charge
from ..evaluation.panels import Panels
from ..models.prices import sandbox_price
from ..tasks.load import load_task
from ..tasks.prompt import Prompt
from ..tasks.target import Target
from ..tasks.targets import make_target
from ..tasks.task import Task
from ..traces.events import event_log
from ..traces.rows import Decision, Hypothesis, Run, StoredPrompt, Turn
from ..traces.store import RunStore
from .held_run import HeldRun, agent_named, held, paid_calls
from .run_settings import RunSettings
from .strategy import SearchOptions

if TYPE_CHECKING:
    from ..sandbox.protocol import Sandbox

CODE_IN_FLIGHT = 2
"""Runs of code that a crash may lose at most: as many as a paid sandbox has under way at once."""


@dataclass
class Session(HeldRun):
    """What the nodes of one run work with."""

    settings: RunSettings
    task: Task
    evaluator: Evaluator
    panels: Panels
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

    async def _let_go(self) -> None:
        await self.evaluator.target.aclose()
        if self.sandbox:
            await self.sandbox.aclose()


async def open_session(run_id: str) -> Session:
    """The session of a run, made where this process has none yet.

    Raises StoreError where there is no such run or another process holds it, and whatever is wrong with the
    run's task, target or budget.
    """
    return await held(run_id, _assemble)


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


async def _assemble(run: Run, store: RunStore, home: Path, objects: dict[str, Any]) -> Session:
    settings = RunSettings.model_validate(run.settings)
    task = objects.get("task") or await asyncio.to_thread(load_task, settings.task, **settings.task_options)
    target: Target = await asyncio.to_thread(
        make_target, objects.get("target") or settings.target, task, settings.base_url, settings.concurrency
    )
    agent = await asyncio.to_thread(agent_named, settings.agent, settings.base_url) if settings.agent else None
    calls = paid_calls(run, store, settings)
    check_prices(calls.ledger.budget, {target.name: target.price} | ({agent.name: agent.price} if agent else {}))
    evaluator = Evaluator(task, target, calls, cache_scope=settings.cache_scope)
    session = Session(
        run=run,
        settings=settings,
        task=task,
        evaluator=evaluator,
        calls=calls,
        events=await asyncio.to_thread(event_log, run.id, home),
        panels=Panels.draw(task, settings.seed),
        desk=AgentDesk(agent, calls) if agent else None,
        listener=objects.get("listener"),
        sandbox=await asyncio.to_thread(sandbox_of, settings),
    )
    session.hold_certification(task.seed_prompt)
    await session.begin(evaluator.limit.reached)
    session.paid_before = {(r.iteration, r.index): r.usd for r in await store.code_runs(run.id) if r.usd}
    session.ledger.restore_code(session.paid_before.values(), restarts=session.restarts, in_flight=CODE_IN_FLIGHT)
    await evaluator.restore()
    for stored in (await store.prompts(run.id)).values():
        session._prompts[stored.id] = Prompt(**stored.content, parents=stored.parents, origin=stored.origin)
        session._since[stored.id] = stored.iteration
    for hypothesis in await store.hypotheses(run.id):
        session._hypotheses[hypothesis.iteration, hypothesis.index] = hypothesis
    for decision in await store.decisions(run.id):
        session._decisions[decision.iteration, decision.index] = decision
    session._turns |= {turn.index: turn for turn in await store.turns(run.id)}
    if session.sandbox is not None and session.sandbox.most_billed:
        session.sandbox = PaidSandbox(
            session.sandbox,
            session.ledger,
            sandbox_price(session.sandbox.name),
            lambda usd: session.tell("call", role="sandbox", usd=usd, tokens=0),
        )
    return session
