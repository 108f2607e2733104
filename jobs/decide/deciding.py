"""Running agents that decide in sequence: `decide` and `adecide`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from langgraph.runtime import RunControl

from ...errors import EnvironmentFailure, ModelError, ModelRefused, ProviderDown, RunInterrupted, StoreError
from ...evaluation.budget import Budget
from ...graphs.decide import build_decide
from ...graphs.decide_settings import DEFAULT_METHOD, DecideSettings
from ...graphs.decide_start import new_run
from ...graphs.held_run import hand_in
from ...settings import settings as installation
from ...traces.decision_result import DecisionRun
from ...traces.redact import redact
from ...traces.rows import Run
from ...traces.store import RunStore
from ..driving import drive_graph
from ..measuring import Listener
from ..named_runs import created_measurement, measuring_alone, new_name
from ..output import one_line
from .call import Arm, DecideCall, decide_call
from .result import DecideResult, SeedRun
from .table import decide_result

Say = Callable[[str], None]


def decide(environment: Any, methods: Iterable[str] | str = DEFAULT_METHOD, **more: Any) -> DecideResult:
    """Let an agent decide in sequence, its meta-prompt chosen by one method or by several, which are compared.

    `environment`: a built-in one's name (`bandits:buttons-hard`), `module:factory`, an http(s) address, or an object
    with the methods of `sage_spo.tasks.environments.protocol.Environment`. For `more` see `adecide`.
    """
    return asyncio.run(adecide(environment, methods, **more))


async def adecide(
    environment: Any,
    methods: Iterable[str] | str = DEFAULT_METHOD,
    *,
    rounds: int | None = None,
    seeds: int = 1,
    agent: str = "local",
    base_url: str | None = None,
    embeddings: str | None = None,
    budget: str | Mapping[str, float] | Budget | None = None,
    preset: str = "default",
    options: Mapping[str, Any] | None = None,
    run: str | None = None,
    say: Say | None = None,
    listener: Listener | None = None,
    control: RunControl | None = None,
    **settings: Any,
) -> DecideResult:
    """`decide` for asynchronous code; cancelling it leaves runs that go on when it is called again with the same `run`.

    `rounds`: None: as many as the environment says. `seeds`: runs of each method, with the seeds 0 to `seeds` - 1.
    `agent`: the model that decides and rephrases; `embeddings`: the one that embeds. `budget`: of each run. `preset`:
    `default` or `faithful`; `options`: changes to it (see `DecideOptions`). `run` names the call. `settings`:
    `timeout`, `patience`, `environment_seconds` (see `DecideSettings`). A run that fails is a run with its reason
    (`exit_code` 1). Raises UsageError for what the caller can mend, RunInterrupted where it was stopped.
    """
    call = await asyncio.to_thread(
        decide_call,
        environment,
        methods,
        name=run or new_name("decide"),
        seeds=seeds,
        budget=budget,
        rounds=rounds,
        agent=agent,
        base_url=base_url,
        embeddings=embeddings,
        preset=preset,
        options=dict(options or {}),
        **settings,
    )
    return await run_decide(call, say=say, listener=listener, control=control)


async def run_decide(
    call: DecideCall,
    *,
    say: Say | None = None,
    listener: Listener | None = None,
    control: RunControl | None = None,
) -> DecideResult:
    """Do what is left to do of a call. Raises Busy where another process works on it, RunInterrupted where it was
    stopped."""
    say = say or (lambda line: None)
    begun = await call.check()
    async with measuring_alone(call.name, "decide", say):
        begun = await _kept(call, begun) if begun else await _created(call)
        same = {
            "run_id": begun.id,
            "alias": call.name,
            "environment": call.settings.environment,
            "agent": call.settings.agent if any(a.settings.how().agent for a in call.arms) else None,
            "seeds": call.seeds,
            "rounds": call.settings.rounds or 0,
            "command": call.command,
        }
        runs: dict[str, SeedRun] = {}
        try:
            for arm in call.arms:
                runs[arm.name] = await _run(call, arm, say, listener, control)
        except (RunInterrupted, asyncio.CancelledError):
            await _stored(begun.id, _result(call, same, runs), "interrupted")
            raise
        result = _result(call, same, runs)
        await _stored(begun.id, result, "finished" if result.exit_code == 0 else "failed")
        return result


async def resume_decision(
    run: Run, *, listener: Listener | None = None, control: RunControl | None = None
) -> DecisionRun:
    """Go on with one run (of any call, or of LangGraph Studio); a finished one gives its result."""
    if run.status == "finished" and run.result:
        return DecisionRun.model_validate(run.result)
    settings = DecideSettings.model_validate(run.settings)
    if settings.in_process:
        raise StoreError(
            f"run {run.alias or run.id} was started from Python with its own environment; go on from there"
        )
    hand_in(run.id, listener=listener)
    return await _driven(run.id, settings, control)


async def _run(call: DecideCall, arm: Arm, say: Say, listener: Listener | None, control: RunControl | None) -> SeedRun:
    """How one run stands after it has been run, or gone on with."""
    seed, words = arm.settings.seed, f"{arm.settings.method}, seed {arm.settings.seed}"
    async with await RunStore.open(installation().home) as store:
        run = next((run for run in await store.runs() if run.alias == arm.name), None)
        if run is None:
            run = new_run(str(uuid.uuid4()), arm.name, arm.settings)
            await store.create_run(run)
        elif run.status != "finished":
            await store.update_run(run.id, settings=arm.settings.model_dump(mode="json"))
    if run.status == "finished" and run.result:
        result = DecisionRun.model_validate(run.result)
        if result.stop and arm.settings.budget != run.settings.get("budget"):
            say(f"{words}: it ended when its budget was spent, and does not go on; give --run another name")
        return SeedRun(seed=seed, run=arm.name, state="done", result=result)
    if control is not None and control.drain_requested:
        raise RunInterrupted("stopped")
    hand_in(run.id, environment=call.own, listener=listener)
    if listener:
        listener("created", {"run_id": run.id, "alias": arm.name, "settings": arm.settings})
    try:
        result = await _driven(run.id, arm.settings, control)
    except ProviderDown:
        raise
    except (ModelRefused, ModelError, EnvironmentFailure) as error:
        line = one_line(redact(str(error)), 300)
        say(f"{words}: failed: {line}")
        return SeedRun(seed=seed, run=arm.name, state="failed", error=line)
    figure = "no figure" if result.figure is None else f"{result.measure} {result.figure:.4g}"
    say(f"{words}: {figure} after {result.rounds} rounds" + (f" ({result.stop})" if result.stop else ""))
    return SeedRun(seed=seed, run=arm.name, state="done", result=result)


async def _driven(run_id: str, settings: DecideSettings, control: RunControl | None) -> DecisionRun:
    start = {"environment": settings.environment, "method": settings.method}
    await drive_graph(run_id, build_decide, start, control)
    async with await RunStore.open(installation().home) as store:
        return DecisionRun.model_validate((await store.run(run_id)).result)


def _result(call: DecideCall, same: dict[str, Any], runs: Mapping[str, SeedRun]) -> DecideResult:
    rows = []
    for name in call.methods:
        arms = [arm for arm in call.arms if arm.settings.method == name]
        rows.append((name, [runs.get(a.name) or SeedRun(seed=a.settings.seed, run=a.name) for a in arms]))
    return decide_result(same, rows)


async def _created(call: DecideCall) -> Run:
    return await created_measurement(call.name, call.settings.environment, "decide", _settings(call))


async def _kept(call: DecideCall, begun: Run) -> Run:
    """The row of a call that goes on, with what may change of it: a grown budget, the times that it waits."""
    async with await RunStore.open(installation().home) as store:
        await store.update_run(begun.id, settings=_settings(call))
    return begun


def _settings(call: DecideCall) -> dict[str, Any]:
    return {**call.stored, "free": call.settings.model_dump(mode="json"), "command": call.command}


async def _stored(run_id: str, result: DecideResult, status: Any) -> None:
    async with await RunStore.open(installation().home) as store:
        await store.update_run(run_id, status=status, result=result.model_dump(mode="json"))
