"""What a call of `optimize` means, from its options by name: the task, and the settings of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..graphs.run_settings import RunSettings
from ..tasks.load import load_task, task_source
from ..tasks.task import Task
from .options import option_values, task_options
from .sandbox_choice import check_choice

SETTINGS = (
    "strategy",
    "preset",
    "target",
    "base_url",
    "seed",
    "certify",
    "timeout",
    "concurrency",
    "patience",
    "sandbox",
    "cache_scope",
)
"""Options that are settings of the run as they are."""
OPTIONS = ("candidates", "pool", "iterations")
"""Options of every strategy, which have options of the command line of their own."""
TASK_OPTIONS = ("input", "expected", "metric", "labels", "seed_prompt", "data", "shuffle_labels")


@dataclass(frozen=True)
class OptimizeCall:
    """A loaded task with the keywords it was loaded with, and the settings of its run.

    `chosen`: the settings as keywords of `aoptimize`.
    """

    source: str
    task: Task
    keywords: dict[str, Any]
    chosen: dict[str, Any]
    settings: RunSettings


def optimize_call(given: Mapping[str, Any]) -> OptimizeCall:
    """The call with these options. Raises UsageError for whatever the caller can mend."""
    check_choice(given["sandbox"])
    options = {name: given[name] for name in OPTIONS if given[name] is not None}
    more = option_values(given["option"] or ())
    rules = option_values(given["rule"] or (), "--rule", "confidence=0.9")
    twice = next((name for name in more if name in options), None)
    if twice:
        raise UsageError(f"--option: '{twice}' is given twice: as --{twice} too")
    keywords = task_options(**{name: given[name] for name in TASK_OPTIONS})
    chosen = {name: given[name] for name in SETTINGS}
    chosen |= {
        "agent": given["agent"] or None,
        "budget": given["budget"] or "",
        "options": options | more,
        "rules": rules,
    }
    source = task_source(given["task"])
    task = load_task(source, **keywords)
    settings = RunSettings(task=source, task_options=keywords, task_key=task.key, **chosen)
    settings.check()
    return OptimizeCall(source, task, keywords, chosen, settings)
