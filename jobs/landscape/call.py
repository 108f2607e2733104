"""What a call of `landscape` means: prompts, panel, limits, name; and what is wrong with it before any call."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...errors import BudgetTooSmall, ModelSetupError, UsageError
from ...evaluation.budget import Budget, check_prices
from ...evaluation.evaluator import Evaluator, Job
from ...evaluation.landscape import LEAST_PROMPTS, MOST_PROMPTS
from ...evaluation.ledger import Ledger
from ...evaluation.paid_calls import PaidCalls
from ...models.names import check_model
from ...models.retry import RetryPolicy
from ...seeding import digest
from ...settings import settings as installation
from ...tasks.example import Example
from ...tasks.prompt import Prompt
from ...tasks.targets import make_target
from ...tasks.task import Task
from ...traces.rows import Run
from ...traces.store import RunStore
from ..before import calls_usd
from ..named_runs import check_name, known_measurement
from .choice import chosen_prompts, common_panel, default_embeddings, job
from .sources import Sources, find_sources


@dataclass(frozen=True)
class Before:
    """What is known before anything is spent: the landscape's stored row, if it has begun, how many of its calls are
    answered already, and the most that the others may cost in US dollars (None: the price is unknown)."""

    begun: Run | None
    answered: int
    most_usd: float | None


@dataclass(frozen=True)
class LandscapeCall:
    """A landscape to be measured: prompts in the order in which the budget reaches them, on one panel of examples."""

    name: str
    sources: Sources
    prompts: tuple[Prompt, ...]
    panel: tuple[Example, ...]
    budget: Budget
    embeddings: str
    given: Mapping[str, Any]

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """One for each prompt."""
        return tuple(job(prompt, self.panel) for prompt in self.prompts)

    @cached_property
    def needed(self) -> int:
        """How many calls all of it takes."""
        return sum(len(one.examples) for one in self.jobs)

    @property
    def settings(self) -> dict[str, Any]:
        """What defines the landscape, as it is stored with it."""
        sources = self.sources
        return {
            "task": sources.runs[0].settings["task"],
            "task_key": sources.task.key,
            "target": sources.target_name,
            "base_url": sources.base_url,
            "runs": [run.id for run in sources.runs],
            "prompts": digest(*(prompt.id for prompt in self.prompts))[:16],
            "embeddings": self.embeddings,
            "budget": str(self.budget),
        }

    @property
    def command(self) -> str:
        """The command that goes on with the landscape, or shows it again."""
        options = [f"--{name}={value}" for name, value in self.given.items() if value is not None]
        return shlex.join(["sage-spo", "landscape", *self.sources.names, *options])

    async def check(self) -> Before:
        """What stands in the store. Raises what the measurement would refuse before its first call."""
        sources = self.sources
        begun = await known_measurement(self.name, "landscape", self.settings)
        made = await asyncio.to_thread(make_target, sources.target, sources.task, sources.base_url)
        try:
            check_prices(self.budget, {made.name: made.price})
            async with await RunStore.open(installation().home) as store:
                calls = PaidCalls("", store, Ledger(Budget()), RetryPolicy(), seed=0)
                evaluator = Evaluator(sources.task, made, calls)
                keyed = {
                    key: (one.prompt, example)
                    for one in self.jobs
                    for key, example in zip(evaluator.keys(one), one.examples, strict=True)
                }
                known = await store.answers(keyed)
            usd = calls_usd(made, [asked for key, asked in keyed.items() if key not in known])
        finally:
            await made.aclose()
        limit = self.budget.usd
        return Before(begun, len(known), usd if usd is None or limit is None else min(usd, limit))


async def landscape_call(
    runs: Sequence[str] | str,
    *,
    budget: str | Mapping[str, float] | Budget | None = None,
    prompts: int = MOST_PROMPTS,
    embeddings: str | None = None,
    run: str | None = None,
    task: Task | None = None,
    target: Any = None,
) -> LandscapeCall:
    """The landscape with these options (see `alandscape`). Raises SageError for whatever the caller can mend."""
    if not LEAST_PROMPTS <= prompts <= MOST_PROMPTS:
        raise UsageError(f"--prompts: {prompts}; it lies between {LEAST_PROMPTS} and {MOST_PROMPTS}")
    names = [runs] if isinstance(runs, str) else list(runs)
    async with await RunStore.open(installation().home) as store:
        sources = await find_sources(store, names, task=task, target=target)
    chosen = [sources.prompts[i].prompt for i in chosen_prompts(sources.prompts, prompts)]
    if len(chosen) < LEAST_PROMPTS:
        raise UsageError(
            f"landscape: these runs have met {len(chosen)} prompts; it takes at least {LEAST_PROMPTS}, better 40: give "
            "more runs of the task, or longer ones"
        )
    panel = common_panel(sources.task, chosen)
    model = embeddings or default_embeddings(sources.target_name, sources.base_url)
    await asyncio.to_thread(_check_embeddings, model, sources.base_url)
    limits = Budget.parse(budget)
    given = {
        "budget": None if limits.unlimited else str(limits),
        "prompts": None if prompts == MOST_PROMPTS else prompts,
        "embeddings": embeddings,
        "run": run,
    }
    if run is not None:
        check_name(run)
    of = digest(sorted(one.id for one in sources.runs), [one.id for one in chosen], model)
    call = LandscapeCall(run or f"landscape-{of[:8]}", sources, tuple(chosen), panel, limits, model, given)
    if limits.unlimited:
        return LandscapeCall(call.name, sources, call.prompts, panel, Budget(target_calls=call.needed), model, given)
    least = sum(len(one.examples) for one in call.jobs[:LEAST_PROMPTS])
    if limits.target_calls is not None and limits.target_calls < least:
        raise BudgetTooSmall(
            f"budget: target_calls={limits.target_calls} is too small: {LEAST_PROMPTS} prompts on {len(panel)} "
            f"examples take {least} calls, all {len(chosen)} take {call.needed}"
        )
    return call


def _check_embeddings(model: str, base_url: str | None) -> None:
    try:
        name = check_model(model, base_url)
        if not name.local and name.provider != "openai":
            raise ModelSetupError(f"embeddings come from openai:MODEL or local, not from '{name}'")
    except ModelSetupError as error:
        raise ModelSetupError(f"--embeddings: {error}. Name another model: local, or openai:MODEL") from error
