"""sage-spo: find better prompts by measured search, and prove that they are better.

    from sage_spo import optimize
    result = optimize("reviews")
    result.prompt, result.gain, result.sentence

Names are imported when they are first used, so that `import sage_spo` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import (
        BudgetError,
        BudgetExceeded,
        BudgetTooSmall,
        EnvironmentFailure,
        ModelError,
        ModelSetupError,
        ProviderDown,
        QuotaExhausted,
        RunInterrupted,
        SageError,
        SandboxError,
        StoreError,
        StrategyError,
        TaskError,
        UsageError,
    )
    from .evaluation.budget import Budget
    from .graphs.search import Search
    from .graphs.strategy import Preset, SearchOptions, Strategy
    from .jobs.api import aoptimize, aresume, optimize, resume
    from .jobs.compare.comparing import acompare, compare
    from .jobs.compare.result import ComparisonResult
    from .jobs.decide.deciding import adecide, decide
    from .jobs.decide.result import DecideResult
    from .jobs.decider.decider import Decider, MetaPrompt, Standing
    from .jobs.decider.versions import rephrase
    from .jobs.evaluate import aevaluate, evaluate
    from .jobs.evaluation_result import Evaluation
    from .jobs.landscape.measure import alandscape, landscape
    from .jobs.landscape.result import LandscapeResult
    from .jobs.prompt_file import read_prompt
    from .tasks.environments.protocol import Description, Environment, Outcome, Wording
    from .tasks.example import Example, Score
    from .tasks.load import load_task
    from .tasks.prompt import Demo, Prompt
    from .tasks.task import Task
    from .traces.result import Result

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "BudgetError",
    "BudgetExceeded",
    "BudgetTooSmall",
    "ComparisonResult",
    "DecideResult",
    "Decider",
    "Demo",
    "Description",
    "Environment",
    "EnvironmentFailure",
    "Evaluation",
    "Example",
    "LandscapeResult",
    "MetaPrompt",
    "ModelError",
    "ModelSetupError",
    "Outcome",
    "Preset",
    "Prompt",
    "ProviderDown",
    "QuotaExhausted",
    "Result",
    "RunInterrupted",
    "SageError",
    "SandboxError",
    "Score",
    "Search",
    "SearchOptions",
    "Standing",
    "StoreError",
    "Strategy",
    "StrategyError",
    "Task",
    "TaskError",
    "UsageError",
    "Wording",
    "__version__",
    "acompare",
    "adecide",
    "aevaluate",
    "alandscape",
    "aoptimize",
    "aresume",
    "compare",
    "decide",
    "evaluate",
    "landscape",
    "load_task",
    "optimize",
    "read_prompt",
    "rephrase",
    "resume",
]

_NAMES = {
    ".errors": (
        "BudgetError",
        "BudgetExceeded",
        "BudgetTooSmall",
        "EnvironmentFailure",
        "ModelError",
        "ModelSetupError",
        "ProviderDown",
        "QuotaExhausted",
        "RunInterrupted",
        "SageError",
        "SandboxError",
        "StoreError",
        "StrategyError",
        "TaskError",
        "UsageError",
    ),
    ".evaluation.budget": ("Budget",),
    ".graphs.search": ("Search",),
    ".graphs.strategy": ("Preset", "SearchOptions", "Strategy"),
    ".jobs.api": ("aoptimize", "aresume", "optimize", "resume"),
    ".jobs.compare.comparing": ("acompare", "compare"),
    ".jobs.compare.result": ("ComparisonResult",),
    ".jobs.decide.deciding": ("adecide", "decide"),
    ".jobs.decide.result": ("DecideResult",),
    ".jobs.decider.decider": ("Decider", "MetaPrompt", "Standing"),
    ".jobs.decider.versions": ("rephrase",),
    ".jobs.evaluate": ("aevaluate", "evaluate"),
    ".jobs.evaluation_result": ("Evaluation",),
    ".jobs.landscape.measure": ("alandscape", "landscape"),
    ".jobs.landscape.result": ("LandscapeResult",),
    ".jobs.prompt_file": ("read_prompt",),
    ".tasks.environments.protocol": ("Description", "Environment", "Outcome", "Wording"),
    ".tasks.example": ("Example", "Score"),
    ".tasks.load": ("load_task",),
    ".tasks.prompt": ("Demo", "Prompt"),
    ".tasks.task": ("Task",),
    ".traces.result": ("Result",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
