"""What a pre-flight ends with, as plain values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ..traces.result import SCHEMA_VERSION


class Twins(BaseModel):
    """Two examples of different splits that say nearly the same."""

    model_config = ConfigDict(frozen=True)

    first: str
    first_split: str
    first_input: str
    second: str
    second_split: str
    second_input: str
    overlap: float


class Preflight(BaseModel):
    """What a run of a task would be. `plan` and `look` have the fields of the events of these names.

    `most_usd` is None where a price is unknown or nothing limits the cost (`cost_unlimited`). `look` is None where
    nothing was measured.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    task: str
    metric: str
    target: str
    agent: str | None
    base_url: str | None = None
    budget: dict[str, float]
    label_counts: dict[str, int]
    seed_prompt: dict[str, str]
    plan: dict[str, Any]
    most_usd: float | None
    cost_unlimited: bool
    test_uses: int
    near_duplicates: list[Twins]
    near_duplicate_count: int
    look: dict[str, Any] | None = None
    run_id: str | None = None
