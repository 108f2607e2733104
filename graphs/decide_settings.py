"""Everything that defines a run of an agent that decides in sequence, as it is stored with it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..errors import UsageError, nearest
from ..evaluation.budget import Budget
from ..evaluation.outage import PATIENCE_MINUTES
from ..models.names import OPENAI_URL, parse_model
from ..tasks.environments.guard import SECONDS
from .decide_methods import PRESETS, DecideOptions, Method, method
from .run_settings import checked_model

DEFAULT_ENVIRONMENT = "bandits:buttons-hard"
DEFAULT_METHOD = "expo"
PROVIDER_EMBEDDINGS = "openai:text-embedding-3-large"
FREE = ("budget", "timeout", "patience", "environment_seconds")
"""What the same run may be called with later on; all else defines it."""


class DecideSettings(BaseModel):
    """One run's definition: plain values only, never a key.

    `environment` is its name; `in_process`: it was passed as a Python object, and the run can only go on where it is
    passed again. `rounds`: None: the environment's own number. `agent` decides, and rephrases; `embeddings`: the model
    that embeds (None: the provider's own where the agent is OpenAI's, else the embedded one), at `base_url` too where
    it is an `openai:` one. `options` are changes to the `preset` (default, faithful). `timeout` is in seconds for an
    attempt of a call, `environment_seconds` for a call of the environment, `patience` in minutes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = DEFAULT_ENVIRONMENT
    method: str = DEFAULT_METHOD
    rounds: int | None = Field(default=None, ge=1, le=100_000)
    agent: str = "local"
    base_url: str | None = None
    embeddings: str | None = None
    budget: str = ""
    seed: int = 0
    preset: str = "default"
    options: dict[str, Any] = {}
    in_process: bool = False
    timeout: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    environment_seconds: float = Field(default=SECONDS, gt=0, allow_inf_nan=False)
    patience: float = Field(default=PATIENCE_MINUTES, ge=0, allow_inf_nan=False)

    def check(self) -> None:
        """Raises UsageError naming the method, preset or option that does not exist or is out of bounds."""
        self.how()
        self.decide_options()

    def how(self) -> Method:
        """The method."""
        return method(self.method)

    def decide_options(self) -> DecideOptions:
        """The options, checked."""
        if self.preset not in PRESETS:
            raise UsageError(
                f"preset: there is none named '{self.preset}'.{nearest(self.preset, PRESETS)} "
                f"Known: {', '.join(PRESETS)}"
            )
        values = {**PRESETS[self.preset], **self.options}
        options = checked_model(DecideOptions, values, f"of method {self.method}", "option")
        if options.embedding == "shared" and options.arms > 49:
            raise UsageError("option 'embedding': shared embeds every pair of texts; set arms to 49 or fewer")
        return options

    def limits(self) -> Budget:
        """The budget. Raises BudgetError."""
        return Budget.parse(self.budget)

    def embedding_model(self) -> str:
        """The model that embeds."""
        if self.embeddings:
            return self.embeddings
        agent = parse_model(self.agent, self.base_url)
        return PROVIDER_EMBEDDINGS if agent.base_url == OPENAI_URL else "local"
