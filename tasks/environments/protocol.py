"""What a decision environment is: four methods, and the plain values that pass through them."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Goal = Literal["minimise", "maximise"]
Unreadable = Literal["missing", "worst", "random"]
BASELINES = ("opro", "opro-clarified")
"""Meta-prompts of other systems that an environment may have a wording for."""


@dataclass(frozen=True)
class Wording:
    """The two parts of a meta-prompt that may be said differently: what it is about, and what to do now."""

    task: str
    instruction: str


@dataclass(frozen=True)
class Description:
    """What an environment asks for.

    `task` and `instruction` are the texts that are rephrased; `answer` says how an action is to be written and stays as
    it is. `actions`: all there are, where they can be listed: the agent then sees a summary of each action's values and
    plays one a round; where there are none it sees the best `exemplars` pairs of action and value, and every action of
    a round's batch is tried. `low` and `high` bound the values: what lies outside is missing. `bound`: for
    minimisation, the value that scores 0 (None: the worst warm start's). `unreadable`: what an answer that holds no
    action counts as. `eta`: how sharply meta-prompts are chosen by their predicted scores. `wordings`: of the baselines
    (`opro`, `opro-clarified`) that have one. `value` is what a value is called.
    """

    task: str
    instruction: str
    answer: str
    goal: Goal = "maximise"
    actions: tuple[str, ...] = ()
    rounds: int = 100
    exemplars: int = 20
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    unreadable: Unreadable = "missing"
    eta: float = 10.0
    value: str = "value"
    wordings: Mapping[str, Wording] = field(default_factory=dict)

    def wording(self, name: str) -> Wording:
        """That of a baseline, else the environment's own."""
        return self.wordings.get(name, Wording(self.task, self.instruction))


@dataclass(frozen=True)
class Outcome:
    """What came of an action: `value` is what the agent is told, None where it is missing.

    For judging alone, where the truth is known, and never shown to the agent: `regret`, how much worse the action is
    than the best one at that moment (in the environment's own unit), and `means`, the true mean of each of its
    `actions` then.
    """

    value: float | None
    regret: float | None = None
    means: tuple[float, ...] = ()


class Environment(Protocol):
    """Where an agent acts. Methods may be asynchronous; one that raises or hangs ends the run, to be resumed.

    A run that goes on after a crash calls `reset` with the same seed and then `step` with every action it has made, in
    order: where the environment is a process of its own, an `action_id` that it has seen must do nothing and give what
    it gave.
    """

    def reset(self, seed: int) -> Sequence[str] | Awaitable[Sequence[str] | None] | None:
        """Begin an episode; returns actions to begin with (warm starts), which are taken first, or nothing."""
        ...

    def describe(self) -> Description | Awaitable[Description]:
        """What is asked for, in the episode that `reset` began."""
        ...

    def parse(self, reply: str) -> str | Awaitable[str]:
        """The action in an agent's reply, in the one form that `step` takes and that is shown to the agent again.

        Raises ValueError where there is none; its message is shown to the agent, which is asked again.
        """
        ...

    def step(self, action: str, action_id: str) -> Outcome | float | Awaitable[Outcome | float | None] | None:
        """Take the action and say what came of it; None where that cannot be known. The same id: the same outcome."""
        ...
