"""Everything that defines a run, as it is stored with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..agents.validator import ValidationRules
from ..errors import UsageError, nearest
from ..evaluation.budget import Budget
from ..evaluation.outage import PATIENCE_MINUTES
from ..evaluation.panels import Panels
from ..evaluation.preflight import Plan, plan
from ..evaluation.spending import spent_alpha
from ..tasks.target import Target
from ..tasks.task import Task
from .state import DEFAULT_STRATEGY

DEFAULT_CALLS = 1200

Change = Literal["defining", "may change", "may grow"]
CHANGES: dict[str, Change] = {
    "task": "defining",
    "task_options": "defining",
    "task_key": "defining",
    "strategy": "defining",
    "options": "defining",
    "target": "defining",
    "agent": "defining",
    "base_url": "defining",
    "budget": "may grow",
    "seed": "defining",
    "certify": "defining",
    "in_process": "defining",
    "timeout": "may change",
    "concurrency": "may change",
    "patience": "may change",
    "rules": "defining",
    # What none, local and e2b find differs, and nobody should end up unsafe because a name was used again.
    "sandbox": "defining",
}
"""What the same run may be called with later on: whether each field of `RunSettings` defines the run."""


class SearchOptions(BaseModel):
    """Options that every strategy has.

    `candidates` (Q) are proposed per iteration from the `pool` (P) best prompts; `iterations` is a limit on top of
    the budget (None: until the budget is spent).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: int = Field(default=8, ge=1, le=64)
    pool: int = Field(default=2, ge=1, le=64)
    iterations: int | None = Field(default=None, ge=1)


class RunSettings(BaseModel):
    """One run's definition: plain values only, never a key.

    `task` and `target` are names; where a Python object was passed instead, they are its name and `in_process`
    says that the run can only go on where the object is passed again. `task_key` is the task's content, by which a
    change of its files is noticed (empty: it was not looked at). `timeout` is in seconds, for one attempt of
    a call. `sandbox` is where analysis code runs: auto, e2b, local, none (no code at all), unsafe. `concurrency` is how
    many calls to the target are under way at once, None: as many as the provider bears; no result depends on it.
    `patience` is how many minutes a provider that does not answer is waited for before the run stops, to be resumed;
    they are no working time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    task_options: dict[str, Any] = {}
    task_key: str = ""
    strategy: str = DEFAULT_STRATEGY
    options: dict[str, Any] = {}
    target: str = "local"
    agent: str | None = None
    base_url: str | None = None
    budget: str = ""
    seed: int = 0
    certify: bool = True
    in_process: bool = False
    timeout: float = Field(default=60.0, gt=0)
    rules: dict[str, Any] = {}
    sandbox: str = "auto"
    concurrency: int | None = Field(default=None, ge=1, le=1024)
    patience: float = Field(default=PATIENCE_MINUTES, ge=0, allow_inf_nan=False)

    def limits(self) -> Budget:
        """The budget; 1,200 target calls where nothing that was named would end the run. Raises BudgetError."""
        budget = Budget.parse(self.budget)
        free = self.target.startswith("local")
        bounded = budget.target_calls or budget.minutes or budget.tokens or (budget.usd and not free)
        return budget if bounded else replace(budget, target_calls=DEFAULT_CALLS)

    def search_options(self) -> SearchOptions:
        """The strategy's options, checked. Raises UsageError naming the option."""
        from .registry import strategy  # the registry knows the strategies, which know these settings

        options = strategy(self.strategy).options
        try:
            return options.model_validate(self.options)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            hint = nearest(name, options.model_fields) if first["type"] == "extra_forbidden" else ""
            reason = "there is no such option" if first["type"] == "extra_forbidden" else first["msg"]
            raise UsageError(f"option '{name}' of strategy {self.strategy}: {reason}.{hint}") from None

    def plan(self, task: Task, target: Target, panels: Panels, uses: int) -> Plan:
        """What the budget buys, without a call; `uses` is how often the test split was used before.

        Raises BudgetTooSmall where it cannot pay certification plus one race.
        """
        rules = self.validation()
        return plan(
            task,
            target,
            self.limits(),
            panels,
            certify=self.certify,
            alpha=spent_alpha(uses + 1),
            block=rules.block,
            holdout=rules.holdout,
            max_regression=rules.max_regression,
        )

    def validation(self) -> ValidationRules:
        """The rules of acceptance, with the run's changes to the defaults."""
        return ValidationRules(**self.rules)
