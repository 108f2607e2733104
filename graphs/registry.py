"""The strategies by name. A new strategy is one file here and one line in `STRATEGIES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import UsageError, nearest
from . import demos, random_search, sage
from .run_settings import SearchOptions
from .state import Graph


@dataclass(frozen=True)
class Strategy:
    """A search strategy: its subgraph over `RunState`, one line that says what it does, its options.

    `runs_code`: whether it needs a sandbox.
    """

    build: Callable[[], Graph]
    summary: str
    options: type[SearchOptions] = SearchOptions
    runs_code: bool = False


STRATEGIES: dict[str, Strategy] = {
    "sage": Strategy(
        sage.build,
        "diagnosis by executed code, edits against confirmed causes, raced",
        sage.SageOptions,
        runs_code=True,
    ),
    "random": Strategy(random_search.build, "error-informed random search: edits of the best prompts, raced"),
    "demos": Strategy(demos.build, "random search over worked examples only, the baseline to beat"),
}


def strategy(name: str) -> Strategy:
    """The strategy of that name. Raises UsageError with the nearest right one."""
    if name not in STRATEGIES:
        raise UsageError(f"strategy: unknown '{name}'.{nearest(name, STRATEGIES)} Known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]
