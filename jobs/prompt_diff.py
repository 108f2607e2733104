"""Two prompts side by side, as the lines that went, came and stayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from ..traces.result import PromptContent
from .output import counted, marked_lines, one_line, printable

KEPT_AROUND = 2
"""Unchanged lines shown before and after a change."""
DEMO_INPUT = 200
"""Characters of a worked example's input that are kept before the line is cut to the screen."""

Sign = Literal["-", "+", " ", "…"]
_STYLES = {"-": "red", "+": "green", " ": "", "…": "dim"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a diff: gone (`-`), new (`+`), the same (` `), or a remark (`…`).

    `whole` lines are cut to the screen's width, not wrapped.
    """

    sign: Sign
    text: str
    whole: bool = False


def diff(before: PromptContent, after: PromptContent) -> list[Line]:
    """What changed from one prompt to the other: each component's lines, then the worked examples."""
    lines: list[Line] = []
    names = list(dict.fromkeys([*before.components, *after.components]))
    for name in names:
        if len(names) > 1:
            lines.append(Line("…", f"{one_line(name)}:"))
        old, new = (printable(p.components.get(name, "")).splitlines() for p in (before, after))
        lines += _changes(old, new)
    if before.demos or after.demos:
        lines.append(Line("…", _demo_heading(len(before.demos), len(after.demos))))
        changed = _changes([_demo(d) for d in before.demos], [_demo(d) for d in after.demos])
        lines += [Line(line.sign, line.text, whole=True) for line in changed]
    return lines


def diff_table(lines: Sequence[Line]) -> Table:
    """The diff as it is shown: signs in a column of their own, long lines wrapped behind them."""
    table = marked_lines()
    for line in lines:
        style = _STYLES[line.sign]
        text = Text(line.text, style=style, no_wrap=line.whole, overflow="ellipsis" if line.whole else "fold")
        table.add_row(Text("" if line.sign == "…" else line.sign, style=style), text)
    return table


def _demo_heading(before: int, after: int) -> str:
    was = f" ({before} before)" if before and before != after else ""
    if not after:
        return f"no worked examples{was}"
    return f"{counted(after, 'worked example')}{was}, sent as turns in front of the input:"


def _demo(demo: dict[str, Any]) -> str:
    return f"{one_line(str(demo.get('output', '')), 24)} ← {one_line(str(demo.get('input', '')), DEMO_INPUT)}"


def _changes(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    blocks = matcher.get_opcodes()
    for number, (kind, i1, i2, j1, j2) in enumerate(blocks):
        if kind == "equal":
            yield from _same(before[i1:i2], first=number == 0, last=number == len(blocks) - 1)
        else:
            yield from (Line("-", text) for text in before[i1:i2])
            yield from (Line("+", text) for text in after[j1:j2])


def _same(texts: Sequence[str], *, first: bool, last: bool) -> Iterator[Line]:
    """Unchanged lines, only those next to a change where there are many."""
    head = 0 if first and not last else KEPT_AROUND
    tail = 0 if last and not first else KEPT_AROUND
    if len(texts) <= head + tail + 3 or (first and last):
        yield from (Line(" ", text) for text in texts)
        return
    yield from (Line(" ", text) for text in texts[:head])
    yield Line("…", f"({len(texts) - head - tail} lines stay the same)")
    yield from (Line(" ", text) for text in texts[len(texts) - tail :])
