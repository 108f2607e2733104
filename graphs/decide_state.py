"""What flows through the graph of an agent that decides in sequence: small values; the rest is in the run store."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from ..tasks.environments.loading import ENVIRONMENTS
from .decide_methods import METHODS
from .decide_settings import DEFAULT_ENVIRONMENT, DEFAULT_METHOD


class DecideInput(TypedDict, total=False):
    """What a run is started with: the form that LangGraph Studio shows."""

    environment: Annotated[
        str,
        Field(
            default=DEFAULT_ENVIRONMENT,
            title="Environment",
            description=f"Where the agent decides: {', '.join(ENVIRONMENTS)}, module:factory, or an http(s) address.",
        ),
    ]
    method: Annotated[
        str,
        Field(
            default=DEFAULT_METHOD,
            title="Method",
            description=f"How its meta-prompt is chosen: {', '.join(METHODS)}.",
        ),
    ]


class DecideContext(BaseModel):
    """Model, budget, rounds and seed of a run."""

    agent: str = Field(default="local", title="Agent model", description="The model that decides: local, openai:MODEL.")
    rounds: int = Field(default=0, title="Rounds", description="How many; 0: as many as the environment says.")
    budget: str = Field(
        default="",
        title="Budget",
        description="What the run may spend, as in usd=2,agent_calls=1000; empty: what its rounds take.",
    )
    seed: int = Field(default=0, title="Seed", description="The run's randomness: the same seed, the same run.")


class DecideState(DecideInput):
    """The state of a run. `round` counts from 1 to `last`; `arm` is the meta-prompt (or action) of the round in hand,
    drawn with `probability`; `silent` counts rounds in a row without any answer; `stop` says why it ends before its
    last round."""

    run_id: str
    round: int
    last: int
    arm: int
    probability: float
    silent: int
    stop: str
    verdict: str


class DecideOutput(TypedDict, total=False):
    """What a run ends with; the whole result is in the run store under `run_id`."""

    run_id: str
    verdict: str
    stop: str
