"""A landscape as a person reads it: the verdict, the semivariogram, its figures, what to mind."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...evaluation.landscape import ALPHA
from ...evaluation.variogram import Model
from ..output import add, bullets, counted, facts, listing, plain, short_id
from ..result_screen import cost_words
from .result import Figure, LandscapeResult

_STYLES = {"smooth": "bold green", "rugged": "bold red", "no structure found": "bold yellow"}


def landscape_screen(result: LandscapeResult) -> RenderableType:
    """The whole screen of a landscape."""
    r = result
    of = f"{counted(len(r.prompts), 'prompt')} of {counted(len(r.runs), 'run')} ({', '.join(r.strategies)})"
    parts: list[RenderableType] = [
        plain(f"{r.task} · landscape of {of} on {r.target} · {r.alias} ({short_id(r.run_id)})", "dim"),
        Text(),
        plain(r.sentence, _STYLES[r.verdict]),
        Text(),
        _bins(r),
        Text(),
        _facts(r),
    ]
    if r.notes:
        parts += [Text(), Text("Notes", style="bold"), bullets(r.notes)]
    return Group(*parts)


def model_of(result: LandscapeResult) -> Model | None:
    """The fitted semivariogram; None where there is none."""
    if result.nugget is None or result.sill is None or result.range is None:
        return None
    return Model(result.nugget.value, result.sill.value, result.range.value)


def _bins(r: LandscapeResult) -> Table:
    table = listing()
    for name in ("DISTANCE", "SEMIVARIANCE", "95 % INTERVAL", "FITTED", "PAIRS"):
        table.add_column(name, justify="right", no_wrap=True)
    model = model_of(r)
    for one in r.bins:
        fitted = "" if model is None else f"{float(model.at(one.distance)):.4f}"
        interval = f"{one.low:+.4f} to {one.high:+.4f}"
        add(table, f"{one.distance:.3f}", f"{one.gamma:+.4f}", interval, fitted, str(one.pairs))
    return table


def _facts(r: LandscapeResult) -> Table:
    table = facts()
    if r.nugget and r.sill and r.range:
        add(table, "Nugget", f"{_figure(r.nugget, 4)}: half the squared difference of almost identical prompts")
        add(table, "Sill", f"{_figure(r.sill, 4)}: that of prompts far apart")
        where = "; beyond the distances seen, so take it as long, not as a figure" if r.beyond else ""
        add(table, "Range", f"{_figure(r.range, 2)}{where}; the median distance of two prompts is {r.typical:.2f}")
    if r.verdict != "no structure found":
        add(table, "Certain", f"{100 * r.agreement:.0f} % of bootstrap draws over prompts give the same verdict")
    add(table, "Mantel", f"r = {r.mantel_r:+.2f}, p = {r.p:.2g}: {_test_words(r)}")
    if r.edit is not None:
        share = "" if r.edit_share is None else f", where {100 * r.edit_share:.0f} % of the sill is reached"
        add(table, "One edit", f"is a distance of {r.edit:.3f} (median){share}")
    add(table, "Scores", f"true standard deviation {r.spread:.3f}; {r.trend:+.3f} per edit from the seed, taken off")
    missing = f", {r.missing:,} answers missing" if r.missing else ""
    add(table, "Measured", f"{len(r.prompts)} of {r.met} prompts on {r.panel} examples of the search split{missing}")
    add(table, "Distances", f"between embeddings of the prompts by {r.embeddings}")
    add(table, "Cost", cost_words(r.spend, r.target))
    add(table, "See again", r.command)
    return table


def _test_words(r: LandscapeResult) -> str:
    passed = (
        "near prompts score more alike than" if r.p <= ALPHA else "near prompts do not score provably more alike than"
    )
    return f"{passed} prompts far apart, beyond the noise that they share"


def _figure(figure: Figure, digits: int) -> str:
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"
