"""What a comparison ends with, as plain values: stored with its run, shown to people, returned to programs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ...traces.result import SCHEMA_VERSION, PromptContent, Verdict

ArmState = Literal["waiting", "done", "failed", "interrupted"]


class ComparedRun(BaseModel):
    """One run of a row. `score` and `gain` over the seed prompt are those of its best prompt on the first half of the
    test split; `unchanged`: it came back with the seed prompt. `estimate` is what its search made of it.

    `seconds` are working time, `error` why it failed or did not come to its end, in a line.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    run: str
    run_id: str | None = None
    state: ArmState = "waiting"
    score: float | None = None
    gain: float | None = None
    unchanged: bool = False
    estimate: float | None = None
    best: PromptContent | None = None
    spent: dict[str, float] = {}
    seconds: float = 0.0
    error: str = ""


class ComparedRow(BaseModel):
    """One row: its runs, and the mean gain of those that are done, with a 95 % interval [low, high] and p against 0.

    None where nothing was measured, or too much was missing. `n` examples had every score; `conditional`: of one run
    alone, so that the interval says nothing of what another run would give. `note`: why a figure is not there, or what
    to mind.
    """

    model_config = ConfigDict(frozen=True)

    row: str
    runs: list[ComparedRun]
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0
    missing: float = 0.0
    conditional: bool = False
    note: str = ""

    @property
    def complete(self) -> bool:
        """Whether all of its runs came to their end."""
        return all(run.state == "done" for run in self.runs)


class ComparedPair(BaseModel):
    """`first` minus `second`, paired by seed and example, with a 95 % interval; `adjusted` is p corrected over all
    pairs (Holm). None where too much was missing."""

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    adjusted: float | None
    n: int
    seeds: int


class ComparisonResult(BaseModel):
    """The outcome of a comparison.

    `rows` in the order given, `pairs` over those that could be measured. `winner` is the row of the best mean gain
    on the first half of the test split, `winner_run` its run of the best score there; the certificate (`verdict` to
    `broken`, as of an optimisation) is of that run's best prompt against the seed prompt on the second half. `prompt`
    is what to use. `compared_on` and `certified_on` are the sizes of the halves, `budget` what every run might spend,
    `spend` what measuring took. `exit_code`: 0, 1 where a row failed, 75 where runs are left to do.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    alias: str
    task: str
    target: str
    agent: str | None = None
    seeds: int
    budget: dict[str, float]
    rows: list[ComparedRow]
    pairs: list[ComparedPair] = []
    seed_prompt: PromptContent
    seed_mean: float | None = None
    compared_on: int
    certified_on: int
    winner: str | None = None
    winner_run: str | None = None
    verdict: Verdict | Literal["unfinished"]
    sentence: str
    prompt: PromptContent
    best: PromptContent | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    alpha: float | None = None
    seed_score: float | None = None
    best_score: float | None = None
    n: int = 0
    missing: int = 0
    method: str = ""
    test_use: int = 0
    fixed: list[str] = []
    broken: list[str] = []
    spend: dict[str, Any] = {}
    notes: list[str] = []
    command: str
    exit_code: int = 0
