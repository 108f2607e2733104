"""What a run cost, by role and by iteration: for `show`, from what the store says of its calls and runs of code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..evaluation.ledger import Spend
from ..traces.rows import CodeRun, Decision, Spending
from .output import add, listing

ROLES = ("target", "certification", "agent", "judge", "sandbox")
MOST_ROWS = 12
"""Iterations shown on the screen: the first and the last ones; the others are summed up in a line."""
FIRST_LOOK, PROOF = "first look", "proof"


def by_role(steps: Iterable[Spending], code: Iterable[CodeRun]) -> dict[str, Spend]:
    """The cost by role, in the order of ROLES; roles that cost nothing and did nothing are left out."""
    found: dict[str, Spend] = {}
    for role, spent in [*((s.role, _of(s)) for s in steps), *(("sandbox", _run(run)) for run in code)]:
        found[role] = found.get(role, Spend()) + spent
    return {role: found[role] for role in ROLES if role in found}


def by_iteration(steps: Iterable[Spending], code: Iterable[CodeRun], decisions: Sequence[Decision]) -> dict[str, Spend]:
    """The cost by iteration, in order: `first look`, the iterations by number, `proof`. Runs of code count by their
    US dollars only, so that calls are calls of models. Empty for a run whose verdicts do not say their step."""
    ends = sorted({(d.stats["step"], d.iteration) for d in decisions if "step" in d.stats})
    if decisions and not ends:
        return {}
    found: dict[str, Spend] = {}
    for s in steps:
        place = PROOF if s.role == "certification" else _iteration(s, ends)
        found[place] = found.get(place, Spend()) + _of(s)
    for run in code:
        place = str(run.iteration)
        found[place] = found.get(place, Spend()) + replace(_run(run), calls=0)
    numbers = sorted((place for place in found if place.isdigit()), key=int)
    return {place: found[place] for place in (FIRST_LOOK, *numbers, PROOF) if place in found}


def _iteration(s: Spending, ends: Sequence[tuple[int, int]]) -> str:
    if s.role in ("agent", "judge"):
        return str(s.step)  # the journal numbers their calls by iteration
    if s.step <= 1:
        return FIRST_LOOK
    # Every iteration ends with the step that gives its verdicts; what comes after the last one was cut off.
    after = ends[-1][1] + 1 if ends else 1
    return str(next((iteration for step, iteration in ends if step >= s.step), after))


def _of(s: Spending) -> Spend:
    return Spend(s.calls, s.cached, s.missing, s.input_tokens, s.output_tokens, s.usd)


def _run(run: CodeRun) -> Spend:
    return Spend(calls=1, usd=run.usd)


def spend_json(roles: dict[str, Spend], iterations: dict[str, Spend]) -> dict[str, Any]:
    """Both as `show --json` gives them; iterations by number (0: the first look; null: the proof)."""
    numbers: dict[str, int | None] = {FIRST_LOOK: 0, PROOF: None}
    return {
        "by_role": {role: asdict(spent) for role, spent in roles.items()},
        "by_iteration": [
            {"iteration": numbers[place] if place in numbers else int(place), **asdict(spent)}
            for place, spent in iterations.items()
        ],
    }


def spend_table(roles: dict[str, Spend], iterations: dict[str, Spend]) -> RenderableType:
    """Both as one table; of a long run the first and the last iterations."""
    table = listing()
    for name in ("SPENT", "CALLS", "CACHED", "MISSING", "TOKENS IN", "TOKENS OUT", "USD"):
        table.add_column(name, justify="left" if name == "SPENT" else "right", no_wrap=True)
    for role, spent in roles.items():
        _row(table, role, spent)
    places = list(iterations)
    head, tail = MOST_ROWS // 2, MOST_ROWS - MOST_ROWS // 2
    hidden = places[head:-tail] if len(places) > MOST_ROWS else []
    for place in places:
        if place in hidden:
            if place == hidden[0]:
                _row(table, f"iterations {place} to {hidden[-1]}", sum((iterations[p] for p in hidden), Spend()))
            continue
        _row(table, f"iteration {place}" if place.isdigit() else place, iterations[place])
    return Group(Text("Cost by role and by iteration", style="bold"), table)


def _row(table: Any, name: str, spent: Spend) -> None:
    numbers = (spent.calls, spent.cached, spent.missing, spent.input_tokens, spent.output_tokens)
    add(table, name, *(f"{number:,}" for number in numbers), f"{spent.usd:.4f}")
