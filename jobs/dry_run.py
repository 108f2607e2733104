"""`optimize --dry-run`: what a run would be, would buy and would cost at most, without a call and without a run."""

from __future__ import annotations

import math
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..evaluation.preflight import AA_EXAMPLES, EXAMPLES
from ..graphs.run_settings import RunSettings
from ..tasks.targets import make_target
from ..tasks.task import Task
from .before import Survey, call_tokens
from .named_runs import KnownRun, State, would_run
from .output import add, counted, facts
from .preflight import described
from .preflight_result import Preflight
from .preflight_screen import preflight_screen
from .sandbox_choice import sandbox_host


class DryRun(Preflight):
    """A pre-flight with what would be run. Of the upper bounds None says that nothing limits them beforehand.

    `state`: whether the run is `new`, `goes on`, or is `finished` (and would only show its result). `most_races`
    full-length comparisons of one candidate fit the search; most candidates end earlier. `most_calls` by role are
    logical calls; `most_tokens` and `most_usd` count one attempt of each.
    """

    strategy: str
    seed: int
    options: dict[str, Any]
    run: str | None
    state: State
    sandbox: str | None
    most_races: int | None
    most_iterations: int | None
    most_calls: dict[str, int | None]
    most_tokens: int | None
    most_minutes: float | None


def dry_run(task: Task, settings: RunSettings, before: Survey, run: str | None, known: KnownRun | None) -> DryRun:
    """What `optimize` with these settings would do. `run`: the name it was given, `known`: the run of that name."""
    limits, plan, options = settings.limits(), before.plan, settings.search_options()
    proof = int(plan["certification"])
    search = None if plan["search"] is None else int(plan["search"])
    look = min(EXAMPLES, len(task.search)) + min(AA_EXAMPLES, len(task.search))
    one = int(plan["race"]) - look
    agent = limits.agent_calls if settings.agent else 0
    return DryRun(
        **described(task, settings, before).model_dump(),
        strategy=settings.strategy,
        seed=settings.seed,
        options=options.model_dump(mode="json"),
        run=run,
        state="new" if known is None else "goes on" if known.goes_on else "finished",
        sandbox=sandbox_host(settings) or (settings.sandbox if settings.sandbox != "auto" else None),
        most_races=None if search is None else max(0, (search - look) // max(one, 1)),
        most_iterations=options.iterations,
        most_calls={"target": search, "certification": proof, "agent": agent},
        most_tokens=_most_tokens(task, settings, search, proof),
        most_minutes=limits.minutes,
    )


def _most_tokens(task: Task, settings: RunSettings, search: int | None, proof: int) -> int | None:
    """An upper bound of input and output tokens; None where there is none."""
    limit = settings.limits().tokens
    bounds = [math.inf if limit is None else float(limit)]
    if search is not None and not settings.agent:
        each = call_tokens(task, make_target(settings.target, task, settings.base_url))
        bounds.append((search + proof) * each)
    return None if math.isinf(min(bounds)) else math.ceil(min(bounds))


def dry_run_screen(dry: DryRun) -> RenderableType:
    """The whole screen: what would be run, at most how much of it, and the pre-flight of the task."""
    table = facts()
    who = f"agent {dry.agent}" if dry.agent else "the built-in playbook proposes"
    add(
        table, "Would run", f"{would_run(dry.run, dry.state)} · {dry.strategy} on {dry.target}, {who} · seed {dry.seed}"
    )
    add(table, "Buys", _buys(dry))
    calls = [f"{_number(n)} {role}" for role, n in dry.most_calls.items() if n != 0]
    add(table, "Calls", f"at most {', '.join(calls)}")
    add(table, "Tokens", _number(dry.most_tokens, "at most "))
    add(
        table,
        "Time",
        f"at most {dry.most_minutes:g} minutes" if dry.most_minutes else "not limited (--budget minutes=N)",
    )
    end = Text("Nothing was asked, nothing was stored.", style="dim")
    return Group(table, Text(), preflight_screen(dry), Text(), end)


def _buys(dry: DryRun) -> str:
    rounds = f"at most {counted(dry.most_iterations, 'iteration')}; " if dry.most_iterations else ""
    if dry.most_races is None:
        return f"{rounds}no number of calls limits the search"
    races = counted(dry.most_races, "comparison")
    return f"{rounds}{races} of a candidate at full length; most end earlier, so that more candidates are tried"


def _number(n: int | None, prefix: str = "") -> str:
    return "unlimited" if n is None else f"{prefix}{n:,}"
