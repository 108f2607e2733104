"""`runs` and `show`: what the run store holds. They import neither a graph nor a model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from ..errors import StoreError
from ..evaluation.ledger import Spend
from ..settings import settings as installation
from ..traces.decision_result import DecisionRun
from ..traces.result import SCHEMA_VERSION, PromptContent, Result
from ..traces.rows import DECIDE, PEER, CodeRun, Decision, Hypothesis, Run, Spending, StoredPrompt, is_search
from ..traces.store import RunStore
from .compare.result import ComparisonResult
from .decide.result import DecideResult
from .evaluation_result import Evaluation
from .evaluation_screen import evaluation_screen
from .options import JsonOption, RunArgument
from .output import notice, print_json, printable, put
from .peers.result import PeerResult, peer_screen
from .preflight_result import Preflight
from .result_screen import result_screen
from .run_pages import course_table, decision_json, run_json, run_name, runs_table, unfinished_page
from .so_far import BestSoFar, best_so_far
from .spend_table import by_iteration, by_role, spend_json, spend_table
from .story import chapters, found_line
from .story_page import story_page


@dataclass(frozen=True)
class Stored:
    """What the store holds of a run; `best` (so far) only of one without a result."""

    run: Run
    spending: Sequence[Spending]
    decisions: Sequence[Decision]
    prompts: Mapping[str, StoredPrompt]
    hypotheses: Sequence[Hypothesis]
    code_runs: Sequence[CodeRun]
    best: BestSoFar | None


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="How many, newest first.")] = 20,
    json: JsonOption = False,
) -> None:
    """List the runs, newest first.

    Runs live in SAGE_HOME (default ~/.sage-spo).

    \b
    Examples:
      sage-spo runs
      sage-spo runs --json -n 100
    """
    found = asyncio.run(_runs(limit))
    if json:
        listed = [run_json(run) | {"result": run.result} for run in found]
        print_json({"schema_version": SCHEMA_VERSION, "runs": listed})
    elif found:
        put(runs_table(found))
    else:
        put("No runs yet. Start with: sage-spo optimize headlines")


def show(
    run: RunArgument,
    prompt: Annotated[bool, typer.Option("--prompt", help="Print only the prompt to use.")] = False,
    story: Annotated[
        bool,
        typer.Option("--story", "-v", help="Tell the whole diagnosis: every finding, its code, what was tried."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show how a run ended, or how far it has come, and what it cost by role and by iteration.

    With --prompt it prints the prompt to use and nothing else (of a run that has not come to its end the best one so
    far, which is not certified): plain text where the prompt is one system text, else
    a small YAML document with its components and worked examples. `evaluate --prompt` and `optimize --seed-prompt`
    read both.

    A run with a diagnosis (strategy sage) is told as what was found, what was done about it, and what came of it:
    its accepted iterations in full, with --story all of them.

    \b
    Examples:
      sage-spo show 3f2a1b7c
      sage-spo show 3f2a1b7c --story
      sage-spo show 3f2a1b7c --prompt > prompt.md
    """
    stored = asyncio.run(_stored(run))
    found = stored.run
    if prompt:
        if stored.best is not None:
            notice(
                f"mind: run {run_name(found)} has not come to its end; this is its best prompt so far, not certified"
            )
        text = prompt_of(found) if stored.best is None else _text(stored.best.prompt)
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
    elif json:
        document = {"schema_version": SCHEMA_VERSION, "run": run_json(found), "result": found.result}
        document["decisions"] = [decision_json(decision, stored.prompts) for decision in stored.decisions]
        document["hypotheses"] = [_without_run(row) for row in stored.hypotheses]
        document["code_runs"] = [_without_run(row) for row in stored.code_runs]
        document["spend"] = spend_json(*_spend(stored))
        document["best_so_far"] = stored.best.model_dump(mode="json") if stored.best else None
        print_json(document)
    else:
        parts = [_page(stored)]
        if stored.spending and is_search(found.strategy):
            parts += [Text(), spend_table(*_spend(stored))]
        if stored.hypotheses:
            told = chapters(stored.hypotheses, stored.code_runs, stored.decisions, stored.prompts)
            parts += [Text(), story_page(told, run_name(found), everything=story)]
        if stored.decisions:
            parts += [Text(), course_table(stored.decisions, stored.prompts)]
        put(*parts)


def _spend(stored: Stored) -> tuple[dict[str, Spend], dict[str, Spend]]:
    """What the run cost, by role and by iteration."""
    iterations = by_iteration(stored.spending, stored.code_runs, stored.decisions)
    return by_role(stored.spending, stored.code_runs), iterations


def _without_run(row: Hypothesis | CodeRun) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "run_id"}


def _page(stored: Stored) -> RenderableType:
    """What there is to see of a run, by what kind it is and how far it has come."""
    run = stored.run
    if run.result is None:
        return unfinished_page(run, stored.spending, stored.decisions, stored.best)
    if run.strategy == "evaluate":
        return evaluation_screen(Evaluation.model_validate(run.result))
    if run.strategy == "preflight":
        from .preflight_screen import preflight_screen

        return preflight_screen(Preflight.model_validate(run.result))
    if run.strategy.startswith(PEER):
        return peer_screen(PeerResult.model_validate(run.result))
    if run.strategy == "decide":
        from .decide.screen import decide_screen

        return decide_screen(DecideResult.model_validate(run.result))
    if run.strategy.startswith(DECIDE):
        from .decide.screen import decision_screen

        return decision_screen(DecisionRun.model_validate(run.result), run_name(run))
    if run.strategy == "compare":
        from .compare.screen import comparison_screen

        return comparison_screen(ComparisonResult.model_validate(run.result))
    if run.strategy == "landscape":
        from .landscape.result import LandscapeResult  # takes a moment to import
        from .landscape.screen import landscape_screen

        return landscape_screen(LandscapeResult.model_validate(run.result))
    result = Result.model_validate(run.result)
    return result_screen(result, found_line(result, stored.hypotheses, stored.prompts))


def prompt_of(run: Run) -> str:
    """The prompt to use as a file holds it. Raises StoreError where the run has none yet."""
    if run.result is None:
        raise StoreError(
            f"run {run_name(run)} has no result yet ({run.status}), and no better prompt; "
            f"go on: sage-spo resume {run_name(run)}"
        )
    if run.strategy.startswith(DECIDE) and (chosen := run.result.get("meta_prompt")):
        return f"{chosen['task']}\n\n{chosen['instruction']}\n"
    content = run.result.get("best" if run.strategy.startswith(PEER) else "prompt")
    if content is None:
        raise StoreError(f"run {run_name(run)} was a {run.strategy} and has no prompt")
    return _text(PromptContent.model_validate(content))


def _text(content: PromptContent) -> str:
    from ..tasks.prompt import Demo, Prompt
    from .prompt_file import prompt_text

    demos = tuple(Demo.model_validate(demo) for demo in content.demos)
    return prompt_text(Prompt(components=content.components, demos=demos))


async def _runs(limit: int) -> list[Run]:
    async with await RunStore.open(installation().home) as store:
        return await store.runs(limit)


async def _stored(name: str) -> Stored:
    async with await RunStore.open(installation().home) as store:
        run = await store.run(name)
        return Stored(
            run,
            await store.spending(run.id),
            await store.decisions(run.id),
            await store.prompts(run.id),
            await store.hypotheses(run.id),
            await store.code_runs(run.id),
            None if run.result else await best_so_far(store, run.id),
        )
