"""What a landscape ends with, as plain values: stored with its run, shown to people, returned to programs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ...evaluation.landscape import Shape
from ...traces.result import SCHEMA_VERSION


class Figure(BaseModel):
    """An estimate with its 95 % interval (bootstrap over prompts)."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


class LagBin(BaseModel):
    """The semivariance of `pairs` pairs of prompts about `distance` apart, with its 95 % interval.

    It may be negative.
    """

    model_config = ConfigDict(frozen=True)

    distance: float
    gamma: float
    low: float
    high: float
    pairs: int


class MeasuredPrompt(BaseModel):
    """A prompt of the landscape: the run that met it first, how many edits it is from the seed, its mean score over the
    `n` examples of the panel that it has scores on, and where it lies on a map of the first two principal components.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    run: str
    origin: str
    text: str
    generation: int
    score: float
    n: int
    x: float
    y: float


class LandscapeResult(BaseModel):
    """The landscape of a task's prompts on one target.

    `verdict`: rugged, smooth, or no structure found; `agreement` is the share of bootstrap draws that say the same.
    `nugget`, `sill` (half a squared difference of scores) and `range` (a distance between embeddings, 0 to 2) are those
    of the fitted exponential semivariogram; None where the prompts do not differ by more than chance.
    `beyond`: the range lies beyond the distances that were seen, so that it is a lower bound at most.
    `p` and `mantel_r` are those of the Mantel test (see `evaluation.mantel`).
    `typical` is the median distance between two prompts, `edit` that of a prompt and one that it was made from,
    `edit_share` how much of the sill the semivariance has reached there. `spread` is the standard deviation of the true
    scores, `trend` what a generation added to the score (taken off before). `met` counts the prompts that the runs met,
    `left_out` those of the chosen ones that the budget did not reach or that had too many missing answers.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    alias: str
    task: str
    target: str
    embeddings: str
    runs: list[str]
    strategies: list[str]
    verdict: Shape
    sentence: str
    agreement: float
    p: float
    mantel_r: float
    nugget: Figure | None
    sill: Figure | None
    range: Figure | None
    beyond: bool
    typical: float
    edit: float | None
    edit_share: float | None
    spread: float
    trend: float
    bins: list[LagBin]
    prompts: list[MeasuredPrompt]
    met: int
    left_out: int
    panel: int
    missing: int
    spend: dict[str, Any] = {}
    notes: list[str] = []
    command: str
