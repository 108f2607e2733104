"""What flows through the graphs: ids and small aggregates. Everything long lives in the run store."""

from __future__ import annotations

from typing import Annotated, Any

from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from .registry import strategies

DEFAULT_TASK = "headlines"
DEFAULT_STRATEGY = "sage"


class TaskInput(TypedDict, total=False):
    """What a run of one strategy is started with: the form that LangGraph Studio shows."""

    task: Annotated[
        str,
        Field(
            default=DEFAULT_TASK,
            title="Task",
            description="A built-in task (headlines, languages, reviews, tickets), a task.yaml or a data file.",
        ),
    ]


class OptimizeInput(TaskInput, total=False):
    """What a run is started with, where a strategy is to be chosen too."""

    strategy: Annotated[
        str,
        Field(
            default=DEFAULT_STRATEGY,
            title="Strategy",
            description=f"How candidates are found: {', '.join(strategies())}.",
        ),
    ]


class Context(BaseModel):
    """Models, budget and seed of a run."""

    target: str = Field(
        default="local", title="Target model", description="The model whose prompt is optimised: local, openai:MODEL, …"
    )
    agent: str = Field(
        default="",
        title="Agent model",
        description="The model that writes prompts; empty: the built-in playbook, which needs none.",
    )
    budget: str = Field(
        default="",
        title="Budget",
        description="What the run may spend, as in usd=2,target_calls=1500,minutes=30; empty: 1,200 target calls.",
    )
    seed: int = Field(default=0, title="Seed", description="The run's randomness: the same seed, the same run.")


class RunState(OptimizeInput):
    """The state of a run. `step` counts the steps (see `steps.step`); prompts are named by id.

    `champion` is the prompt to beat, `accepted` the seed and the latest champions, `pool` the prompts that
    candidates are made from (best first), `candidates` those of the iteration in hand, `proposed` how many there
    were in all. `turn` names the strategy whose turn it is where several share the run. `init` says what the search
    sets out from (see `SearchOptions`). `flip_rate` is what A/A runs of the seed showed, `decoding` how the target
    answers; `stop` says why the search ended (empty: it goes on). `prepare` sets every field; a strategy may have more,
    of its own.
    """

    run_id: str
    step: int
    iteration: int
    seed_prompt: str
    champion: str
    accepted: list[str]
    pool: list[str]
    candidates: list[str]
    proposed: int
    turn: str
    init: str
    flip_rate: float
    decoding: str
    stop: str
    verdict: str


Graph = CompiledStateGraph[Any, Context, Any, Any]
"""A compiled graph over this state."""

Update = dict[str, Any]
"""What a node changes of the state, by field name."""


class OptimizeOutput(TypedDict, total=False):
    """What a run ends with; the whole result is in the run store under `run_id`."""

    run_id: str
    champion: str
    verdict: str
    stop: str
