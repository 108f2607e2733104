"""The strategies by name. A new one is a file here that ends with `STRATEGY = Strategy(…)`, and a line below."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import UsageError, nearest

if TYPE_CHECKING:
    from .strategy import Strategy


@dataclass(frozen=True)
class Entry:
    """What is known of a strategy before it is imported: its module here, one line that says what it does.

    `runs_code`: whether it needs a sandbox.
    """

    module: str
    summary: str
    runs_code: bool = False


STRATEGIES: dict[str, Entry] = {
    "sage": Entry("sage", "diagnosis by executed code, edits against confirmed causes, raced", runs_code=True),
    "random": Entry("random_search", "error-informed random search: edits of the best prompts, raced"),
    "genetic": Entry("genetic", "a population of prompts, crossed and mutated with the errors of both parents in view"),
    "opro": Entry("opro", "new prompts from a history of prompts and their scores, without a look at failures"),
    "protegi": Entry("protegi", "textual gradients of a beam of prompts, the next beam selected by a bandit"),
    "promptagent": Entry("promptagent", "Monte-Carlo tree search over edits made from errors"),
    "demos": Entry("demos", "random search over worked examples only, the baseline to beat"),
}


def entry(name: str) -> Entry:
    """The strategy's line. Raises UsageError with the nearest right name."""
    if name not in STRATEGIES:
        raise UsageError(f"strategy: unknown '{name}'.{nearest(name, STRATEGIES)} Known: {', '.join(STRATEGIES)}")
    return STRATEGIES[name]


def strategy(name: str) -> Strategy:
    """The strategy of that name, imported. Raises UsageError as `entry` does."""
    found: Strategy = import_module(f".{entry(name).module}", __package__).STRATEGY
    return found
