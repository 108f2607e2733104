"""One run of a peer: its environment, its gateway, its process, and the row that is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import BudgetTooSmall, ModelSetupError, UsageError
from ...evaluation.budget import Budget, check_prices
from ...evaluation.outage import PATIENCE_MINUTES
from ...models.agent import AgentModel, agent_model
from ...tasks.load import load_task
from ...tasks.prompt import Prompt
from ...tasks.targets import make_target
from ...tasks.task import Task
from ..before import most_usd
from ..measuring import Listener, Measuring, measuring
from ..named_runs import known_measurement
from ..output import notice
from .agent import PeerAgent
from .environment import peer_python
from .gateway import SPLITS, Gateway
from .known import Peer, known_peer
from .process import RUNNERS, Patience, PeerAnswer, run_process
from .prompt import as_prompt, lost, seed_text
from .result import PeerResult

THREADS = 8
"""Requests of a peer to the target at once, where its library makes them one by one."""


async def arun_peer(
    peer: str,
    task: str | Path | Task,
    *,
    target: str = "local",
    agent: str | None = None,
    base_url: str | None = None,
    budget: str | Mapping[str, float] | Budget | None = None,
    seed: int = 0,
    cache_scope: str = "",
    concurrency: int | None = None,
    patience: float = PATIENCE_MINUTES,
    task_options: Mapping[str, Any] | None = None,
    run: str | None = None,
    listener: Listener | None = None,
    waits: Patience | None = None,
) -> PeerResult:
    """The best prompt that another package's optimiser finds for `task`, on the same terms as a strategy.

    `agent`: the model that writes its prompts; None: the target model. `budget` must name target_calls, by which peers
    plan. `cache_scope` separates caches (the arms of a comparison). `run`: a name; finished under that name, the stored
    result is given, and one that was interrupted begins again from its seed, with all answers it had (they count once).
    `waits`: how long a silent peer is waited for. The rest as of `aevaluate`.

    Raises UsageError for what the caller can mend, BudgetTooSmall before the first call, PeerError where the peer
    cannot be installed or breaks off.
    """
    known = known_peer(peer)
    loaded = await asyncio.to_thread(load_task, task, **(task_options or {}))
    limits = _checked_budget(Budget.parse(budget), loaded)
    model = _agent(agent, target, base_url)
    settings = {
        "task": str(task) if isinstance(task, (str, Path)) else task.name,
        "task_key": loaded.key,
        "task_options": dict(task_options or {}),
        "requirements": list(known.requirements),
        "target": target,
        "agent": agent,
        "base_url": base_url,
        "seed": seed,
        "cache_scope": cache_scope,
        "budget": str(limits),
    }
    check_prices(limits, {model.name: model.price})
    begun = await known_measurement(run, known.strategy, settings) if run else None
    if begun is not None and begun.status == "finished" and begun.result:
        return PeerResult.model_validate(begun.result)
    try:
        python = await peer_python(known, notice)
        async with measuring(
            loaded,
            target,
            limits,
            strategy=known.strategy,
            settings=settings,
            base_url=base_url,
            concurrency=concurrency,
            patience=patience,
            listener=listener,
            name=run,
            begun=begun,
            seed=seed,
            cache_scope=cache_scope,
        ) as opened:
            if listener is not None:
                listener("measuring", {"run_id": opened.run_id, "examples": limits.target_calls or 0})
            gateway = Gateway(loaded, opened.evaluator, PeerAgent(model, opened.evaluator.calls), f"peer {peer}")
            if listener is not None:
                gateway.tell = lambda line: listener("said", {"line": line})
            async with gateway.serving():
                specification = _specification(known, loaded, gateway, limits, seed)
                answer = await run_process(peer, python, RUNNERS / known.runner, specification, gateway, waits)
            result = await _summed_up(opened, known, loaded, gateway, answer, agent is None, seed, run)
            await opened.finish(result)
        return result
    finally:
        await model.aclose()


async def check_peer(
    task: Task, limits: Budget, *, target: str, agent: str | None, base_url: str | None
) -> float | None:
    """The most that a run of a peer may cost (see `most_usd`). Raises what `arun_peer` would before its first call."""
    _checked_budget(limits, task)
    model = _agent(agent, target, base_url)
    await model.aclose()
    asked = make_target(target, task, base_url)
    prices = {model.name: model.price, asked.name: asked.price}
    check_prices(limits, prices)
    return most_usd(task, asked, limits, prices, asks_agent=True)


def _checked_budget(limits: Budget, task: Task) -> Budget:
    if limits.target_calls is None:
        raise UsageError("--budget: a peer plans by its number of target calls: name it, as in target_calls=1200")
    least = len(task.holdout) + 1
    if not task.search or not task.holdout:
        raise UsageError(f"peer: task {task.name} has no examples in search or holdout, and peers want both")
    if limits.target_calls < least:
        raise BudgetTooSmall(
            f"budget: target_calls={limits.target_calls} is too small: measuring the seed on holdout and one more "
            f"answer take {least}"
        )
    return limits


def _agent(agent: str | None, target: str, base_url: str | None) -> AgentModel:
    """The model that writes the peer's prompts; where none is named, the target as a plain chat model."""
    if agent is not None:
        return agent_model(agent, base_url)
    try:
        return agent_model(target, base_url)
    except ModelSetupError as error:
        if target.startswith(("http://", "https://", "python:")):
            raise UsageError(
                f"--agent: a peer's prompts are written by a model, and '{target}' is none: name one"
            ) from error
        raise


def _specification(peer: Peer, task: Task, gateway: Gateway, limits: Budget, seed: int) -> dict[str, Any]:
    """What the runner is told; of the examples those of search and holdout only."""
    train, valid = (
        [{"input": example.input, "expected": example.label} for example in gateway.rows(split)] for split in SPLITS
    )
    text = seed_text(task)
    return {
        "algorithm": peer.algorithm,
        "url": gateway.url,
        "token": gateway.token,
        "seed_prompt": text,
        "description": task.description or text.splitlines()[0],
        "train": train,
        "valid": valid,
        "labels": list(task.labels),
        "target_calls": limits.target_calls,
        "agent_calls": limits.agent_calls,
        "seed": seed,
        "threads": THREADS,
    }


async def _summed_up(
    run: Measuring,
    peer: Peer,
    task: Task,
    gateway: Gateway,
    answer: PeerAnswer,
    agent_is_target: bool,
    seed: int,
    alias: str | None,
) -> PeerResult:
    best, notes = as_prompt(task, answer.prompt, gateway.origin), []
    stop = f"the budget is spent: {gateway.spent}" if gateway.spent else answer.stop
    wrong = "it is empty" if not answer.prompt.strip() else ", ".join(lost(task, best))
    if wrong:
        stop = f"{stop}; its best prompt cannot be used ({wrong}), so that the seed is kept"
        best = task.seed_prompt
    twice = sum(len(task.examples(split)) - len(gateway.rows(split)) for split in SPLITS)
    if twice:
        notes.append(f"{twice} examples repeat the input of another one and were not sent to the peer.")
    if agent_is_target:
        notes.append("No agent model was named: the target model wrote the prompts.")
    if missing := run.ledger.spend["target"].missing:
        notes.append(f"{missing} answers are missing; to the peer, which knows only scores, they were wrong ones.")
    (best_score, best_n), (seed_score, seed_n) = _mean(run, best), _mean(run, task.seed_prompt)
    return PeerResult(
        run_id=run.run_id,
        alias=alias,
        task=task.name,
        strategy=peer.strategy,
        peer=peer.name,
        algorithm=peer.algorithm,
        versions=answer.versions,
        target=run.evaluator.target.name,
        agent=gateway.agent.model.name,
        agent_is_target=agent_is_target,
        seed=seed,
        best=best.content(),
        seed_prompt=task.seed_prompt.content(),
        best_score=best_score,
        best_n=best_n,
        seed_score=seed_score,
        seed_n=seed_n,
        candidates=len({prompt.id for prompt in gateway.candidates.values()}),
        decoding=await _decoding(run, best),
        stop=stop,
        spend=run.ledger.report(),
        notes=notes,
    )


def _mean(run: Measuring, prompt: Prompt) -> tuple[float | None, int]:
    scores = [r.score for r in run.evaluator.records(prompt.id) if r.score is not None]
    return (sum(scores) / len(scores) if scores else None), len(scores)


async def _decoding(run: Measuring, prompt: Prompt) -> str:
    answers = await run.store.answers([r.key for r in run.evaluator.records(prompt.id)])
    return ", ".join(dict.fromkeys(a.decoding for a in answers.values() if a.decoding != "text"))
