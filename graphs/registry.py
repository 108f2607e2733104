"""The strategies by name. A new one of this package is a file here that ends with `STRATEGY = Strategy(…)`, and a line
below; one of a user's own is an entry point of the group `sage_spo.strategies` (see `own_strategy`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from ..errors import UsageError, nearest

if TYPE_CHECKING:
    from .state import Graph
    from .strategy import Strategy

GROUP = "sage_spo.strategies"
"""Entry points that other packages register their strategies under."""


@dataclass(frozen=True)
class Entry:
    """What is known of a strategy before it is imported: its module here, one line that says what it does.

    `runs_code`: whether it needs a sandbox. `point`: where a user's own is found.
    """

    module: str
    summary: str
    runs_code: bool = False
    point: EntryPoint | None = None


STRATEGIES: dict[str, Entry] = {
    "sage": Entry("sage", "diagnosis by executed code, edits against confirmed causes, raced", runs_code=True),
    "random": Entry("random_search", "error-informed random search: edits of the best prompts, raced"),
    "genetic": Entry("genetic", "a population of prompts, crossed and mutated with the errors of both parents in view"),
    "picked": Entry("picked_gradients", "revisions against errors alone, taken where they gain more than they break"),
    "dual-phase": Entry("dual_phase", "a prompt inferred from right answers, then edited sentence by sentence"),
    "ape": Entry("ape", "instructions inferred from right answers, the best of them kept and varied"),
    "opro": Entry("opro", "new prompts from a history of prompts and their scores, without a look at failures"),
    "protegi": Entry("protegi", "textual gradients of a beam of prompts, the next beam selected by a bandit"),
    "promptagent": Entry("promptagent", "Monte-Carlo tree search over edits made from errors"),
    "demos": Entry("demos", "random search over worked examples only, the baseline to beat"),
    "auto": Entry("portfolio", "several strategies by turns on one archive, each by what it gains per call"),
}
"""Those of this package."""


@cache
def strategies() -> dict[str, Entry]:
    """All strategies that are installed, this package's first; a name of theirs cannot be taken by another."""
    own = {
        point.name: Entry(point.value, f"of package {point.dist.name if point.dist else point.module}", point=point)
        for point in entry_points(group=GROUP)
    }
    return STRATEGIES | {name: found for name, found in own.items() if name not in STRATEGIES}


def entry(name: str) -> Entry:
    """The strategy's line. Raises UsageError with the nearest right name."""
    known = strategies()
    if name not in known:
        raise UsageError(f"strategy: unknown '{name}'.{nearest(name, known)} Known: {', '.join(known)}")
    return known[name]


def strategy(name: str) -> Strategy:
    """The strategy of that name, imported. Raises UsageError as `entry` does, and where a user's own is of no use."""
    found = entry(name)
    if found.point is not None:
        from .own_strategy import own_strategy

        return own_strategy(name, found.point)
    made: Strategy = import_module(f".{found.module}", __package__).STRATEGY
    return made


def usable(without: str = "") -> dict[str, Graph]:
    """The subgraphs of the installed strategies, `without` that one; a user's own that cannot be imported or built is
    left out, and refused where it is asked for."""
    found: dict[str, Graph] = {}
    for name, known in strategies().items():
        try:
            if name != without:
                found[name] = strategy(name).build()
        except Exception:  # somebody else's module may fail in any way
            if known.point is None:
                raise
    return found
