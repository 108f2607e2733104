"""What the run store holds, as plain values: one frozen class per kind of row."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RunStatus = Literal["created", "running", "interrupted", "finished", "failed"]
DECIDE = "decide:"
"""What the strategy of a run of an agent that decides in sequence begins with; its method follows."""
PEER = "peer:"
"""What the strategy of a run of another package's optimiser begins with."""
CallRole = Literal["target", "agent", "judge", "certification"]

NO_SEARCH = ("evaluate", "preflight", "compare", "landscape")


def is_decision(strategy: str) -> bool:
    """Whether a run of this strategy is one of an agent that decides in sequence, or a call of several."""
    return strategy == "decide" or strategy.startswith(DECIDE)


def is_search(strategy: str) -> bool:
    """Whether a run of this strategy is a search of our own, and no measurement, comparison, peer or deciding agent."""
    return strategy not in NO_SEARCH and not strategy.startswith(PEER) and not is_decision(strategy)


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
class Spending:
    """What all the calls of one role cost in one step of a run (for agents: in one iteration); see `Call`."""

    role: CallRole
    step: int
    calls: int
    cached: int
    missing: int
    input_tokens: int
    output_tokens: int
    usd: float


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
class Turn:
    """One turn of a strategy in a run that several share.

    It begins with `iteration`, was chosen in `step` with probability `chance` while `champion_id` led, and lasts until
    the next turn is chosen. `ended` says what the strategy met that ended it; empty where it just was over.
    """

    run_id: str
    index: int
    strategy: str
    iteration: int
    step: int
    champion_id: str
    chance: float
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a diagnosis supposes to be a cause of failures, and what came of it.

    `source`: who wrote it. `predicate` selects the records it is about (a Python expression), `findings` are the ids
    of the findings it rests on. `support` holds our own counts and tests, `matched`
    the ids of the examples it is about. `status`: dropped, spare (held, but others were tried first), or direction
    (something is tried against it); `reason` says why in words. `edits` are what was tried, `cause` the counts inside
    the matched records.
    """

    run_id: str
    iteration: int
    index: int
    source: str
    claim: str
    predicate: str
    effect: str
    fix: str
    findings: tuple[str, ...]
    status: str
    reason: str = ""
    support: Mapping[str, Any] = field(default_factory=dict)
    matched: tuple[str, ...] = ()
    cause: str = ""
    edits: tuple[Mapping[str, Any], ...] = ()
    shown: tuple[str, ...] = ()


LEFT_OUT = "sentences left out"
"""The source of hypotheses that are no cause of failures: each says of a sentence of the prompt that it is missed."""


@dataclass(frozen=True, slots=True)
class CodeRun:
    """Analysis code that was run in the sandbox for one iteration, and what it gave.

    `usd` is what it cost in US dollars; where a step was run again after a crash, all of its runs together.
    """

    run_id: str
    iteration: int
    index: int
    purpose: str
    code: str
    stdout: str
    findings: tuple[Mapping[str, Any], ...]
    error: str | None
    seconds: float
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a run of an agent that decides in sequence.

    `arm` is the meta-prompt it was told, `probability` with what chance that was chosen, `entropy` (nats) how
    undecided the choice was, `distance` how far (L2) the meta-prompt's embedding is from that of the round before
    (None: there was none). `exemplars` are the actions it was shown, by id. `score` is the meta-prompt's (None: it is
    missing, and `note` says why), `seconds` the round's working time.
    """

    run_id: str
    round: int
    arm: int
    probability: float
    entropy: float
    distance: float | None
    exemplars: tuple[str, ...]
    score: float | None
    note: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Action:
    """What the agent chose to do, and what came of it; round 0 are an environment's warm starts.

    `value` is None before it was taken (`taken`), and where it is missing (`note` says why). `regret` and `means` are
    the environment's truth, for judging alone.
    """

    run_id: str
    round: int
    index: int
    action: str
    taken: bool = False
    value: float | None = None
    regret: float | None = None
    means: tuple[float, ...] = ()
    note: str = ""

    @property
    def id(self) -> str:
        """What the environment knows it by."""
        return f"{self.round}.{self.index}"


@dataclass(frozen=True, slots=True)
class TestUse:
    """A run that certified on a test split: each further use of the same split weakens its evidence."""

    __test__ = False  # pytest takes classes named Test… for tests

    test_key: str
    run_id: str
    used_at: float


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """Where a schedule stands; times are seconds since 1970.

    `definition` is what its times come from, `anchor` when it was first seen so. `next_at`: when it fires next (None:
    never again). `firing_at`: the fire that is under way, or was when the process ended. `last_at`, `last_code`,
    `last_outcome`: the fire before, its exit code and what came of it in words.
    """

    name: str
    definition: str
    anchor: float
    next_at: float | None
    firing_at: float | None = None
    last_at: float | None = None
    last_code: int | None = None
    last_outcome: str = ""


Row = Answer | Call | StoredPrompt | Record | Decision | Turn | Hypothesis | CodeRun | Round | Action
"""What `RunStore.add` takes."""
