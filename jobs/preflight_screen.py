"""A pre-flight as a person reads it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from .output import add, bullets, facts, one_line
from .preflight_result import Preflight
from .progress_words import first_look_lines, who_sees

MOST_LABELS = 12


def preflight_screen(preflight: Preflight) -> RenderableType:
    """The whole screen: the task, what the budget buys, what can be proven, what to mind."""
    p, plan = preflight, preflight.plan
    table = facts()
    add(table, "Task", f"{p.task}, scored by {p.metric}")
    add(table, "Splits", ", ".join(f"{n} {name}" for name, n in plan["sizes"].items() if n))
    if p.label_counts:
        shown = [f"{label} ({n})" for label, n in list(p.label_counts.items())[:MOST_LABELS]]
        more = f" and {len(p.label_counts) - MOST_LABELS} more" if len(p.label_counts) > MOST_LABELS else ""
        add(table, "Labels", ", ".join(shown) + more)
    for name, text in p.seed_prompt.items():
        add(table, "Seed" if len(p.seed_prompt) == 1 else f"Seed {name}", one_line(text, 300))
    add(table, "Target", who_sees(p.target, p.base_url, p.agent).removeprefix("target: "))
    add(table, "Budget", _budget(p))
    add(table, "Cost", _cost(p))
    add(table, "Proof", _proof(p))
    parts: list[RenderableType] = [table]
    notes = [*plan["notes"]]
    for twins in p.near_duplicates[:3]:
        notes.append(
            f"Nearly alike: “{one_line(twins.first_input, 50)}” ({twins.first_split}) and "
            f"“{one_line(twins.second_input, 50)}” ({twins.second_split})."
        )
    if notes:
        parts += [Text(), Text("Mind", style="bold"), bullets(notes)]
    if p.look is not None:
        parts += [Text(), Text("First look", style="bold"), bullets(_look(p))]
    return Group(*parts)


def _budget(p: Preflight) -> str:
    limits = ", ".join(f"{name}={value:,g}" for name, value in p.budget.items())
    proof, search = p.plan["certification"], p.plan["search"]
    if search is None:
        return f"{limits}: {proof:,} target calls for the proof, the rest for the search"
    return f"{limits}: {proof:,} for the proof, {search:,.0f} for the search (one race takes {p.plan['race']:,})"


def _cost(p: Preflight) -> str:
    if p.cost_unlimited:
        return "nothing limits it; set a limit such as --budget usd=1"
    if p.most_usd is None:
        return "a price is unknown (name it in a file that SAGE_PRICES points to)"
    return f"at most ${p.most_usd:.2f}" if p.most_usd else "nothing"


def _proof(p: Preflight) -> str:
    plan = p.plan
    if not plan["certification"]:
        return "left out"
    before = f"; used {p.test_uses} times before" if p.test_uses else ""
    if plan["smallest_gain"] is None:
        return f"the test split is too small to prove any gain{before}"
    return (
        f"gains of {plan['smallest_gain']:.2f} or more, four times out of five (error rate {plan['alpha']:.2g}){before}"
    )


def _look(p: Preflight) -> list[str]:
    lines = [line.removeprefix("first look: ") for line in first_look_lines(p.look or {})]
    if p.look and p.look["n"] and p.plan["smallest_gain"] is not None and p.plan["certification"]:
        headroom = p.look["headroom"]
        if headroom < p.plan["smallest_gain"]:
            lines.append(f"only {headroom:.2f} is left to gain, less than the test split can prove")
    return lines
