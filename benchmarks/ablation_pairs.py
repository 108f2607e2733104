"""Which switches `ablations.py` measures: for each, the row that has it and the row that has not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A switch: the rows `a` and `b`, named as `landscape.py` names them.

    `system`: whose switch it is, as the command line groups them. `budget`: target calls (None: the command's);
    `agent_edits`: edits per proposal of the simulated agent model (None: its default, 1).
    """

    system: str
    switch: str
    a: str
    b: str
    budget: int | None = None
    agent_edits: int | None = None


def _picked() -> Iterator[Pair]:
    for row in ("picked", "picked:faithful"):
        yield Pair("picked", "gate", row, f"{row}[gate=false]")
        yield Pair("picked", "errors alone are shown", row, f"{row}[pick_errors=false]")
        yield Pair("picked", "gate, and errors alone", row, f"{row}[gate=false,pick_errors=false]")
    yield Pair("picked", "preserved set grows", "picked[preserve=growing]", "picked")
    yield Pair("picked", "draws that picked nothing are compared", "picked:faithful[fresh=true]", "picked:faithful")
    yield Pair("picked", "default against faithful", "picked", "picked:faithful")


def _dual_phase() -> Iterator[Pair]:
    row = "dual-phase"
    yield Pair(row, "failure cases are shown", row, f"{row}[selection=none]")
    yield Pair(row, "meta-instruction as the start", row, f"{row}[init=seed]")
    for unit, called in (("word", "words"), ("phrase", "phrases"), ("whole", "the whole prompt")):
        yield Pair(row, f"sentences against {called}", row, f"{row}[granularity={unit}]")
    yield Pair(row, "four steps against all that the budget buys", f"{row}[iterations=4]", row)
    for cases in ("all", "newest", "frequent"):
        yield Pair(row, f"failure cases: random against {cases}", row, f"{row}[selection={cases}]")
    for pairs in (1, 10):
        yield Pair(row, f"5 right answers against {pairs} in the meta-instruction", row, f"{row}[pairs={pairs}]")
    yield Pair(row, "sentence weights learn", row, f"{row}[mu=0]")
    for baseline in ("ape", "opro", "protegi"):
        yield Pair(row, f"four steps against {baseline} without that limit", f"{row}[iterations=4]", baseline)
    yield Pair(row, "default against faithful", row, f"{row}:faithful")
    for baseline in ("opro", "protegi"):
        yield Pair(row, f"against {baseline}, papers' settings", f"{row}:faithful", f"{baseline}:faithful", budget=4000)
    for other in ("random", "picked"):
        yield Pair(row, f"meta-instruction as the start of {other}", f"{other}[init=meta]", other)


def _frame() -> Iterator[Pair]:
    yield Pair("spo", "genetic against random", "genetic", "random")
    yield Pair("spo", "errors are shown: random against ape", "random", "ape")
    yield Pair("spo", "genetic against random", "genetic", "random", budget=500)
    yield Pair("spo", "genetic against random, papers' settings", "genetic:spo", "random:faithful")
    yield Pair("spo", "genetic against random, agent makes 3 edits at once", "genetic", "random", agent_edits=3)
    yield Pair("spo", "genetic against random", "genetic", "random", budget=4000)


def _sage() -> Iterator[Pair]:
    yield Pair("sage", "diagnosis by code", "sage", "sage:no-code")
    yield Pair("sage", "rounds of a diagnostician: 4 against 1", "sage", "sage[max_rounds=1]")
    yield Pair("sage", "rounds of a diagnostician: 4 against 2", "sage", "sage[max_rounds=2]")
    yield Pair("sage", "independent diagnosticians: 10 against 1", "sage", "sage[opinions=1]")
    yield Pair("sage", "directions per iteration: 20 against 5", "sage", "sage[directions=5]")
    yield Pair("sage", "edits against a direction: 2 against 1", "sage", "sage[edits=1]")
    yield Pair("sage", "validator against the highest mean", "sage", "sage[rule.accept=argmax]")
    yield Pair("sage", "default against faithful", "sage", "sage:faithful")
    for other in ("random", "genetic"):
        for budget in (None, 500, 4000):
            yield Pair("sage", f"sage against {other}", "sage", other, budget=budget)
        yield Pair("sage", f"sage against {other}, agent makes 3 edits at once", "sage", other, agent_edits=3)
    yield Pair("sage", "sage against random, papers' settings", "sage:faithful", "random:faithful")
    yield Pair("sage", "sage against genetic, papers' settings", "sage:faithful", "genetic:spo")


PAIRS: tuple[Pair, ...] = (*_picked(), *_dual_phase(), *_frame(), *_sage())
"""In the order in which they are run."""
SYSTEMS = tuple(dict.fromkeys(pair.system for pair in PAIRS))
