"""`decide`: an agent that decides in sequence, its meta-prompt chosen by one method or several."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from ...errors import EnvironmentFailure, ProviderDown, RunInterrupted, StoreError
from ...graphs.decide_methods import METHODS
from ...tasks.environments.loading import ENVIRONMENTS
from ..interrupts import interruptible
from ..options import (
    AskAboveOption,
    BaseUrlOption,
    DecideBudgetOption,
    DecideOptionOption,
    JsonOption,
    PatienceOption,
    TimeoutOption,
    YesOption,
    option_values,
)
from ..output import counted, one_line, print_json, put

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langgraph.runtime import RunControl

    from ...traces.decision_result import DecisionRun
    from ...traces.rows import Run
    from ..measuring import Listener
    from ..progress import Watching
    from .call import DecideCall
    from .result import DecideResult

T = TypeVar("T")
_METHODS = ". ".join(f"{name}: {known.summary}" for name, known in METHODS.items())


def decide(
    environment: Annotated[
        str,
        typer.Argument(
            metavar="ENVIRONMENT",
            help=f"Where the agent decides: {', '.join(ENVIRONMENTS)}; your own as module:factory or http(s) address.",
            show_default=False,
        ),
    ],
    method: Annotated[
        str, typer.Option("--method", metavar="A,B,…", help=f"How its meta-prompt is chosen. {_METHODS}.")
    ] = "expo",
    rounds: Annotated[
        int | None,
        typer.Option("--rounds", metavar="N", min=1, help="Rounds of each run. Default: the environment's own."),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Runs of each method, with the seeds 0 to N-1.")
    ] = 1,
    agent: Annotated[
        str, typer.Option("--agent", metavar="MODEL", help="The model that decides, and rephrases its meta-prompt.")
    ] = "local",
    base_url: BaseUrlOption = None,
    embeddings: Annotated[
        str | None,
        typer.Option(
            "--embeddings",
            metavar="MODEL",
            help="The model that embeds meta-prompts. Default: OpenAI's where the agent is OpenAI's, else local.",
        ),
    ] = None,
    budget: DecideBudgetOption = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="default, or faithful: the paper's size of the networks.")
    ] = "default",
    option: DecideOptionOption = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="A name. The same command again goes on with what is left of it, or shows its result; what defines it "
            "may not differ then.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Write the curves as a page (.html) for a browser.")
    ] = None,
    yes: YesOption = False,
    ask_above: AskAboveOption = 1.0,
    timeout: TimeoutOption = 60.0,
    environment_seconds: Annotated[
        float,
        typer.Option(
            "--environment-seconds", metavar="SECONDS", min=0.1, help="How long one call of the environment may take."
        ),
    ] = 60.0,
    patience: PatienceOption = 10.0,
    json: JsonOption = False,
) -> None:
    """Let an agent decide round after round, its meta-prompt chosen by a bandit.

    Each round the agent is told a task, what was tried and what it brought, and what to do now; it acts, and the
    environment says what that was worth. The methods differ in how task, instruction and the past that is shown are
    chosen. Several methods are compared, paired by seed.

    \b
    Examples:
      sage-spo decide bandits:buttons-hard --method expo --rounds 100 --seeds 6
      sage-spo decide bandits:buttons-hard --method expo,fixed,ucb1 --seeds 6 \\
        --agent openai:gpt-4.1-mini --budget usd=1 --plot regret.html
      sage-spo decide drifting:switch --method ucb1,discounted-ucb,thompson --seeds 20
      sage-spo decide my_module:make_environment --method expo --agent openai:gpt-4.1-mini

    The same command with --run NAME goes on where it was, after Ctrl-C or kill -9 too, and pays nothing twice; so does
    `sage-spo resume NAME`. Exit codes: 0 done, 1 a run failed, 2 wrong usage, 75 runs are left to do.
    """
    from ..named_runs import new_name
    from .call import decide_call
    from .plot import checked_plot

    if plot is not None:
        checked_plot(plot)
    call = decide_call(
        environment,
        method,
        name=run or new_name("decide"),
        seeds=seeds,
        budget=budget,
        rounds=rounds,
        agent=agent,
        base_url=base_url,
        embeddings=embeddings,
        preset=preset,
        options=option_values(option or [], example="arms=50"),
        timeout=timeout,
        environment_seconds=environment_seconds,
        patience=patience,
    )
    begun = asyncio.run(call.check())
    if begun is None and any(arm.settings.how().agent for arm in call.arms):
        from ..before import agree_on_cost

        agree_on_cost(
            call.most_usd(), ask_above=ask_above, yes=yes, target=agent, base_url=base_url, lines=[_plan(call)]
        )
    _finish(_watched(call), json, plot)


def resume_decide(run: Run, json: bool) -> None:
    """Go on with one run of an agent that decides, or with a call of several, as `sage-spo resume` does."""
    if run.strategy == "decide":
        from .call import decide_call

        settings = dict(run.settings["free"])
        methods, seeds, budget = run.settings["methods"], run.settings["seeds"], settings.pop("budget")
        environment = settings.pop("environment")
        if settings.pop("in_process"):
            raise StoreError(
                f"{run.alias} was started from Python with its own environment; go on there, with run='{run.alias}'"
            )
        for name in ("method", "seed"):
            settings.pop(name)
        call = decide_call(environment, methods, name=run.alias or "", seeds=seeds, budget=budget, **settings)
        _finish(_watched(call), json, None)
        return
    from .deciding import resume_decision
    from .screen import decision_screen

    async def go(watching: Watching, control: RunControl) -> DecisionRun:
        return await resume_decision(run, listener=_teller(watching), control=control)

    result = _stoppable(go, run.alias or run.id[:8])
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        put("", decision_screen(result, run.alias or run.id[:8]))


def _watched(call: DecideCall) -> DecideResult:
    from .deciding import run_decide

    async def go(watching: Watching, control: RunControl) -> DecideResult:
        watching.say(f"{_plan(call)} Go on with it, or see it again: {call.command}")
        return await run_decide(call, say=watching.say, listener=_teller(watching), control=control)

    return _stoppable(go, call.name)


def _stoppable(go: Callable[[Watching, RunControl], Awaitable[T]], name: str) -> T:
    """What `go` returns, with lines on standard error; signals stop it so that it can be gone on with."""
    from langgraph.runtime import RunControl

    from ..progress import Watching

    again = f"sage-spo resume {name}"

    async def watched(watching: Watching) -> T:
        control = RunControl()
        with interruptible(control, watching.say):
            return await go(watching, control)

    with Watching() as watching:
        try:
            return asyncio.run(watched(watching))
        except ProviderDown as down:
            raise RunInterrupted(f"{down}. When it is back: {again}") from None
        except EnvironmentFailure as error:
            raise EnvironmentFailure(f"{error}. When it is mended: {again}") from None
        except (RunInterrupted, asyncio.CancelledError):
            raise RunInterrupted(f"stopped; go on with: {again}") from None


def _teller(watching: Watching) -> Listener:
    """A listener that says what a person should know of a run while it is under way."""
    told = {"fewer_arms": "message", "embedding_failed": "message", "call_failed": "message", "value_missing": "reason"}
    said: dict[str, int] = {}

    def tell(event: str, fields: dict[str, Any]) -> None:
        if event in told:
            said[event] = said.get(event, 0) + 1
            if said[event] <= 3:
                watching.say(f"mind: {event.replace('_', ' ')}: {one_line(str(fields[told[event]]), 300)}")
        elif event == "round" and (fields["round"] % 25 == 0 or fields["round"] == fields["of"]):
            watching.say(f"round {fields['round']} of {fields['of']}")
        elif event == "outage":
            watching.say(f"{fields['name']} does not answer ({one_line(fields['reason'], 200)}); waiting: --patience")
        elif event == "created":
            settings = fields["settings"]
            watching.say(f"run {fields['alias']}: {settings.environment} · {settings.method} · seed {settings.seed}")

    return tell


def _plan(call: DecideCall) -> str:
    runs = f"{', '.join(call.methods)}, {counted(call.seeds, 'seed')} each"
    return f"{call.settings.environment}: {runs}."


def _finish(result: DecideResult, json: bool, plot: Path | None) -> None:
    if plot is not None:
        from .plot import write_plot

        write_plot(result, plot)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        from .screen import decide_screen

        put("", decide_screen(result))
    if result.exit_code:
        raise typer.Exit(result.exit_code)
