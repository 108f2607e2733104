"""What an evaluation ends with, as plain values: stored with its run, shown to people, returned to programs."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ..traces.result import SCHEMA_VERSION, PromptContent


class LabelScore(BaseModel):
    """How a prompt does on the examples of one label: mean score with its 95 % interval, and how often it says it."""

    model_config = ConfigDict(frozen=True)

    label: str
    n: int
    score: float
    low: float
    high: float
    predicted: int


class Failure(BaseModel):
    """An example that was not answered fully right."""

    model_config = ConfigDict(frozen=True)

    example_id: str
    split: str
    input: str
    expected: str
    output: str
    score: float
    feedback: str = ""


class Evaluation(BaseModel):
    """One prompt measured on one split.

    `score` is the mean over the `n` examples that were answered, with its 95 % interval [low, high]; None where
    none was. `missing` counts calls that failed for good and enter nothing. `failures` are those of the lowest
    score, at most 20 of `failed`.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    task: str
    split: str
    target: str
    metric: str
    prompt: PromptContent
    score: float | None
    low: float | None
    high: float | None
    n: int
    missing: int
    failed: int
    by_label: list[LabelScore] = []
    failures: list[Failure] = []
    decoding: str = ""
    spend: dict[str, Any] = {}
    notes: list[str] = []
