"""What a run of an agent that decides in sequence ends with, as plain values: stored with the run, shown, returned."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from .result import SCHEMA_VERSION

Measure = Literal["regret", "gap", "reward", "best"]
"""What is measured. `regret`: the sum of what was lost against the best action of each round. `gap`: how far the best
action so far is from the optimum. Where the truth is unknown: `reward`, the sum of the values; `best`, the best one."""
LOWER_IS_BETTER = ("regret", "gap")


class MetaPrompt(BaseModel):
    """The two parts of a meta-prompt that were chosen."""

    model_config = ConfigDict(frozen=True)

    arm: int
    task: str
    instruction: str


class DecisionRun(BaseModel):
    """The outcome of one run.

    `curve` is the measure after each round, `figure` its last value; `lower`: whether lower is better.
    `fixed_regret`: against the best single action (drifting environments; `regret` is against the best of each round).
    By round: `scores` of the meta-prompts, `entropy` (nats) of the distribution they were drawn from, `distance` (L2)
    between the embeddings of successive ones, `arms`. `arms_of`: how many there were. `meta_prompt` is the one chosen
    last. `unreadable` counts answers without an action, `missing` rounds whose meta-prompt could not be scored.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    environment: str
    method: str
    seed: int
    agent: str | None
    embeddings: str | None = None
    rounds: int
    measure: Measure
    lower: bool
    figure: float | None
    curve: list[float | None]
    fixed_regret: float | None = None
    scores: list[float | None] = []
    entropy: list[float] = []
    distance: list[float | None] = []
    arms: list[int] = []
    arms_of: int = 1
    meta_prompt: MetaPrompt | None = None
    best_action: str | None = None
    best_value: float | None = None
    unreadable: int = 0
    missing: int = 0
    stop: str = ""
    notes: list[str] = []
    spend: dict[str, Any] = {}
    seconds: float = 0.0
    seconds_per_round: float = 0.0
    verdict: Literal["done", "stopped"] = "done"
