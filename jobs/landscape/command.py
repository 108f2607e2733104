"""`sage-spo landscape`: how rugged the landscape of some runs' prompts is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..interrupts import measured
from ..options import (
    AskAboveOption,
    BudgetOption,
    ConcurrencyOption,
    DryRunOption,
    JsonOption,
    PatienceOption,
    YesOption,
)
from ..output import notice, print_json, put

if TYPE_CHECKING:
    from .call import Before, LandscapeCall


def landscape(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN…", help="Searches of one task: names, ids, or a comparison's name.", show_default=False
        ),
    ],
    budget: BudgetOption = None,
    prompts: Annotated[int, typer.Option("--prompts", metavar="N", help="Measure at most so many, 12 to 60.")] = 60,
    embeddings: Annotated[
        str | None,
        typer.Option(
            "--embeddings",
            metavar="MODEL",
            help="What says how far apart prompts are: local, or openai:MODEL. Default: OpenAI's for its own models, "
            "else the embedded model.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Write the charts as one HTML file.")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="NAME", help="A name. Default: one that depends on the runs and their prompts."),
    ] = None,
    yes: YesOption = False,
    ask_above: AskAboveOption = 1.0,
    concurrency: ConcurrencyOption = None,
    patience: PatienceOption = 10.0,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Say whether the landscape of the prompts of RUN… is rugged or smooth, or that no structure can be seen.

    Up to 60 prompts that the runs have met are measured on the same 48 examples of the search split. Near prompts that
    score alike make a smooth landscape; where the likeness ends after a small edit it is rugged. Noise of the panel and
    the trend from the seed to later prompts are taken off, and "no structure found" is said unless a test passes.

    \b
    Examples:
      sage-spo landscape 3f2a1b7c --dry-run
      sage-spo landscape night-1 night-2 --budget target_calls=1500 --plot landscape.html
      sage-spo landscape my-comparison --embeddings openai:text-embedding-3-small

    The same command again goes on where it was, and shows the result when all is done; what was answered is free. Exit
    codes: 0 said, 1 too many answers missing, 2 wrong usage, 3 the budget is too small, 75 interrupted.
    """
    from ..before import agree_on_cost
    from ..progress import Counting
    from .call import landscape_call
    from .measure import run_landscape

    call = asyncio.run(landscape_call(runs, budget=budget, prompts=prompts, embeddings=embeddings, run=run))
    before = asyncio.run(call.check())
    if dry_run:
        _describe(call, before, json)
        return
    if before.begun is None or before.begun.status != "finished":
        notice(_plan(call, before))
    agree_on_cost(
        before.most_usd,
        ask_above=ask_above,
        yes=yes,
        target=call.sources.target_name,
        base_url=call.sources.base_url,
    )
    with Counting() as counting:
        result = measured(run_landscape(call, concurrency=concurrency, patience=patience, listener=counting))
    if plot is not None:
        from .plot import write_plot

        write_plot(result, plot)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        from .screen import landscape_screen

        put("", landscape_screen(result), *([f"\nCharts: {plot}"] if plot else []))


def _describe(call: LandscapeCall, before: Before, json: bool) -> None:
    """What would be measured, and at most at what cost."""
    from ...traces.result import SCHEMA_VERSION

    if json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "task": call.sources.task.name,
            "target": call.sources.target_name,
            "runs": call.sources.names,
            "run": call.name,
            "prompts": len(call.prompts),
            "met": len(call.sources.prompts),
            "panel": len(call.panel),
            "embeddings": call.embeddings,
            "budget": call.budget.limits(),
            "calls": call.needed,
            "answered": before.answered,
            "most_usd": before.most_usd,
            "begun": before.begun is not None,
            "command": call.command,
        }
        print_json(document)
        return
    put(_plan(call, before), f"Do it: {call.command}", "Nothing was asked, nothing was stored.")


def _plan(call: LandscapeCall, before: Before) -> str:
    from ...models.names import check_model

    usd = before.most_usd
    cost = "at an unknown price" if usd is None else f"at most ${usd:.4f}" if usd else "free of charge"
    answered = f", {before.answered:,} of them answered already" if before.answered else ""
    host = check_model(call.embeddings, call.sources.base_url).host
    limits = f" The budget is {call.budget}." if call.given["budget"] else ""
    return (
        f"{call.sources.task.name}: {len(call.prompts)} of {len(call.sources.prompts)} prompts on {len(call.panel)} "
        f"examples of the search split: {call.needed:,} calls to {call.sources.target_name}{answered}, {cost}."
        f"{limits} Embeddings of the prompts by {call.embeddings} ({host}), which the budget does not count."
    )
