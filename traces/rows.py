"""What the run store holds, as plain values: one frozen class per kind of row."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RunStatus = Literal["created", "running", "interrupted", "finished", "failed"]
CallRole = Literal["target", "agent", "judge", "certification"]


@dataclass(frozen=True, slots=True)
class Run:
    """One optimisation. `id` is a UUID, `alias` the name the user gave it, if any; times are seconds since 1970.

    `seconds` is the working time so far, `restarts` how often it was taken up again.
    """

    id: str
    alias: str | None
    task: str
    strategy: str
    settings: Mapping[str, Any]
    status: RunStatus = "created"
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    result: Mapping[str, Any] | None = None
    error: str | None = None
    seconds: float = 0.0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to the request that `key` identifies; shared by all runs. `latency` in seconds."""

    key: str
    text: str
    input_tokens: int | None
    output_tokens: int | None
    latency: float
    label_logprobs: Mapping[str, float] | None = None
    decoding: str = "text"


@dataclass(frozen=True, slots=True)
class Call:
    """The ledger's journal: one logical call of one run, whatever it took. `usd` counts every attempt.

    `cached`: the answer came from the store; `missing`: the call failed for good and has no answer.
    """

    run_id: str
    key: str
    role: CallRole
    iteration: int
    input_tokens: int
    output_tokens: int
    usd: float
    attempts: int
    cached: bool
    missing: bool


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A prompt a run has met: `content` as the prompt dumps itself, `parents` the ids it was made from."""

    run_id: str
    id: str
    iteration: int
    content: Mapping[str, Any]
    parents: tuple[str, ...] = ()
    origin: str = "seed"


@dataclass(frozen=True, slots=True)
class Record:
    """One prompt measured on one example once. `score` is None where the call went missing.

    `step` is the step of the run that measured it first.
    """

    run_id: str
    prompt_id: str
    example_id: str
    repeat: int
    split: str
    key: str
    score: float | None
    output: str
    feedback: str = ""
    tokens: int | None = 0
    label_logprobs: Mapping[str, float] | None = None
    step: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on a candidate against the champion of its time, with the statistics behind it."""

    run_id: str
    iteration: int
    index: int
    prompt_id: str
    champion_id: str
    verdict: str
    reason: str
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TestUse:
    """A run that certified on a test split: each further use of the same split weakens its evidence."""

    __test__ = False  # pytest takes classes named Test… for tests

    test_key: str
    run_id: str
    used_at: float


Row = Answer | Call | StoredPrompt | Record | Decision
"""What `RunStore.add` takes."""
