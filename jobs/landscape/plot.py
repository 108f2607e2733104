"""A landscape as one HTML file that needs no network: the semivariogram, and a map of the prompts by their scores."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ...errors import UsageError
from ..output import one_line
from .result import LandscapeResult, MeasuredPrompt
from .screen import model_of

HEIGHT = 560


def write_plot(result: LandscapeResult, path: Path) -> None:
    """Write the plot. Raises UsageError where the file cannot be written."""
    text = figure(result).to_html(include_plotlyjs=True, full_html=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--plot: {path} cannot be written: {error.strerror or error}") from error


def figure(result: LandscapeResult) -> go.Figure:
    """The two charts side by side. Texts of prompts are escaped: they may hold anything."""
    chart = make_subplots(
        rows=1,
        cols=2,
        subplot_titles=("Semivariogram of the prompts' true scores", "Prompts (first two principal components)"),
    )
    bins = result.bins
    chart.add_trace(
        go.Scatter(
            x=[one.distance for one in bins],
            y=[one.gamma for one in bins],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, one.high - one.gamma) for one in bins],
                "arrayminus": [max(0.0, one.gamma - one.low) for one in bins],
            },
            mode="markers",
            name="pairs of prompts, 95 %",
            hovertext=[f"{one.pairs} pairs" for one in bins],
        ),
        row=1,
        col=1,
    )
    model = model_of(result)
    if model is not None:
        distance = np.linspace(0, max(one.distance for one in bins), 200)
        curve = go.Scatter(x=distance.tolist(), y=model.at(distance).tolist(), mode="lines", name="fitted")
        chart.add_trace(curve, row=1, col=1)
    chart.add_trace(
        go.Scatter(
            x=[prompt.x for prompt in result.prompts],
            y=[prompt.y for prompt in result.prompts],
            mode="markers",
            marker={
                "color": [prompt.score for prompt in result.prompts],
                "colorscale": "Viridis",
                "size": 10,
                "showscale": True,
                "colorbar": {"title": {"text": "score"}},
            },
            hovertext=[_hover(prompt) for prompt in result.prompts],
            hoverinfo="text",
            showlegend=False,
        ),
        row=1,
        col=2,
    )
    chart.update_xaxes(title_text="distance between embeddings", row=1, col=1)
    chart.update_yaxes(title_text="semivariance", row=1, col=1)
    title = f"{one_line(result.task)} on {one_line(result.target)}: {result.verdict}"
    chart.update_layout(
        title={"text": html.escape(title)},
        height=HEIGHT,
        template="plotly_white",
        legend={"orientation": "h", "y": -0.18},
    )
    return chart


def _hover(prompt: MeasuredPrompt) -> str:
    lines = [
        f"score {prompt.score:.2f} on {prompt.n} examples",
        f"{prompt.generation} edits from the seed, run {html.escape(one_line(prompt.run))}",
        html.escape(one_line(prompt.origin, 80)),
        html.escape(one_line(prompt.text, 120)),
    ]
    return "<br>".join(lines)
