"""What a batch ends with, as plain values: printed for programs, shown to people as a table."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ...traces.result import SCHEMA_VERSION
from ...traces.rows import Run
from .plan import State

SPENT = ("target_calls", "agent_calls", "tokens", "usd", "minutes")


class JobOutcome(BaseModel):
    """How one job stands. Scores are of the test split (kind optimize) or of the split measured (kind evaluate).

    `exit_code` is that of the job's command; None where it did not run. `limits`: what it might spend. `error`: why
    it failed or was skipped, or was interrupted where nobody asked for that (a provider that is down, a full disk).
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: str
    state: State
    run: str
    run_id: str | None = None
    exit_code: int | None = None
    verdict: str | None = None
    seed_score: float | None = None
    best_score: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    prompt_id: str | None = None
    spent: dict[str, float] = {}
    limits: dict[str, float] = {}
    error: str = ""


class BatchOutcome(BaseModel):
    """How a batch stands: every job in the order of the file, and the budget that they share."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    batch: str
    file: str
    jobs: list[JobOutcome]
    limits: dict[str, float] = {}
    spent: dict[str, float] = {}
    exit_code: int


def result_code(run: Run) -> int:
    """The exit code that a finished run stands for."""
    from ..commands_run import EXIT_CODES

    result = run.result or {}
    if run.strategy == "evaluate":
        return 0 if result.get("n") else 1
    return EXIT_CODES.get(str(result.get("verdict")), 0)


def spent_of(run: Run) -> dict[str, float]:
    """What a finished run has spent, by unit."""
    spend = (run.result or {}).get("spend", {})
    return {unit: amount for unit, amount in spend.get("spent", {}).items() if unit in SPENT}


def result_fields(run: Run | None) -> dict[str, Any]:
    """What a finished run adds to its job's outcome."""
    if run is None:
        return {}
    if run.status != "finished" or not run.result:
        return {"run_id": run.id}
    result = run.result
    found: dict[str, Any] = {"run_id": run.id, "low": result["low"], "high": result["high"]}
    if run.strategy == "evaluate":
        return found | {"best_score": result["score"], "prompt_id": result["prompt"]["id"], "verdict": "measured"}
    same = ("verdict", "seed_score", "best_score", "gain", "p")
    return found | {name: result[name] for name in same} | {"prompt_id": result["prompt"]["id"]}


def whole_code(jobs: list[JobOutcome]) -> int:
    """A batch's exit code: 75 where anything is left to do, 3 where budgets alone were too small, 1 failure, else 0."""
    if any(job.state in ("waiting", "running", "interrupted") for job in jobs):
        return 75
    failed = [job for job in jobs if job.state == "failed"]
    if failed and all(job.exit_code == 3 for job in failed):
        return 3
    return 1 if failed else 0
