"""`peer`: one run of another package's optimiser, as comparisons start it. Not among the commands of `--help`."""

from __future__ import annotations

from typing import Annotated

import typer

from ..interrupts import measured
from ..options import (
    BaseUrlOption,
    BudgetOption,
    ConcurrencyOption,
    DataOption,
    ExpectedOption,
    InputOption,
    JsonOption,
    LabelsOption,
    MetricOption,
    PatienceOption,
    PeerAgentOption,
    RunNameOption,
    SeedOption,
    SeedPromptOption,
    ShuffleOption,
    TargetOption,
    TaskArgument,
    task_options,
)
from ..output import print_json, put
from .known import PEERS


def peer(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(PEERS)}.", show_default=False)],
    task: TaskArgument,
    target: TargetOption = "local",
    agent: PeerAgentOption = None,
    base_url: BaseUrlOption = None,
    budget: BudgetOption = None,
    seed: SeedOption = 0,
    run: RunNameOption = None,
    cache_scope: Annotated[
        str, typer.Option("--cache-scope", metavar="TEXT", help="Answers of other scopes are not used.")
    ] = "",
    input: InputOption = None,
    expected: ExpectedOption = None,
    metric: MetricOption = None,
    labels: LabelsOption = None,
    seed_prompt: SeedPromptOption = None,
    data: DataOption = None,
    shuffle_labels: ShuffleOption = None,
    concurrency: ConcurrencyOption = None,
    patience: PatienceOption = 10.0,
    json: JsonOption = False,
) -> None:
    """Find a better prompt with another package's optimiser, on the same target, budget and examples.

    The package is installed into an environment of its own at its first use. Nothing is proven here: the test split
    is not touched.

    \b
    Examples:
      sage-spo peer gepa headlines --budget target_calls=600,agent_calls=60
    """
    from ...tasks.load import task_source
    from ..progress import Counting
    from .result import peer_screen
    from .run import arun_peer

    keywords = task_options(
        input=input,
        expected=expected,
        metric=metric,
        labels=labels,
        seed_prompt=seed_prompt,
        data=data,
        shuffle_labels=shuffle_labels,
    )
    with Counting() as counting:
        result = measured(
            arun_peer(
                name,
                task_source(task),
                target=target,
                agent=agent or None,
                base_url=base_url,
                budget=budget,
                seed=seed,
                cache_scope=cache_scope,
                concurrency=concurrency,
                patience=patience,
                task_options=keywords,
                run=run,
                listener=counting,
            )
        )
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        put(peer_screen(result))
