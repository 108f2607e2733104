"""What can be said, refused and asked before a run is made: what the budget buys, what it may cost at most."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import typer

from ..errors import UsageError
from ..evaluation.budget import Budget, check_prices
from ..evaluation.panels import Panels
from ..graphs.run_settings import RunSettings
from ..models.names import check_model
from ..models.prices import price
from ..settings import settings as installation
from ..tasks.example import Example
from ..tasks.prompt import Prompt
from ..tasks.target import Request, Target
from ..tasks.targets import make_target
from ..tasks.task import Task
from ..traces.store import RunStore
from .output import one_line
from .progress_words import who_sees
from .sandbox_choice import check_sandbox, sandbox_host

GROWTH = 3
"""A found prompt may be longer than the seed's; its input is taken to be at most so many times as long."""


@dataclass(frozen=True)
class Survey:
    """What a run would be: `plan` as the event `plan` has it, and the most it may cost in US dollars.

    `most_usd` is infinite where nothing limits it, None where a price is unknown.
    """

    plan: dict[str, Any]
    most_usd: float | None
    uses: int


async def survey(task: Task, settings: RunSettings) -> Survey:
    """Everything that can be known without a call. Raises BudgetTooSmall and whatever else the run would refuse."""
    limits = settings.limits()
    settings.check()
    check_sandbox(settings)
    target = make_target(settings.target, task, settings.base_url)
    prices = {settings.target: target.price}
    if settings.agent:
        prices[settings.agent] = price(check_model(settings.agent, settings.base_url))
    check_prices(limits, prices)
    async with await RunStore.open(installation().home) as store:
        uses = len(await store.test_uses(task.test_key))
    planned = settings.plan(task, target, Panels.draw(task, settings.seed), uses)
    fields = asdict(planned)
    fields |= {
        name: value if math.isfinite(value) else None for name, value in fields.items() if isinstance(value, float)
    }
    most = most_usd(
        task,
        target,
        limits,
        prices,
        asks_agent=settings.agent is not None,
        paid_code=sandbox_host(settings) is not None,
    )
    return Survey(fields, most, uses)


def most_usd(
    task: Task,
    target: Target,
    limits: Budget,
    prices: dict[str, tuple[float, float] | None],
    *,
    asks_agent: bool,
    paid_code: bool = False,
) -> float | None:
    """An upper bound on the cost of a run in US dollars; inf where nothing limits it, None where a price is unknown."""
    known = [pair for pair in prices.values() if pair is not None]
    if len(known) < len(prices):
        return None
    dearest = max((max(pair) for pair in known), default=0.0)
    if dearest == 0 and not paid_code:
        return 0.0
    bounds = [math.inf]
    if limits.usd is not None:
        bounds.append(limits.usd)
    if limits.tokens is not None and not paid_code:
        bounds.append(limits.tokens * dearest / 1e6)
    if limits.target_calls is not None and not (asks_agent or paid_code) and target.price is not None:
        bounds.append(limits.target_calls * call_usd(task, target, target.price))
    return min(bounds)


def call_usd(task: Task, target: Target, prices: tuple[float, float]) -> float:
    """What one call of a run costs at most, on average over the task's examples, in US dollars."""
    requests = [target.request(task.seed_prompt, example) for example in task.everything]
    return sum(_usd(request, prices, growth=GROWTH) for request in requests) / len(requests)


def call_tokens(task: Task, target: Target) -> float:
    """How many tokens one call of a run takes at most, on average over the task's examples."""
    requests = [target.request(task.seed_prompt, example) for example in task.everything]
    return sum(GROWTH * r.max_input_tokens + r.max_output_tokens for r in requests) / len(requests)


def calls_usd(target: Target, calls: Sequence[tuple[Prompt, Example]]) -> float | None:
    """What these calls cost at most, in US dollars; None where the price is unknown."""
    if target.price is None:
        return None
    return sum(_usd(target.request(prompt, example), target.price) for prompt, example in calls)


def _usd(request: Request, prices: tuple[float, float], growth: int = 1) -> float:
    return (growth * request.max_input_tokens * prices[0] + request.max_output_tokens * prices[1]) / 1e6


def ask_for_calls(
    task: Task,
    calls: Sequence[tuple[Prompt, Example]],
    target: str,
    base_url: str | None,
    *,
    ask_above: float,
    yes: bool,
) -> None:
    """`agree_on_cost` for these calls. Raises ModelSetupError where the target cannot be used."""
    made = make_target(target, task, base_url)
    agree_on_cost(calls_usd(made, calls), ask_above=ask_above, yes=yes, target=target, base_url=base_url)


def agree_on_cost(
    most: float | None,
    *,
    ask_above: float,
    yes: bool,
    target: str,
    base_url: str | None,
    agent: str | None = None,
    sandbox: str | None = None,
    lines: Sequence[str] = (),
) -> None:
    """Ask before something that may cost more than `ask_above` US dollars; `lines` are shown before the question.

    Raises UsageError where nobody can be asked, typer.Abort where the answer is no.
    """
    if most is None or most <= ask_above or yes:
        return
    cost = "Nothing limits what this may cost" if math.isinf(most) else f"This may cost up to ${most:.2f}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{cost[0].lower()}{cost[1:]} and nobody can be asked: agree with --yes, raise --ask-above, "
            "or limit it, as in --budget usd=1"
        )
    for line in (*lines, who_sees(target, base_url, agent, sandbox)):
        typer.echo(one_line(line, None), err=True)
    typer.confirm(f"{cost}. Go on?", abort=True, err=True)
