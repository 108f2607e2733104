"""Everything that defines a run, as it is stored with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

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
from .registry import entry, strategy
from .state import DEFAULT_STRATEGY
from .strategy import DEFAULT_PRESET, Preset, SearchOptions

DEFAULT_CALLS = 1200
M = TypeVar("M", bound=BaseModel)

Change = Literal["defining", "may change", "may grow"]
CHANGES: dict[str, Change] = {
    "task": "defining",
    "task_options": "defining",
    "task_key": "defining",
    "strategy": "defining",
    "options": "defining",
    "preset": "defining",
    "target": "defining",
    "agent": "defining",
    "base_url": "defining",
    "budget": "may grow",
    "seed": "defining",
    "certify": "defining",
    "in_process": "defining",
    "cache_scope": "defining",
    "timeout": "may change",
    "concurrency": "may change",
    "patience": "may change",
    "rules": "defining",
    # What none, local and e2b find differs, and nobody should end up unsafe because a name was used again.
    "sandbox": "defining",
}
"""What the same run may be called with later on: whether each field of `RunSettings` defines the run."""


class RunSettings(BaseModel):
    """One run's definition: plain values only, never a key.

    `options` and `rules` (of acceptance) are changes to the strategy's `preset`: `default`, `faithful`, or another one.
    `task` and `target` are names; where a Python object was passed instead, they are its name and `in_process` says
    that the run can only go on where the object is passed again. `task_key` is the task's content, by which a change of
    its files is noticed (empty: it was not looked at). `timeout` is in seconds, for one attempt of a call. `sandbox` is
    where analysis code runs: auto, e2b, local, none (no code at all), unsafe. `concurrency` is how many calls to the
    target are under way at once, None: as many as the provider bears; no result depends on it. `patience` is how many
    minutes a provider that does not answer is waited for before the run stops, to be resumed; they are no working time.
    `cache_scope`: runs with different ones share no answers (the arms of a comparison); empty: shared by all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    task_options: dict[str, Any] = {}
    task_key: str = ""
    strategy: str = DEFAULT_STRATEGY
    options: dict[str, Any] = {}
    preset: str = DEFAULT_PRESET
    target: str = "local"
    agent: str | None = None
    base_url: str | None = None
    budget: str = ""
    seed: int = 0
    certify: bool = True
    in_process: bool = False
    cache_scope: str = ""
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

    @property
    def runs_code(self) -> bool:
        """Whether the strategy, or one of those that share the run, runs analysis code."""
        return any(entry(name).runs_code for name in (self.strategy, *self.search_options().sharing))

    def check(self) -> None:
        """Raises UsageError naming the strategy, preset, option or rule that does not exist or is out of bounds."""
        self.search_options()
        self.validation()

    def search_options(self) -> SearchOptions:
        """The strategy's options, checked. Raises UsageError naming the option."""
        options = strategy(self.strategy).options
        return checked_model(
            options, {**self._preset().options, **self.options}, f"of strategy {self.strategy}", "option"
        )

    def validation(self) -> ValidationRules:
        """The rules of acceptance, checked. Raises UsageError naming the rule."""
        return checked_model(ValidationRules, {**self._preset().rules, **self.rules}, "of acceptance", "rule")

    def _preset(self) -> Preset:
        known = {DEFAULT_PRESET: Preset()} | dict(strategy(self.strategy).presets)
        if self.preset not in known:
            hint = nearest(self.preset, known)
            raise UsageError(
                f"preset: strategy {self.strategy} has none named '{self.preset}'.{hint} Known: {', '.join(known)}"
            )
        return known[self.preset]

    def plan(self, task: Task, target: Target, panels: Panels, uses: int) -> Plan:
        """What the budget buys, without a call; `uses` is how often the test split was used before.

        Raises BudgetTooSmall where it cannot pay certification plus one race.
        """
        rules = self.validation().fitted(len(task.search))
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


def checked_model(model: type[M], values: Mapping[str, Any], of: str, what: str) -> M:
    """The values as a model; `of` and `what` say in words what they are. Raises UsageError naming the first that is
    unknown or out of bounds."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        unknown = first["type"] == "extra_forbidden"
        hint = nearest(name, model.model_fields) if unknown else ""
        reason = f"there is no such {what}" if unknown else first["msg"]
        raise UsageError(f"{what} '{name}' {of}: {reason}.{hint}") from None
