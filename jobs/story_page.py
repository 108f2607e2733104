"""The story of a search by diagnosis as `show` tells it: accepted iterations in full, the others in a line or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..traces.rows import CodeRun, Hypothesis
from .claim_words import STANDARD, claim_words
from .output import counted, marked_lines, one_line, plain, printable
from .story import Chapter, Finding, agent_number, belief_words, counts_words, effect_words

MOST_FINDINGS = 3
"""Findings of an accepted iteration told in full, unless everything is asked for."""

MOST_DROPPED = 5
MOST_NAMED = 2
"""Findings named where an iteration is told in brief."""

MOST_TRIES = 3
CODE_LINES = 15
PRINTED_LINES = 10
EDIT = 200
_INDENT = 4


def story_page(story: Sequence[Chapter], name: str, *, everything: bool = False) -> RenderableType:
    """The story of the run called `name`; with `everything` all of it, else what led to an accepted candidate."""
    parts: list[RenderableType] = [Text("What was found, and what was done about it", style="bold")]
    for chapter in story:
        full = everything or chapter.accepted is not None
        parts += _full(chapter, everything) if full else _brief(chapter)
    if not everything:
        parts += [plain(f"All of it: sage-spo show {name} --story", "dim")]
    return Group(*parts)


def _heading(chapter: Chapter) -> Text:
    style = "green" if chapter.accepted else ""
    return plain(f"Iteration {chapter.iteration} · {chapter.verdict}", style)


def _brief(chapter: Chapter) -> list[RenderableType]:
    """An iteration that led nowhere: its verdict, and what it looked into."""
    named = [claim_words(f.first.claim, f.first.source) for f in chapter.findings[:MOST_NAMED]]
    more = len(chapter.findings) - len(named)
    looked = "; ".join(named) + (f"; and {more} more" if more else "") if named else "no cause that held"
    return [_heading(chapter), _indented(plain(f"looked into: {looked}")), Text()]


def _full(chapter: Chapter, everything: bool) -> list[RenderableType]:
    parts: list[RenderableType] = [_heading(chapter)]
    told = [f for f in chapter.findings if everything or f.kept][: None if everything else MOST_FINDINGS]
    if chapter.accepted and not any(f.kept for f in chapter.findings):
        parts.append(_indented(plain("no finding led to it")))
    shown: set[int] = set()
    for number, finding in enumerate(told, 1):
        parts += _finding(finding, number, shown, everything)
    rest = [f for f in chapter.findings if f not in told]
    if rest:
        parts.append(_indented(plain(_rest_words(rest))))
    parts += [_indented(line) for line in _set_aside(chapter, everything)]
    return [*parts, Text()]


def _finding(finding: Finding, number: int, shown: set[int], everything: bool) -> list[RenderableType]:
    """One finding in full. `shown` are the code runs of this iteration that were printed already."""
    h = finding.first
    table = _lines()
    table.add_row(plain(f"{number}."), plain(claim_words(h.claim, h.source)))
    _row(table, f"{counts_words(h.support)} · {belief_words(h)}")
    _row(table, _found_by(finding))
    parts: list[RenderableType] = [table]
    for run in finding.code[: None if everything else 1]:
        parts.append(Padding(_code(run, again=run.index in shown), (0, 0, 0, _INDENT + 4)))
        shown.add(run.index)
    after = _lines()
    for line in _tried(finding, everything):
        _row(after, line)
    return [*parts, after]


def _found_by(finding: Finding) -> str:
    sources = dict.fromkeys(h.source for h in finding.members)
    numbers = sorted({agent_number(source) for source in sources if source != STANDARD})
    opinions = max((int(h.support.get("opinions", 1)) for h in finding.members), default=1)
    words = ["the standard analyses"] if STANDARD in sources else []
    if numbers:
        who = ("diagnosticians " if len(numbers) > 1 else "diagnostician ") + ", ".join(map(str, numbers))
        counted_first = any(h.findings for h in finding.members)
        reading = "reading the standard analyses and failures" if counted_first else "reading failures"
        words.append(f"{who}, {'by code of its own' if finding.code else reading}")
    often = f"; named {opinions} times" if opinions > 1 else ""
    return f"found by {' and by '.join(words)}{often}" + (":" if finding.code else "")


def _tried(finding: Finding, everything: bool) -> list[str]:
    lines = []
    for one in finding.tries[: None if everything else MOST_TRIES]:
        mark = {True: "kept: ", False: "left out: ", None: "tried: "}[one.kept]
        lines.append(mark + one_line(one.text, EDIT) + (f" ({one_line(one.worth, None)})" if one.worth else ""))
    more = len(finding.tries) - len(lines)
    if more:
        lines.append(f"and {counted(more, 'more edit')}")
    if not lines:
        reasons = [h.reason for h in finding.members if h.reason]
        lines.append(f"nothing was tried against it{': ' + one_line(reasons[0], 160) if reasons else ''}")
    raced = next((h for h in finding.members if h.support.get("effect")), None)
    if raced is not None:
        lines.append(f"its candidate, {raced.support.get('outcome')}: {effect_words(raced.support)}")
    elif finding.tries and not finding.kept:
        lines.append("its candidate was not raced" if finding.tries[0].kept is not False else "not taken over")
    return lines


def _code(run: CodeRun, *, again: bool) -> RenderableType:
    """An agent's code and what it printed, both cut to a few lines."""
    if again:
        return plain(f"(the code of {run.purpose}, as above)", "dim")
    said = [line for f in run.findings for line in printable(str(f.get("text", ""))).splitlines()]
    table = marked_lines()
    for mark, lines, most in (
        (">", printable(run.code.strip()).splitlines(), CODE_LINES),
        ("=", [*printable(run.stdout.rstrip()).splitlines(), *said], PRINTED_LINES),
    ):
        for line in lines[:most]:
            table.add_row(Text(mark, style="dim"), Text(line, no_wrap=True, overflow="ellipsis", style="cyan"))
        if len(lines) > most:
            table.add_row("", plain(f"… {counted(len(lines) - most, 'more line')}", "dim"))
    if run.error:
        table.add_row("", plain(f"error: {one_line(run.error, 200)}", "yellow"))
    return table


def _rest_words(rest: Sequence[Finding]) -> str:
    kept = [f for f in rest if f.kept]
    parts = []
    if kept:
        named = "; ".join(claim_words(f.first.claim, f.first.source) for f in kept[:MOST_NAMED])
        more = "; …" if len(kept) > MOST_NAMED else ""
        parts.append(f"{counted(len(kept), 'more finding')} with an edit that was kept ({named}{more})")
    if len(rest) > len(kept):
        parts.append(f"{counted(len(rest) - len(kept), 'more finding')} whose edits were not kept")
    return "and " + ", ".join(parts)


def _set_aside(chapter: Chapter, everything: bool) -> list[Text]:
    """What was supposed and not acted on: refuted claims a line each where everything is told, else counted."""
    told = chapter.dropped[:MOST_DROPPED] if everything else ()
    lines = [plain(_dropped(h), "dim") for h in told]
    more, spare = len(chapter.dropped) - len(told), chapter.spare
    parts = []
    if more:
        kinds = Counter("refuted" if "not confirmed" in h.reason else "unusable" for h in chapter.dropped[len(told) :])
        parts.append(", ".join(f"{n} {'more ' if told else ''}{kind}" for kind, n in kinds.items()))
    if spare:
        parts.append(f"{spare} held, but {'another' if spare == 1 else 'others'} came first")
    return [*lines, plain(f"other hypotheses: {', '.join(parts)}", "dim")] if parts else lines


def _dropped(h: Hypothesis) -> str:
    counts = f"{counts_words(h.support)}; " if h.support.get("n") else ""
    return f"dropped: {claim_words(h.claim, h.source)} — {counts}{belief_words(h)}"


def _lines() -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=_INDENT + 2, justify="right")
    table.add_column(overflow="fold")
    return table


def _row(table: Table, text: str) -> None:
    table.add_row("", plain(text))


def _indented(text: Text) -> RenderableType:
    return Padding(text, (0, 0, 0, _INDENT))
