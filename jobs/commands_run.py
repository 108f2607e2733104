"""`optimize` and `resume`: starting a run, watching it, stopping it, showing how it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..errors import RunInterrupted, SageError
from ..settings import settings as installation
from ..traces.redact import redact
from ..traces.rows import Run, is_decision
from ..traces.store import RunStore
from .ended_early import RESUMABLE, Unfinished, how_to_go_on, resume_command
from .exits import RunCrashed
from .interrupts import interruptible
from .options import (
    AgentOption,
    AskAboveOption,
    BaseUrlOption,
    CacheScopeOption,
    CertifyOption,
    ConcurrencyOption,
    DataOption,
    DryRunOption,
    ExpectedOption,
    InputOption,
    JsonOption,
    LabelsOption,
    MetricOption,
    NewPatienceOption,
    OptionOption,
    PatienceOption,
    PresetOption,
    RuleOption,
    RunArgument,
    RunNameOption,
    SandboxOption,
    SearchBudgetOption,
    SeedOption,
    SeedPromptOption,
    ShuffleOption,
    StrategyOption,
    TargetOption,
    TaskArgument,
    TimeoutOption,
    YesOption,
)
from .output import print_json, put
from .result_screen import result_screen
from .so_far import BestSoFar, best_so_far, so_far_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langgraph.runtime import RunControl

    from ..traces.result import Result
    from .progress import Progress, Spent

EXIT_CODES = {"budget too small": 3, "inconclusive": 1}
"""Verdicts that are no success; the others are 0: improved, or honestly not."""

_OWN = "the strategy's and preset's own (`sage-spo strategies NAME`)"


def optimize(
    context: typer.Context,
    task: TaskArgument,
    strategy: StrategyOption = "sage",
    target: TargetOption = "local",
    agent: AgentOption = None,
    base_url: BaseUrlOption = None,
    budget: SearchBudgetOption = None,
    seed: SeedOption = 0,
    run: RunNameOption = None,
    certify: CertifyOption = True,
    candidates: Annotated[
        int | None, typer.Option("--candidates", metavar="Q", help=f"Proposed per iteration. Default: {_OWN}.")
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option("--pool", metavar="P", help=f"Best prompts that candidates are made from. Default: {_OWN}."),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option("--iterations", metavar="N", help=f"At most so many. Default: {_OWN}; none: the budget ends it."),
    ] = None,
    preset: PresetOption = "default",
    option: OptionOption = None,
    rule: RuleOption = None,
    sandbox: SandboxOption = "auto",
    input: InputOption = None,
    expected: ExpectedOption = None,
    metric: MetricOption = None,
    labels: LabelsOption = None,
    seed_prompt: SeedPromptOption = None,
    data: DataOption = None,
    shuffle_labels: ShuffleOption = None,
    yes: YesOption = False,
    ask_above: AskAboveOption = 1.0,
    timeout: TimeoutOption = 60.0,
    concurrency: ConcurrencyOption = None,
    patience: PatienceOption = 10.0,
    dry_run: DryRunOption = False,
    cache_scope: CacheScopeOption = "",
    json: JsonOption = False,
) -> None:
    """Find a better prompt for TASK, proven, or say there is none.

    Without any option the embedded model is optimised by the built-in playbook: no key, no network, about five
    minutes.

    \b
    Examples:
      sage-spo optimize headlines
      sage-spo optimize task.yaml --target openai:gpt-4.1-mini --budget usd=2
      sage-spo optimize task.yaml --strategy sage --target openai:gpt-4.1-mini \\
        --agent openai:gpt-4.1 --budget usd=2
      sage-spo optimize task.yaml --target openai:gpt-4.1-mini --budget usd=2 --dry-run
      sage-spo optimize data.csv --input text --expected queue --run first
      sage-spo optimize headlines --target openai:my-model \\
        --base-url http://localhost:8000/v1

    Ctrl-C ends the run after the step in hand; `sage-spo resume RUN` goes on, and so does the same command where it
    named the run with --run. Exit codes: 0 improved or honestly unchanged, 1 failure, 2 wrong usage, 3 budget too
    small, 75 interrupted: by you, by a provider that was down for longer than --patience, by a full disk.
    """
    from .api import aoptimize
    from .before import agree_on_cost, survey
    from .named_runs import known_run
    from .optimize_call import optimize_call
    from .progress import Progress
    from .progress_words import plan_lines
    from .sandbox_choice import sandbox_host, unsafe_line

    call = optimize_call(context.params)
    settings = call.settings
    limits = settings.limits()
    known = asyncio.run(known_run(run, settings)) if run else None
    if dry_run:
        from .dry_run import dry_run as described
        from .dry_run import dry_run_screen

        dry = described(call.task, settings, asyncio.run(survey(call.task, settings)), run, known)
        if json:
            print_json(dry.model_dump(mode="json"))
        else:
            put(dry_run_screen(dry))
        return
    if known is None or known.costs_more:
        before = asyncio.run(survey(call.task, settings))
        plan = plan_lines(before.plan, target=target, agent=agent, base_url=base_url, calls=limits.target_calls)[:-1]
        agree_on_cost(
            before.most_usd,
            ask_above=ask_above,
            yes=yes,
            target=target,
            base_url=base_url,
            agent=agent,
            sandbox=sandbox_host(settings),
            lines=[line for line in (unsafe_line(settings), *plan) if line],
        )

    def start(progress: Progress, control: RunControl) -> Awaitable[Result]:
        return aoptimize(
            call.source, run=run, task_options=call.keywords, listener=progress, control=control, **call.chosen
        )

    _finish(_watched(start, Progress(asyncio.run(_spent(known.run.id)) if known else None), json), json)


def resume(
    run: RunArgument,
    concurrency: ConcurrencyOption = None,
    patience: NewPatienceOption = None,
    json: JsonOption = False,
) -> None:
    """Go on with an interrupted run; a finished one shows its result.

    Nothing that was answered is asked or paid again, and the result is that of a run that nobody interrupted.

    \b
    Example:
      sage-spo resume 3f2a1b7c
    """
    decision = asyncio.run(_decision(run))
    if decision is not None:
        from .decide.command import resume_decide

        resume_decide(decision, json)
        return
    from .api import aresume
    from .progress import Progress

    def start(progress: Progress, control: RunControl) -> Awaitable[Result]:
        return aresume(run, concurrency=concurrency, patience=patience, listener=progress, control=control)

    _finish(_watched(start, Progress(asyncio.run(_spent(run))), json), json)


async def _decision(name: str) -> Run | None:
    """The run of that name where it is of agents that decide in sequence; None where it is another one."""
    async with await RunStore.open(installation().home) as store:
        run = await store.run(name)
    return run if is_decision(run.strategy) else None


def _watched(start: Callable[[Progress, RunControl], Awaitable[Result]], progress: Progress, json: bool) -> Result:
    """The result of a run, after showing its progress; signals stop it in a way that it can be resumed.

    Where it does not come to its end, what it has found is told before the error is raised.
    """
    from langgraph.runtime import RunControl

    async def go() -> Result:
        control = RunControl()
        with interruptible(control, progress.say):
            return await start(progress, control)

    with progress:
        try:
            return asyncio.run(go())
        except asyncio.CancelledError:
            error: SageError = RunInterrupted("stopped")
            error.best_so_far = asyncio.run(_best(progress.run_id)) if progress.run_id else None
        except RESUMABLE as failure:
            error = failure
        except SageError:
            raise
        except Exception as failure:
            if progress.run_id:
                raise RunCrashed(progress.run_id) from failure
            raise
    if not progress.run_id:
        raise KeyboardInterrupt if isinstance(error, RunInterrupted) else error
    _tell(how_to_go_on(error, progress.name), progress, json)


def _tell(ended: SageError, progress: Progress, json: bool) -> NoReturn:
    """Say what a run that did not come to its end has found, and raise why."""
    best = ended.best_so_far
    if json:
        document = Unfinished(
            run_id=progress.run_id,
            exit_code=ended.exit_code,
            error=redact(str(ended)),
            best_so_far=best,
            resume=resume_command(progress.name),
        )
        print_json(document.model_dump(mode="json"))
    if best is not None:
        progress.say(f"best so far: {so_far_words(best)}. See it: sage-spo show {progress.name} --prompt")
    raise ended


async def _best(run_id: str) -> BestSoFar | None:
    """What a run has found so far."""

    async with await RunStore.open(installation().home) as store:
        return await best_so_far(store, run_id)


def _finish(result: Result, json: bool) -> None:
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        put("", result_screen(result, asyncio.run(_found(result))))
    code = EXIT_CODES.get(result.verdict, 0)
    if code:
        raise typer.Exit(code)


async def _found(result: Result) -> str:
    """The finding behind a run's prompt in one line; empty where there was no diagnosis, or none that led to it."""
    from .story import found_line

    async with await RunStore.open(installation().home) as store:
        hypotheses = await store.hypotheses(result.run_id)
        prompts = await store.prompts(result.run_id) if hypotheses else {}
    return found_line(result, hypotheses, prompts)


async def _spent(run: str) -> Spent:
    """What a run has spent before it is taken up again."""
    from .progress import Spent

    async with await RunStore.open(installation().home) as store:
        found = await store.run(run)
        spent = Spent(seconds=found.seconds)
        for part in await store.spending(found.id):
            tokens = part.input_tokens + part.output_tokens
            spent.count({"role": part.role, "usd": part.usd, "tokens": tokens}, calls=part.calls)
        for row in await store.code_runs(found.id):
            spent.count({"role": "sandbox", "usd": row.usd, "tokens": 0})
        return spent
