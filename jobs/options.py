"""Options that several commands share, and what they mean for loading a task."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UsageError
from ..graphs.registry import strategies

UNITS = "usd=2,target_calls=1500,agent_calls=100,tokens=1000000,minutes=30"


def _several(flag: str, what: str) -> Any:
    return typer.Option(flag, metavar="NAME=VALUE", help=f"{what}; may be given several times.")


def _agent(default: str) -> Any:
    return typer.Option("--agent", metavar="MODEL", help=f"The model that writes prompts. Default: {default}.")


def _budget(what: str, more: str = "", units: str = UNITS) -> Any:
    return typer.Option("--budget", metavar="LIMITS", help=f"What {what}: {units}, any of them.{more}")


TaskArgument = Annotated[
    str,
    typer.Argument(
        metavar="TASK",
        help="A built-in task (headlines, languages, reviews, tickets), a task.yaml or its folder, a data file "
        "(.csv, .tsv, .jsonl, .parquet), or bbh:NAME, gsm8k, formula, subj, agnews, sst2 from a data folder.",
        show_default=False,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's name, id, or the beginning of its id.", show_default=False),
]
RunNameOption = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="A name. The same command again goes on with the run of that name, or shows its result; nothing that "
        "defines the run may differ then, a budget may grow.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what would be run and what it would cost at most; ask and store nothing."),
]
InputOption = Annotated[
    str | None, typer.Option("--input", metavar="FIELD", help="The field that holds the input (data files).")
]
ExpectedOption = Annotated[
    str | None, typer.Option("--expected", metavar="FIELD", help="The field that holds the right answer (data files).")
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="exact, label, numeric, contains, regex, f1, json, or your own as module:function.",
    ),
]
LabelsOption = Annotated[
    str | None, typer.Option("--labels", metavar="A,B,…", help="The possible answers, separated by commas.")
]
SeedPromptOption = Annotated[
    Path | None,
    typer.Option(
        "--seed-prompt", metavar="FILE", help="Start from this prompt (plain text, or YAML as `show` writes)."
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder with the files of bbh:NAME, gsm8k, formula, subj, agnews, sst2 (docs/tasks.md says which). "
        "Default: SAGE_DATA.",
    ),
]
ShuffleOption = Annotated[
    int | None,
    typer.Option(
        "--shuffle-labels",
        metavar="SEED",
        help="Shuffle the right answers: a control in which nothing can be learned and nothing should be found.",
    ),
]
StrategyOption = Annotated[
    str,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="How candidates are found. "
        + ". ".join(f"{name}: {known.summary}" for name, known in strategies().items())
        + ".",
    ),
]
OptionOption = Annotated[
    list[str] | None, _several("--option", "An option of the strategy, such as directions=8 or max_rounds=2 of sage")
]
DecideOptionOption = Annotated[
    list[str] | None,
    _several("--option", "An option of the methods, such as eta=1 or arms=30 (docs/decisions.md)"),
]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="default: this project's validation. faithful: the settings and acceptance rule of the strategy's paper.",
    ),
]
RuleOption = Annotated[
    list[str] | None, _several("--rule", "A rule of acceptance, such as confidence=0.9 or accept=significant")
]
SandboxOption = Annotated[
    str,
    typer.Option(
        "--sandbox",
        metavar="WHERE",
        help="Where analysis code that a model writes runs (strategy sage). auto: e2b where E2B_API_KEY is set, else "
        "local. e2b: a fresh e2b.dev sandbox without a network for every run of code; paid, and it sees the records. "
        "local: isolated on this machine, or refused where nothing isolates (`doctor` tells). none: no code at all, "
        "the model judges from failures it reads. unsafe: NOT isolated, with all your rights.",
    ),
]
TargetOption = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="MODEL",
        help="The model or app whose prompt it is: local (the embedded model), local:FILE.gguf, "
        "local:hf:OWNER/REPO/FILE.gguf, openai:MODEL, openai:MODEL@http://host:port/v1, PROVIDER:MODEL (as in "
        "anthropic:MODEL), http://… for an app behind an address, python:module:function (docs/targets.md).",
    ),
]
AgentOption = Annotated[str | None, _agent("the built-in playbook")]
CompareAgentOption = Annotated[str | None, _agent("the built-in playbook; for peers the target model")]
PeerAgentOption = Annotated[str | None, _agent("the target model")]
CertifyOption = Annotated[
    bool, typer.Option("--certify/--no-certify", help="Prove the result on the test split, or leave that out.")
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="OpenAI-compatible server (vLLM, Ollama, …) for every openai: model of the command, the agent too. "
        "Default: OPENAI_BASE_URL, else OpenAI. For one model alone write openai:MODEL@http://host:port/v1.",
    ),
]
BudgetOption = Annotated[str | None, _budget("it may spend")]
SearchBudgetOption = Annotated[
    str | None,
    _budget(
        "a run may spend",
        " Where nothing named would end it: 1200 target calls besides. Agent calls and dollars are limited only where "
        "they are named.",
    ),
]
DecideBudgetOption = Annotated[
    str | None,
    _budget(
        "each run (one method with one seed) may spend",
        " Default: no limit.",
        "usd=2,agent_calls=1000,tokens=1000000,minutes=30",
    ),
]
CacheScopeOption = Annotated[
    str,
    typer.Option(
        "--cache-scope",
        metavar="TEXT",
        hidden=True,
        help="Runs with different ones share no answers: what `compare` keeps its runs apart by.",
    ),
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For one attempt of a call to a model.")
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        metavar="N",
        min=1,
        max=1024,
        help="Calls to the target under way at once. Default: it starts at 20, grows while answers come as fast as "
        "before, and halves where the provider refuses or is late. No result depends on it; local keeps its own.",
    ),
]
PatienceOption = Annotated[
    float,
    typer.Option(
        "--patience",
        metavar="MINUTES",
        min=0,
        help="How long to wait for a provider that does not answer any more, before the run stops (exit code 75) and "
        "can be resumed. Not counted as minutes of the budget.",
    ),
]
NewPatienceOption = Annotated[
    float | None,
    typer.Option(
        "--patience",
        metavar="MINUTES",
        min=0,
        help="From here on: how long to wait for a provider that does not answer. Default: as the run was started.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the run's randomness: the same seed, the same run.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")]
AskAboveOption = Annotated[
    float,
    typer.Option(
        "--ask-above",
        metavar="USD",
        min=0.0,
        help="Ask first where it may cost more than this; where a price is unknown nothing is asked: set target_calls, "
        "agent_calls or tokens.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def option_values(given: Sequence[str], flag: str = "--option", example: str = "directions=8") -> dict[str, Any]:
    """`NAME=VALUE` texts as a mapping; values are whole numbers, numbers, true, false, none, else texts.

    Raises UsageError for a text of another form or a name given twice. Whether there is such an option is for
    `RunSettings.check` to say.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{flag}: write NAME=VALUE, as in {flag} {example}, not '{text}'")
        if name in found:
            raise UsageError(f"{flag}: '{name}' is given twice")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    words: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            number = kind(text)
            return number if math.isfinite(number) else text
    return text


def task_options(
    *,
    input: str | None,
    expected: str | None,
    metric: str | None,
    labels: str | None,
    seed_prompt: Path | None,
    data: Path | None,
    shuffle_labels: int | None,
) -> dict[str, Any]:
    """The keywords of `load_task` that were given, as plain values that can be stored with a run."""
    given: dict[str, Any] = {"input": input, "expected": expected, "shuffle_labels": shuffle_labels}
    if metric is not None:
        given["metric"] = {"function": metric} if ":" in metric else metric
    if labels is not None:
        given["labels"] = [label.strip() for label in labels.split(",")]
    if seed_prompt is not None:
        from .prompt_file import read_prompt

        prompt = read_prompt(seed_prompt)
        given["seed_prompt"] = dict(prompt.components)
        if prompt.demos:
            given["seed_prompt"] = {
                "components": dict(prompt.components),
                "demos": [demo.model_dump(mode="json") for demo in prompt.demos],
            }
    if data is not None:
        given["data"] = str(data.expanduser().absolute())
    return {name: value for name, value in given.items() if value is not None}
