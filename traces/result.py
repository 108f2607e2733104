"""What a run ends with, as plain values: stored with the run, shown to people, returned to programs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

Verdict = Literal["improved", "not certified", "unchanged", "inconclusive", "harmed", "budget too small", "not tested"]


class PromptContent(BaseModel):
    """A prompt as it is sent: text components, and demos as `{input, output}`."""

    model_config = ConfigDict(frozen=True)

    id: str
    components: dict[str, str]
    demos: list[dict[str, Any]] = []
    origin: str = "seed"


class Case(BaseModel):
    """A test example that the two prompts answered differently."""

    model_config = ConfigDict(frozen=True)

    example_id: str
    input: str
    expected: str
    before: str
    after: str


class Result(BaseModel):
    """The outcome of a run.

    `prompt` is what to use: the best prompt where it was certified (or could not be, the test split being too
    small to certify anything), the seed otherwise. `gain` is the mean test score of `best` minus that of the
    seed, with its 95 % interval [low, high] and two-sided `p`, held against `alpha`; None where nothing was
    tested. `estimate` is the shrunken score of `best` over everything the search measured.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    run_id: str
    alias: str | None = None
    task: str
    strategy: str
    target: str
    agent: str | None = None
    seed: int
    verdict: Verdict
    sentence: str
    prompt: PromptContent
    best: PromptContent
    seed_prompt: PromptContent
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
    fixed_case: Case | None = None
    broken_case: Case | None = None
    estimate: float | None = None
    iterations: int = 0
    candidates: int = 0
    accepted: int = 0
    decoding: str = ""
    stop: str = ""
    spend: dict[str, Any] = {}
    notes: list[str] = []
