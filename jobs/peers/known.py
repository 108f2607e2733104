"""Which other optimisers (peers) can be compared with: their packages, pinned, and what each of them is."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import SageError, UsageError, nearest
from ...traces.rows import PEER


class PeerError(SageError):
    """A peer could not be installed, broke off, or gave no result (exit code 1)."""


@dataclass(frozen=True)
class Environment:
    """The packages that some peers share: a virtual environment of its own, apart from this project's.

    `requirements` are pinned. `newest_python`: the newest (major, minor) version that the packages work with.
    """

    name: str
    requirements: tuple[str, ...]
    newest_python: tuple[int, int]


@dataclass(frozen=True)
class Peer:
    """One optimiser of another package.

    `runner` is the script of `runners/` that calls it there, `algorithm` what it is told to run.
    """

    name: str
    summary: str
    environment: Environment
    runner: str
    algorithm: str

    @property
    def strategy(self) -> str:
        """The strategy of its runs."""
        return PEER + self.name

    @property
    def requirements(self) -> tuple[str, ...]:
        """What is installed for it."""
        return self.environment.requirements


GEPA = Environment("gepa", ("gepa==0.1.4",), (3, 14))
# MIPROv2 wants Optuna, which the package leaves to an extra.
DSPY = Environment("dspy", ("dspy[optuna]==3.4.1", "optuna==5.0.0"), (3, 14))
PROMPTOLUTION = Environment("promptolution", ("promptolution==2.3.0",), (3, 12))

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer("gepa", "GEPA: reflection on minibatches, a Pareto front of prompts", GEPA, "gepa_runner.py", "GEPA"),
        Peer("dspy", "DSPy's MIPROv2: proposed instructions, Bayesian search", DSPY, "dspy_runner.py", "MIPROv2"),
        Peer("dspy-gepa", "DSPy's own GEPA", DSPY, "dspy_runner.py", "GEPA"),
        Peer(
            "promptolution",
            "promptolution's CAPO: crossover, mutation, racing",
            PROMPTOLUTION,
            "promptolution_runner.py",
            "CAPO",
        ),
        Peer(
            "evoprompt",
            "promptolution's EvoPromptGA: a genetic algorithm of prompts",
            PROMPTOLUTION,
            "promptolution_runner.py",
            "EvoPromptGA",
        ),
    )
}
"""Every peer by its name."""


def known_peer(name: str) -> Peer:
    """The peer of that name. Raises UsageError where there is none."""
    if name not in PEERS:
        raise UsageError(f"peer: there is none named '{name}'.{nearest(name, PEERS)} Known: {', '.join(PEERS)}")
    return PEERS[name]
