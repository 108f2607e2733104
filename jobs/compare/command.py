"""`compare`: strategies on one task with equal budgets, as often as it is called until all runs are done."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Annotated

import typer

from ..interrupts import stopped_by_signals
from ..options import (
    AskAboveOption,
    BaseUrlOption,
    CompareAgentOption,
    ConcurrencyOption,
    DataOption,
    DryRunOption,
    ExpectedOption,
    InputOption,
    JsonOption,
    LabelsOption,
    MetricOption,
    PatienceOption,
    RuleOption,
    SandboxOption,
    SearchBudgetOption,
    SeedPromptOption,
    ShuffleOption,
    TargetOption,
    TaskArgument,
    TimeoutOption,
    YesOption,
)
from ..output import counted, print_json, put
from ..peers.known import PEERS

if TYPE_CHECKING:
    from .call import CompareCall
    from .result import ComparisonResult

_PEERS = ". ".join(f"{name}: {peer.summary}" for name, peer in PEERS.items())


def compare(
    context: typer.Context,
    task: TaskArgument,
    strategies: Annotated[
        str,
        typer.Option(
            "--strategies",
            metavar="A,B,…",
            help="The rows: strategies (see optimize --help), each with a preset or options of its own if need be, as "
            "in random:faithful or 'picked[gate=false,rule.confidence=0.9]'.",
        ),
    ] = "",
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, help="Runs of each row, with the seeds 0 to N-1.")
    ] = 2,
    peers: Annotated[
        str,
        typer.Option("--peers", metavar="A,B,…", help=f"Other optimisers, on the same target and budget. {_PEERS}."),
    ] = "",
    target: TargetOption = "local",
    agent: CompareAgentOption = None,
    base_url: BaseUrlOption = None,
    budget: SearchBudgetOption = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="Of the strategies that name none: default or faithful.")
    ] = "default",
    rule: RuleOption = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="A name. The same command again goes on with the comparison of that name, or shows its result; what "
            "defines it may not differ then, its budget neither.",
        ),
    ] = None,
    parallel: Annotated[
        int, typer.Option("--parallel", metavar="N", min=1, max=64, help="Runs under way at once.")
    ] = 1,
    silence: Annotated[
        float,
        typer.Option("--silence", metavar="MINUTES", min=0.1, help="A run that says nothing for so long has hung."),
    ] = 60.0,
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
    json: JsonOption = False,
) -> None:
    """Compare strategies on TASK: what each finds on the same budget, and whether they differ.

    Every strategy is run with several seeds; each run has the whole --budget, answers of its own, and never sees the
    test split. One half of that then measures all best prompts (mean gains with 95 % intervals, differences with
    corrected p), the other half certifies the winner against the seed prompt. With usd= in the budget the total cost
    is what is equal: target, agent and paid code together.

    \b
    Examples:
      sage-spo compare headlines --strategies sage,random,demos --seeds 3
      sage-spo compare task.yaml --strategies random,random:faithful \\
        --target openai:gpt-4.1-mini --agent openai:gpt-4.1 --budget usd=1
      sage-spo compare task.yaml --strategies sage,genetic --dry-run
      sage-spo compare headlines --strategies sage --peers gepa --budget target_calls=600,agent_calls=60
      sage-spo compare task.yaml --strategies sage,opro --run night --parallel 2

    The comparison has a name (--run, or one that it prints): the same command goes on where it was, after Ctrl-C or
    kill -9 too, and pays nothing twice; when all is done it shows the result. Exit codes: 0 compared, 1 a row failed,
    2 wrong usage, 3 budget too small, 75 runs are left to do.
    """
    from ..named_runs import new_name
    from .call import MORE, compare_call

    given = context.params
    shared = {name: given[name] for name in MORE if not _is_default(context, name)}
    call = compare_call(
        task,
        strategies,
        name=run or new_name("compare"),
        seeds=seeds,
        peers=peers,
        budget=budget,
        preset=preset,
        target=target,
        agent=agent,
        base_url=base_url,
        **shared,
    )
    if dry_run:
        _describe(call, json)
        return

    before = asyncio.run(call.check())
    if before.begun is None:  # else it has been agreed on
        from ..before import agree_on_cost

        agree_on_cost(
            before.most_usd,
            ask_above=ask_above,
            yes=yes,
            target=target,
            base_url=base_url,
            agent=agent,
            lines=[_plan(call)],
        )

    result = asyncio.run(_watched(call, parallel, silence))
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        from .screen import comparison_screen

        put("", comparison_screen(result))
    if result.exit_code:
        raise typer.Exit(result.exit_code)


async def _watched(call: CompareCall, parallel: int, silence: float) -> ComparisonResult:
    """The comparison's result, with lines on standard error; signals stop it so that it can be called again."""
    from ..batch.running import Stopping
    from ..progress import Watching
    from .comparing import run_comparison

    stopping = Stopping()
    with Watching() as watching, stopped_by_signals(stopping, watching.say, "runs"):
        return await run_comparison(call, parallel=parallel, silence=silence, say=watching.say, stopping=stopping)


def _describe(call: CompareCall, json: bool) -> None:
    """What would be run, and at most at what cost."""
    from ...traces.result import SCHEMA_VERSION

    before = asyncio.run(call.check())
    compared, certified = call.halves
    most = before.most_usd if before.most_usd is not None and math.isfinite(before.most_usd) else None
    if json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "task": call.task.name,
            "rows": [row.label for row in call.rows],
            "runs": [arm.name for arm in call.arms],
            "budget": call.budget.limits(),
            "compared_on": len(compared),
            "certified_on": len(certified),
            "most_measuring_calls": (1 + len(call.arms)) * len(compared) + 2 * len(certified),
            "most_usd": most,
            "begun": before.begun is not None,
            "command": call.command,
        }
        print_json(document)
        return
    cost = "unknown, or not limited" if most is None else f"${most:.2f}"
    if before.begun is not None:
        cost = "what was agreed on when it began"
    put(_plan(call), f"At most: {cost}", f"Do it: {call.command}")


def _plan(call: CompareCall) -> str:
    compared, certified = call.halves
    return (
        f"{call.task.name}: {', '.join(row.label for row in call.rows)}, {counted(call.seeds, 'seed')} each; every run "
        f"may spend {call.budget}. Then up to {(1 + len(call.arms)) * len(compared) + 2 * len(certified):,} calls on "
        f"the test split: {len(compared)} examples compare, {len(certified)} certify."
    )


def _is_default(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is None or source.name.startswith("DEFAULT")
