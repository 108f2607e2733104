"""What a call of `decide` ends with, as plain values: stored, shown to people, returned to programs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ...traces.decision_result import DecisionRun, Measure
from ...traces.result import SCHEMA_VERSION

SeedState = Literal["waiting", "done", "failed"]


class SeedRun(BaseModel):
    """One run of a method. `error`: why it failed, in a line."""

    model_config = ConfigDict(frozen=True)

    seed: int
    run: str
    state: SeedState = "waiting"
    result: DecisionRun | None = None
    error: str = ""


class MethodRow(BaseModel):
    """A method: its runs, and the mean of their figures with its standard error (None: too few runs are done).

    `curve` and `curve_se` are the means over the runs after each round. `fixed` is the mean regret against the best
    single action, where the environment drifts. `entropy` (nats) and `distance` (L2 between successive meta-prompts'
    embeddings) are means by round.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    runs: list[SeedRun]
    mean: float | None = None
    se: float | None = None
    fixed: float | None = None
    fixed_se: float | None = None
    seconds_per_round: float | None = None
    agent_calls: float | None = None
    curve: list[float | None] = []
    curve_se: list[float | None] = []
    entropy: list[float] = []
    distance: list[float | None] = []

    @property
    def complete(self) -> bool:
        """Whether all of its runs came to their end."""
        return all(run.state == "done" for run in self.runs)


class PairDifference(BaseModel):
    """`first` minus `second`, paired by seed: its mean, standard error and number of pairs."""

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    difference: float | None
    se: float | None
    n: int


class DecideResult(BaseModel):
    """The outcome of a call: `rows` in the order given, `pairs` over all of them.

    `measure` is what the figures are, `lower`: whether lower is better. `best`: the method of the best mean. `command`
    goes on or shows it again. `exit_code`: 0, 1 where a run failed, 75 where runs are left to do.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    alias: str
    environment: str
    agent: str | None
    seeds: int
    rounds: int
    measure: Measure = "regret"
    lower: bool = True
    rows: list[MethodRow]
    pairs: list[PairDifference] = []
    best: str | None = None
    verdict: Literal["compared", "unfinished"] = "compared"
    spent: dict[str, Any] = {}
    notes: list[str] = []
    command: str = ""
    exit_code: int = 0

    def row(self, method: str) -> MethodRow:
        """The row of that method."""
        return next(row for row in self.rows if row.method == method)
