"""What a measured landscape comes to: the statistics, and what they mean in plain words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...evaluation.landscape import RUGGED_BELOW, Interval, Landscape, analyse
from ...tasks.prompt import Prompt
from ...traces.rows import Run
from ..measuring import Measuring
from ..output import counted, printable
from ..run_pages import run_name
from .call import LandscapeCall
from .result import Figure, LagBin, LandscapeResult, MeasuredPrompt

CERTAIN = 0.8
"""A verdict that fewer bootstrap draws agree with is only probable."""
FEW_PROMPTS = 40


@dataclass(frozen=True)
class Measured:
    """Prompts with their scores (prompts, examples; NaN: missing) and vectors (prompts, size); `reached`: how many the
    budget was enough for, those with too many missing answers included."""

    prompts: tuple[Prompt, ...]
    scores: np.ndarray
    vectors: np.ndarray
    reached: int


def outcome(call: LandscapeCall, opened: Measuring, measured: Measured) -> LandscapeResult:
    """The result of a landscape."""
    sources, place = call.sources, {prompt.id: i for i, prompt in enumerate(measured.prompts)}
    met = [sources.prompts[prompt.id] for prompt in measured.prompts]
    edits = [
        (i, place[parent])
        for i, prompt in enumerate(measured.prompts)
        for parent in prompt.parents
        if place.get(parent, i) != i
    ]
    found = analyse(measured.scores, measured.vectors, [one.generation for one in met], edits=edits)
    points = _map(measured.vectors)
    listed = [
        _prompt(prompt, sources.runs[one.runs[0]], one.generation, scores, point)
        for prompt, one, scores, point in zip(measured.prompts, met, measured.scores, points, strict=True)
    ]
    model = found.model
    asked = sum(len(one.examples) for one in call.jobs if one.prompt.id in place)
    beyond = model is not None and model.range > found.bins[-1].distance
    return LandscapeResult(
        run_id=opened.run_id,
        alias=call.name,
        task=sources.task.name,
        target=opened.evaluator.target.name,
        embeddings=call.embeddings,
        runs=sources.names,
        strategies=list(dict.fromkeys(run.strategy for run in sources.runs)),
        verdict=found.shape,
        sentence=sentence(found, beyond),
        agreement=found.agreement,
        p=found.test.p,
        mantel_r=found.test.r,
        nugget=_figure(model.nugget, found.nugget) if model else None,
        sill=_figure(model.sill, found.sill) if model else None,
        range=_figure(model.range, found.range) if model else None,
        beyond=beyond,
        typical=found.typical,
        edit=found.edit,
        edit_share=float(model.at(found.edit)) / model.sill if model and model.sill and found.edit else None,
        spread=found.spread,
        trend=found.trend,
        bins=[
            LagBin(distance=b.distance, gamma=b.gamma, low=b.interval.low, high=b.interval.high, pairs=b.pairs)
            for b in found.bins
        ],
        prompts=listed,
        met=len(sources.prompts),
        left_out=len(call.prompts) - len(listed),
        panel=len(call.panel),
        missing=asked - int(np.sum(~np.isnan(measured.scores))),
        spend=opened.ledger.report(),
        notes=_notes(call, measured),
        command=call.command,
    )


def sentence(found: Landscape, beyond: bool) -> str:
    """The verdict in plain words."""
    model = found.model
    if model is None:
        return (
            "No structure found: these prompts do not differ by more than what a panel of this size gives by chance, "
            "so that nothing can be said of the landscape."
        )
    if found.shape == "no structure found":
        return (
            f"No structure found: near prompts do not score more alike than prompts far apart (p = {found.test.p:.2g}"
            "). That may be a landscape without any, one whose range is shorter than an edit, or too few prompts and "
            "examples to see it."
        )
    likely = "" if found.agreement >= CERTAIN else "probably "
    if model.nugget > 0.5 * model.sill:
        share = 100 * model.nugget / model.sill
        reason = f"{share:.0f} % of all variation is there already between almost identical prompts"
    else:
        times = model.range / found.typical
        reach = "beyond the distances seen here" if beyond else f"at a distance of {model.range:.2f}"
        reason = (
            f"the likeness of near prompts' scores is lost {reach}"
            + ("" if beyond else f", {times:.1f} times the median distance of two prompts")
            + (f" (rugged: below {RUGGED_BELOW:g} times)" if found.shape == "rugged" else "")
        )
    meaning = {
        "rugged": "A small edit changes the score about as much as a large one: the neighbours of a good prompt are no "
        "better bet than other prompts.",
        "smooth": "Small edits make small changes: the neighbours of a good prompt are a better bet than other "
        "prompts.",
    }[found.shape]
    text = f"{likely}{found.shape}: {reason}. {meaning}"
    return text[0].upper() + text[1:]


def _notes(call: LandscapeCall, measured: Measured) -> list[str]:
    notes, kept = [], len(measured.prompts)
    if measured.reached < len(call.prompts):
        notes.append(
            f"The budget reached {measured.reached} of {len(call.prompts)} prompts; with a larger one the same command "
            "goes on."
        )
    if kept < measured.reached:
        notes.append(f"{counted(measured.reached - kept, 'prompt')} had too many missing answers and are left out.")
    if kept < FEW_PROMPTS:
        notes.append(f"{kept} prompts are few: weak structure would not be seen. {FEW_PROMPTS} or more say it better.")
    unfinished = [run_name(run) for run in call.sources.runs if run.status != "finished"]
    if unfinished:
        notes.append(f"Not at their end, so that more prompts may come: {', '.join(unfinished)}.")
    return notes


def _prompt(prompt: Prompt, run: Run, generation: int, scores: np.ndarray, point: np.ndarray) -> MeasuredPrompt:
    return MeasuredPrompt(
        id=prompt.id,
        run=run_name(run),
        origin=printable(prompt.origin),
        text=printable(prompt.system),
        generation=generation,
        score=float(np.nanmean(scores)),
        n=int(np.sum(~np.isnan(scores))),
        x=float(point[0]),
        y=float(point[1]),
    )


def _map(vectors: np.ndarray) -> np.ndarray:
    """The vectors' first two principal components, shape (n, 2)."""
    centred = np.asarray(vectors, dtype=np.float64) - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * singular[:2]


def _figure(value: float, interval: Interval | None) -> Figure:
    assert interval is not None
    return Figure(value=value, low=interval.low, high=interval.high)
