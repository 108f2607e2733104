"""The end of a run as a person wants to read it: verdict, prompt, evidence, cost, and how to use the result."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..traces.result import Case, Result
from .output import add, bullets, counted, facts, figures, one_line, plain, short_id
from .prompt_diff import diff, diff_table

_STYLES = {
    "improved": "bold green",
    "harmed": "bold red",
    "inconclusive": "bold yellow",
    "not certified": "bold yellow",
}


def result_screen(result: Result, found: str = "") -> RenderableType:
    """The whole screen of a finished run; `found` is the finding behind its prompt, where there was a diagnosis."""
    parts: list[RenderableType] = [
        plain(_title(result), "dim"),
        Text(),
        plain(result.sentence, _STYLES.get(result.verdict, "bold")),
        Text(),
        *_prompt(result),
        Text(),
    ]
    if result.gain is not None:
        parts += [Text("Measured on the test split", style="bold"), _evidence(result), Text()]
    parts.append(_facts(result, found))
    if result.notes:
        parts += [Text(), Text("Notes", style="bold"), bullets(result.notes)]
    return Group(*parts)


def _title(result: Result) -> str:
    agent = f", agent {result.agent}" if result.agent else ""
    name = f"{result.alias} ({short_id(result.run_id)})" if result.alias else short_id(result.run_id)
    return f"{result.task} · {result.strategy} on {result.target}{agent} · seed {result.seed} · run {name}"


def _prompt(result: Result) -> list[RenderableType]:
    if result.best.id == result.seed_prompt.id:
        return [Text("Prompt (the seed, unchanged)", style="bold"), diff_table(diff(result.best, result.best))]
    used = result.prompt.id == result.best.id
    heading = "Prompt (- seed, + best)" if used else "Best candidate, not to be used (- seed, + candidate)"
    return [Text(heading, style="bold"), diff_table(diff(result.seed_prompt, result.best))]


def _evidence(result: Result) -> Table:
    table = figures()
    alpha = f"held against {result.alpha:.3g}; " if result.alpha is not None else ""
    add(table, "seed", _figure(result.seed_score), f"on {result.n} examples that no candidate had seen")
    estimate = "" if result.estimate is None else f"the search had put it at {result.estimate:.2f}"
    add(table, "best", _figure(result.best_score), estimate)
    add(table, "gain", f"{result.gain:+.2f}", f"95 % interval {result.low:+.2f} to {result.high:+.2f}")
    add(table, "p", f"{result.p:.2g}", f"two-sided, {alpha}{result.method}")
    add(table, "fixed", str(len(result.fixed)), _case(result.fixed_case))
    add(table, "broken", str(len(result.broken)), _case(result.broken_case))
    if result.missing:
        add(table, "missing", str(result.missing), "answers failed for good; they count for neither side")
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _case(case: Case | None) -> str:
    if case is None:
        return ""
    answers = f"{one_line(case.before, 24) or '(nothing)'} → {one_line(case.after, 24) or '(nothing)'}"
    return f"“{one_line(case.input, 90)}” (expected {one_line(case.expected, 24)}): {answers}"


def _facts(result: Result, found: str) -> Table:
    table = facts()
    if found:
        add(table, "Found", found)
    ended = f"; ended because {result.stop}" if result.stop else ""
    found = ", ".join(
        (
            counted(result.iterations, "iteration"),
            counted(result.candidates, "candidate"),
            f"{result.accepted} accepted",
        )
    )
    add(table, "Search", found + ended)
    if result.decoding:
        add(table, "Answers", f"by {result.decoding}, the same way for both prompts")
    add(table, "Cost", cost_words(result.spend, result.target))
    name = result.alias or short_id(result.run_id)
    add(table, "Use it", f"sage-spo show {name} --prompt > prompt.md")
    return table


def cost_words(spend: dict[str, Any], target: str) -> str:
    """What a run cost, in words: `1,180 of 1,200 target calls (12 from the cache), 98,310 tokens, $0, 3.9 minutes`."""
    spent, limits, roles = spend.get("spent", {}), spend.get("limits", {}), spend.get("by_role", {})

    def count(*names: str, of: str) -> int:
        return sum(int(role.get(of, 0)) for name, role in roles.items() if name in names)

    parts = []
    for name, words, members in (
        ("target_calls", "target calls", ("target", "certification")),
        ("agent_calls", "agent calls", ("agent", "judge")),
    ):
        made = int(spent.get(name, 0))
        if not made and name == "agent_calls":
            continue
        limit = f" of {int(limits[name]):,}" if name in limits else ""
        counts = {"from the cache": count(*members, of="cached"), "failed": count(*members, of="missing")}
        extras = [f"{n:,} {what}" for what, n in counts.items() if n]
        parts.append(f"{made:,}{limit} {words}" + (f" ({', '.join(extras)})" if extras else ""))
    if "sandbox" in roles:
        runs, usd = int(roles["sandbox"]["calls"]), float(roles["sandbox"]["usd"])
        parts.append(f"{runs:,} paid sandbox run{'s' * (runs != 1)} (${usd:.4f})")
    parts.append(f"{int(spent.get('tokens', 0)):,} tokens")
    parts.append(_usd(float(spent.get("usd", 0.0)), target, paid=_paid(roles)))
    parts.append(f"{float(spent.get('minutes', 0.0)):.1f} minutes")
    return ", ".join(parts)


def _paid(roles: dict[str, Any]) -> int:
    return sum(int(role.get("calls", 0)) - int(role.get("cached", 0)) for role in roles.values())


def _usd(usd: float, target: str, *, paid: int) -> str:
    if usd:
        return f"${usd:.2f}" if usd >= 0.1 else f"${usd:.4f}"
    return "$0" if target.split(":")[0] in ("local", "python") or not paid else "price unknown"
