"""`optimize` and `resume`: starting a run, watching it, stopping it, showing how it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import RunInterrupted, SageError, UsageError
from ..settings import settings as installation
from .exits import RunCrashed
from .interrupts import interruptible
from .options import (
    AgentOption,
    AskAboveOption,
    BaseUrlOption,
    BudgetOption,
    CertifyOption,
    ConcurrencyOption,
    DataOption,
    ExpectedOption,
    InputOption,
    JsonOption,
    LabelsOption,
    MetricOption,
    OptionOption,
    RunArgument,
    SandboxOption,
    SeedOption,
    SeedPromptOption,
    ShuffleOption,
    StrategyOption,
    TargetOption,
    TaskArgument,
    TimeoutOption,
    YesOption,
    option_values,
    task_options,
)
from .output import print_json, put
from .result_screen import result_screen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langgraph.runtime import RunControl

    from ..traces.result import Result
    from .progress import Progress, Spent

EXIT_CODES = {"budget too small": 3, "inconclusive": 1}
"""Verdicts that are no success; the others are 0: improved, or honestly not."""


def optimize(
    task: TaskArgument,
    strategy: StrategyOption = "sage",
    target: TargetOption = "local",
    agent: AgentOption = None,
    base_url: BaseUrlOption = None,
    budget: BudgetOption = None,
    seed: SeedOption = 0,
    run: Annotated[str | None, typer.Option("--run", metavar="NAME", help="A name for the run.")] = None,
    certify: CertifyOption = True,
    candidates: Annotated[
        int | None, typer.Option("--candidates", metavar="Q", help="Proposed per iteration. Default: 8.")
    ] = None,
    pool: Annotated[
        int | None, typer.Option("--pool", metavar="P", help="Best prompts that candidates are made from. Default: 2.")
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option("--iterations", metavar="N", help="At most so many. Default: until the budget is spent."),
    ] = None,
    option: OptionOption = None,
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
      sage-spo optimize data.csv --input text --expected queue --run first
      sage-spo optimize headlines --target openai:my-model \\
        --base-url http://localhost:8000/v1

    Ctrl-C ends the run after the step in hand; `sage-spo resume RUN` goes on. Exit codes: 0 improved or honestly
    unchanged, 1 failure, 2 wrong usage, 3 budget too small, 75 interrupted.
    """
    from ..graphs.registry import strategy as known_strategy
    from ..graphs.run_settings import RunSettings
    from ..tasks.load import load_task, task_source
    from .api import aoptimize
    from .before import agree_on_cost, survey
    from .progress import Progress
    from .progress_words import plan_lines
    from .sandbox_choice import check_choice, sandbox_host, unsafe_line

    known_strategy(strategy)
    check_choice(sandbox)
    named = {"candidates": candidates, "pool": pool, "iterations": iterations}
    options = {name: value for name, value in named.items() if value is not None}
    more = option_values(option or ())
    twice = next((name for name in more if name in options), None)
    if twice:
        raise UsageError(f"--option: '{twice}' is given twice: as --{twice} too")
    keywords = task_options(
        input=input,
        expected=expected,
        metric=metric,
        labels=labels,
        seed_prompt=seed_prompt,
        data=data,
        shuffle_labels=shuffle_labels,
    )
    chosen: dict[str, Any] = {
        "strategy": strategy,
        "target": target,
        "agent": agent or None,
        "base_url": base_url,
        "budget": budget or "",
        "seed": seed,
        "certify": certify,
        "timeout": timeout,
        "concurrency": concurrency,
        "sandbox": sandbox,
        "options": options | more,
    }
    source = task_source(task)
    settings = RunSettings(task=source, **chosen)
    limits = settings.limits()
    before = asyncio.run(survey(load_task(source, **keywords), settings, alias=run))
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
        return aoptimize(source, run=run, task_options=keywords, listener=progress, control=control, **chosen)

    _finish(_watched(start, Progress()), json)


def resume(run: RunArgument, concurrency: ConcurrencyOption = None, json: JsonOption = False) -> None:
    """Go on with an interrupted run; a finished one shows its result.

    Nothing that was answered is asked or paid again, and the result is that of a run that nobody interrupted.

    \b
    Example:
      sage-spo resume 3f2a1b7c
    """
    from .api import aresume
    from .progress import Progress

    def start(progress: Progress, control: RunControl) -> Awaitable[Result]:
        return aresume(run, concurrency=concurrency, listener=progress, control=control)

    _finish(_watched(start, Progress(asyncio.run(_spent(run)))), json)


def _watched(start: Callable[[Progress, RunControl], Awaitable[Result]], progress: Progress) -> Result:
    """The result of a run, after showing its progress; signals stop it in a way that it can be resumed."""
    from langgraph.runtime import RunControl

    async def go() -> Result:
        control = RunControl()
        with interruptible(control, progress.say):
            return await start(progress, control)

    with progress:
        try:
            return asyncio.run(go())
        except (RunInterrupted, asyncio.CancelledError):
            if not progress.run_id:
                raise KeyboardInterrupt from None
            raise RunInterrupted(f"stopped; resume with: sage-spo resume {progress.name}") from None
        except SageError:
            raise
        except Exception as error:
            if progress.run_id:
                raise RunCrashed(progress.run_id) from error
            raise


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
    from ..traces.store import RunStore
    from .story import found_line

    async with await RunStore.open(installation().home) as store:
        hypotheses = await store.hypotheses(result.run_id)
        prompts = await store.prompts(result.run_id) if hypotheses else {}
    return found_line(result, hypotheses, prompts)


async def _spent(run: str) -> Spent:
    """What a run has spent before it is taken up again."""
    from ..traces.store import RunStore
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
