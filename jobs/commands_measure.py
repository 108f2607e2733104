"""`evaluate` and `preflight`: measuring a prompt, and what a run would be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from .evaluation_screen import evaluation_screen
from .interrupts import measured
from .options import (
    AgentOption,
    AskAboveOption,
    BaseUrlOption,
    BudgetOption,
    CertifyOption,
    ConcurrencyOption,
    DataOption,
    DryRunOption,
    ExpectedOption,
    InputOption,
    JsonOption,
    LabelsOption,
    MetricOption,
    PatienceOption,
    RunNameOption,
    SearchBudgetOption,
    SeedOption,
    SeedPromptOption,
    ShuffleOption,
    TargetOption,
    TaskArgument,
    YesOption,
    task_options,
)
from .output import notice, print_json, put


def evaluate(
    task: TaskArgument,
    prompt: Annotated[
        Path | None,
        typer.Option(
            "--prompt", metavar="FILE", help="Plain text, or YAML as `show --prompt` writes. Default: the seed."
        ),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="search, holdout, test or all.")] = "holdout",
    target: TargetOption = "local",
    base_url: BaseUrlOption = None,
    budget: BudgetOption = None,
    run: RunNameOption = None,
    input: InputOption = None,
    expected: ExpectedOption = None,
    metric: MetricOption = None,
    labels: LabelsOption = None,
    data: DataOption = None,
    shuffle_labels: ShuffleOption = None,
    yes: YesOption = False,
    ask_above: AskAboveOption = 1.0,
    concurrency: ConcurrencyOption = None,
    patience: PatienceOption = 10.0,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Measure a prompt: score, 95 % interval, by label, failures.

    \b
    Examples:
      sage-spo evaluate headlines --prompt prompt.md
      sage-spo evaluate task.yaml --prompt prompt.md --target openai:gpt-4.1-mini
      sage-spo evaluate headlines --prompt prompt.md --split test
      sage-spo evaluate task.yaml --target openai:gpt-4.1-mini --dry-run

    Looking at the test split uses it up: each look weakens what later runs can prove on it.
    """
    from ..tasks.load import load_task, task_source
    from .before import ask_for_calls
    from .evaluate import aevaluate, chosen_prompt, split_parts
    from .progress import Counting

    keywords = task_options(
        input=input,
        expected=expected,
        metric=metric,
        labels=labels,
        seed_prompt=None,
        data=data,
        shuffle_labels=shuffle_labels,
    )
    source = task_source(task)
    loaded = load_task(source, **keywords)
    parts = split_parts(loaded, split)
    chosen = chosen_prompt(loaded, prompt)
    if dry_run:
        from .dry_measurement import dry_measurement, dry_measurement_screen

        how = {"split": split, "target": target, "base_url": base_url, "budget": budget, "run": run}
        dry = asyncio.run(dry_measurement(loaded, chosen, **how))
        if json:
            print_json(dry.model_dump(mode="json"))
        else:
            put(dry_measurement_screen(dry))
        return
    jobs = [(chosen, example) for _, examples in parts for example in examples]
    ask_for_calls(loaded, jobs, target, base_url, ask_above=ask_above, yes=yes)
    if split in ("test", "all"):
        notice("mind: this looks at the test split; each look weakens what later runs can prove on it")
    with Counting() as counting:
        result = measured(
            aevaluate(
                loaded,
                chosen,
                target=target,
                split=split,
                budget=budget,
                base_url=base_url,
                concurrency=concurrency,
                patience=patience,
                run=run,
                listener=counting,
            )
        )
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        put(evaluation_screen(result))
    if not result.n:
        raise typer.Exit(1)


def preflight(
    task: TaskArgument,
    look: Annotated[
        bool, typer.Option("--look", help="Measure the seed prompt on up to 48 examples too (makes calls).")
    ] = False,
    target: TargetOption = "local",
    agent: AgentOption = None,
    base_url: BaseUrlOption = None,
    budget: SearchBudgetOption = None,
    seed: SeedOption = 0,
    certify: CertifyOption = True,
    input: InputOption = None,
    expected: ExpectedOption = None,
    metric: MetricOption = None,
    labels: LabelsOption = None,
    seed_prompt: SeedPromptOption = None,
    data: DataOption = None,
    shuffle_labels: ShuffleOption = None,
    yes: YesOption = False,
    ask_above: AskAboveOption = 1.0,
    json: JsonOption = False,
) -> None:
    """Say what a run of TASK could show, before anything is spent.

    Split sizes, what the budget buys, the smallest gain that can be proven, who will see the examples, what it may
    cost, and what is doubtful about the data. Makes no call, unless with --look.

    \b
    Examples:
      sage-spo preflight task.yaml
      sage-spo preflight task.yaml --budget target_calls=600 --look
    """
    from ..evaluation.preflight import AA_EXAMPLES, EXAMPLES
    from ..graphs.run_settings import RunSettings
    from ..tasks.load import load_task, task_source
    from .before import ask_for_calls, survey
    from .preflight import described, looked
    from .preflight_screen import preflight_screen
    from .progress import Counting

    keywords = task_options(
        input=input,
        expected=expected,
        metric=metric,
        labels=labels,
        seed_prompt=seed_prompt,
        data=data,
        shuffle_labels=shuffle_labels,
    )
    source = task_source(task)
    settings = RunSettings(
        task=source,
        target=target,
        agent=agent or None,
        base_url=base_url,
        budget=budget or "",
        seed=seed,
        certify=certify,
    )
    settings.limits()
    loaded = load_task(source, **keywords)
    result = described(loaded, settings, asyncio.run(survey(loaded, settings)))
    if look:
        jobs = [(loaded.seed_prompt, example) for example in loaded.search[: EXAMPLES + AA_EXAMPLES]]
        ask_for_calls(loaded, jobs, target, base_url, ask_above=ask_above, yes=yes)
        with Counting() as counting:
            result = measured(looked(result, loaded, settings, counting))
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        put(preflight_screen(result))
