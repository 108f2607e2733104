"""What can be refused of a job before anything of its batch is spent."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from ...errors import UsageError


def check_optimize(options: dict[str, Any], alias: str) -> int | None:
    """All that `optimize` would refuse before its first call; None, as a search takes what it gets.

    Raises SageError. A run of that name that has begun is only held against these settings.
    """
    from ..before import survey
    from ..named_runs import known_run
    from ..optimize_call import optimize_call

    call = optimize_call(options)
    call.settings.limits()
    call.settings.check()
    known = asyncio.run(known_run(alias, call.settings))
    if known is None or known.costs_more:
        _agreed(asyncio.run(survey(call.task, call.settings)).most_usd, options)
    return None


def check_evaluate(options: dict[str, Any], alias: str) -> int | None:
    """All that `evaluate` would refuse before its first call; how many calls it takes. Raises SageError."""
    from ...evaluation.budget import Budget, check_prices
    from ...tasks.load import load_task, task_source
    from ...tasks.targets import make_target
    from ..before import calls_usd
    from ..evaluate import check_room, chosen_prompt, measured_settings, split_parts
    from ..named_runs import known_measurement
    from ..options import task_options

    names = ("input", "expected", "metric", "labels", "data", "shuffle_labels")
    keywords = task_options(seed_prompt=None, **{name: options[name] for name in names})
    task = load_task(task_source(options["task"]), **keywords)
    calls = [example for _, examples in split_parts(task, options["split"]) for example in examples]
    limits = Budget.parse(options["budget"])
    limits = Budget(target_calls=len(calls)) if limits.unlimited else limits
    prompt = chosen_prompt(task, options["prompt"])
    plain = {"task": task.name, **{name: options[name] for name in ("target", "split", "base_url")}}
    begun = asyncio.run(known_measurement(alias, "evaluate", measured_settings(task, prompt, limits, **plain)))
    check_room(limits, options["split"], len(calls))
    if begun is None:
        target = make_target(options["target"], task, options["base_url"])
        check_prices(limits, {target.name: target.price})
        _agreed(calls_usd(target, [(prompt, example) for example in calls]), options)
    return len(calls)


def _agreed(most: float | None, options: dict[str, Any]) -> None:
    """Raises UsageError where it may cost more than may be spent without asking."""
    if most is None or most <= options["ask_above"] or options["yes"]:
        return
    cost = "nothing limits what it may cost" if math.isinf(most) else f"it may cost up to ${most:.2f}"
    raise UsageError(f"{cost}: agree with yes: true, or --yes for the whole file, raise ask_above, or limit its budget")
