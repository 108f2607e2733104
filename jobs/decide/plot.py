"""The curve of a call as a page that a browser shows: the measure after each round, a line per method."""

from __future__ import annotations

from pathlib import Path

from ...errors import UsageError
from .result import DecideResult
from .screen import MEASURES

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf")


def checked_plot(path: Path) -> Path:
    """The path as it is. Raises UsageError where no page can be written there."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--plot: {path} must end in .html")
    if not path.resolve().parent.is_dir():
        raise UsageError(f"--plot: there is no folder {path.resolve().parent}")
    return path


def write_plot(result: DecideResult, path: Path) -> None:
    """Write the page: the mean over the seeds, in a band of one standard error on each side. Raises UsageError where
    the file cannot be written."""
    import plotly.graph_objects as go  # takes a second to import

    figure = go.Figure()
    for place, row in enumerate(row for row in result.rows if any(value is not None for value in row.curve)):
        colour = COLOURS[place % len(COLOURS)]
        points = [(t, v, e) for t, (v, e) in enumerate(zip(row.curve, row.curve_se, strict=True), 1) if v is not None]
        rounds = [t for t, _, _ in points]
        if any(e for _, _, e in points):
            upper, lower = [v + (e or 0.0) for _, v, e in points], [v - (e or 0.0) for _, v, e in points]
            band = {"x": rounds + rounds[::-1], "y": upper + lower[::-1], "fill": "toself", "fillcolor": colour}
            figure.add_trace(go.Scatter(**band, opacity=0.15, line={"width": 0}, hoverinfo="skip", showlegend=False))
        figure.add_trace(go.Scatter(x=rounds, y=[v for _, v, _ in points], name=row.method, line={"color": colour}))
    figure.update_layout(
        title=f"{result.environment}: {MEASURES[result.measure]}",
        xaxis_title="round",
        yaxis_title=MEASURES[result.measure],
        template="plotly_white",
    )
    try:
        figure.write_html(path, include_plotlyjs=True)
    except OSError as error:
        raise UsageError(f"--plot: {path} cannot be written: {error.strerror or error}") from error
