"""An evaluation as a person reads it: the score with its interval, by label, and some failures."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .evaluation_result import Evaluation
from .output import add, bullets, facts, listing, one_line, plain, short_id
from .result_screen import cost_words

SHOWN_FAILURES = 8


def evaluation_screen(evaluation: Evaluation) -> RenderableType:
    """The whole screen of an evaluation."""
    e = evaluation
    parts: list[RenderableType] = [
        plain(f"{e.task} · {e.split} split on {e.target} · prompt {e.prompt.id} · run {short_id(e.run_id)}", "dim"),
        Text(),
        plain(_sentence(e), "bold"),
    ]
    if e.by_label:
        parts += [Text(), _labels(e)]
    if e.failures:
        shown = e.failures[:SHOWN_FAILURES]
        of = f" ({len(shown)} of {e.failed})" if e.failed > len(shown) else ""
        parts += [Text(), Text(f"Not fully right{of}", style="bold"), _failures(e)]
    table = facts()
    if e.decoding:
        add(table, "Answers", f"by {e.decoding}")
    add(table, "Cost", cost_words(e.spend, e.target))
    parts += [Text(), table]
    if e.notes:
        parts += [Text(), Text("Notes", style="bold"), bullets(e.notes)]
    return Group(*parts)


def _sentence(e: Evaluation) -> str:
    missing = f"; {e.missing} answers are missing" if e.missing else ""
    if e.score is None or e.low is None or e.high is None:
        return f"No score: none of the {e.missing} calls was answered."
    return f"{e.metric} {e.score:.3f} on {e.n} examples (95 % interval {e.low:.3f} to {e.high:.3f}){missing}."


def _labels(e: Evaluation) -> Table:
    table = listing()
    table.add_column("EXPECTED", no_wrap=True, overflow="ellipsis", max_width=30)
    for name in ("EXAMPLES", "SCORE", "95 % INTERVAL", "ANSWERED SO"):
        table.add_column(name, justify="right", no_wrap=True)
    for label in e.by_label:
        interval = f"{label.low:.2f} to {label.high:.2f}" if label.n else ""
        score = f"{label.score:.2f}" if label.n else ""
        add(table, one_line(label.label, 30), str(label.n), score, interval, str(label.predicted))
    return table


def _failures(e: Evaluation) -> Table:
    table = listing()
    table.add_column("INPUT", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("EXPECTED", no_wrap=True, overflow="ellipsis", max_width=18)
    table.add_column("ANSWERED", no_wrap=True, overflow="ellipsis", max_width=18)
    for failure in e.failures[:SHOWN_FAILURES]:
        answer = one_line(failure.output, 40) or "(nothing)"
        add(table, one_line(failure.input, 200), one_line(failure.expected, 40), answer)
    return table
