"""What a call of `decide` means: its runs, and what is wrong with it before any of them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from ...agents.domain import Part, checked_text
from ...errors import TaskError, UsageError
from ...evaluation.budget import Budget, check_prices
from ...graphs.decide_methods import method
from ...graphs.decide_settings import DEFAULT_METHOD, FREE, DecideSettings
from ...models.names import check_model, parse_model
from ...models.prices import price
from ...tasks.environments.guard import Guarded
from ...tasks.environments.loading import make_environment
from ...tasks.environments.protocol import Description
from ...traces.rows import Run
from ..named_runs import check_name, known_measurement

MOST_SEEDS = 1000


@dataclass(frozen=True)
class Arm:
    """One run of a call: a method with a seed."""

    name: str
    settings: DecideSettings


@dataclass(frozen=True)
class DecideCall:
    """Runs of some methods with some seeds. `settings` is what they share; `own`: an environment that was passed as a
    Python object."""

    name: str
    methods: tuple[str, ...]
    seeds: int
    settings: DecideSettings
    own: Any = None

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Every run, seed by seed: what is there after an interruption can be compared already."""
        return tuple(
            Arm(f"{self.name}/{name}/{seed}", self.settings.model_copy(update={"method": name, "seed": seed}))
            for seed in range(self.seeds)
            for name in self.methods
        )

    @property
    def stored(self) -> dict[str, Any]:
        """What defines the call, as it is stored with it."""
        shared = self.settings.model_dump(mode="json", exclude={"method", "seed", *FREE})
        return {**shared, "methods": list(self.methods), "seeds": self.seeds, "budget": self.settings.budget}

    @property
    def command(self) -> str:
        """The command that goes on with it, or shows it again."""
        s = self.settings
        options: dict[str, Any] = {"method": ",".join(self.methods), "rounds": s.rounds, "seeds": self.seeds}
        options |= {"agent": s.agent, "base-url": s.base_url, "embeddings": s.embeddings}
        options |= {"budget": s.budget or None, "preset": s.preset if s.preset != "default" else None}
        options |= {"run": self.name}
        words = ["sage-spo", "decide", s.environment]
        for option, value in options.items():
            words += [f"--{option}", str(value)] if value is not None else []
        for option, value in s.options.items():
            words += ["--option", f"{option}={value}"]
        return shlex.join(words)

    async def check(self) -> Run | None:
        """The stored row of the call, if it has begun. Raises SageError for whatever no run could be made of, before
        anything is spent: method, option, environment, models, price."""
        begun = await known_measurement(self.name, "decide", self.stored)
        for arm in self.arms[: len(self.methods)]:
            arm.settings.check()
        description = await self._description()
        for name in self.methods:
            if not method(name).agent and not description.actions:
                raise UsageError(
                    f"--method: {name} chooses among listed actions, and environment {self.settings.environment} "
                    "lists none"
                )
            if method(name).rephrased:
                self._check_texts(name, description)
        check_prices(self.settings.limits(), self._prices())
        return begun

    def _check_texts(self, name: str, description: Description) -> None:
        wording = description.wording(method(name).wording)
        texts: dict[Part, str] = {"description": wording.task, "instruction": wording.instruction}
        for part, text in texts.items():
            try:
                checked_text(text, part)
            except ValueError as error:
                raise TaskError(f"environment {self.settings.environment}: {error}; {name} rephrases it") from None

    def most_usd(self) -> float | None:
        """The most that all runs may cost, in US dollars; inf: nothing limits it, None: a price is unknown."""
        prices, limits = self._prices(), self.settings.limits()
        known = [pair for pair in prices.values() if pair is not None]
        if len(known) < len(prices):
            return None
        dearest = max((max(pair) for pair in known), default=0.0)
        if dearest == 0:
            return 0.0
        bounds = [math.inf if limits.usd is None else limits.usd]
        bounds.append(math.inf if limits.tokens is None else limits.tokens * dearest / 1e6)
        return len(self.arms) * min(bounds)

    def _prices(self) -> dict[str, tuple[float, float] | None]:
        names = dict.fromkeys(name for one in self.methods for name in self._models(one))
        return {name: price(check_model(name, self.settings.base_url)) for name in names}

    def _models(self, name: str) -> list[str]:
        how, options = method(name), self.settings.decide_options()
        models = [self.settings.agent] if how.agent else []
        return [*models, self.settings.embedding_model()] if options.embeds(how) else models

    async def _description(self) -> Description:
        made = self.own or make_environment(self.settings.environment, f"check-{self.name}")
        guarded = Guarded(made, self.settings.environment, self.settings.environment_seconds)
        try:
            await guarded.reset(0)
            return await guarded.describe()
        finally:
            await guarded.aclose()


def decide_call(
    environment: Any,
    methods: Iterable[str] | str = DEFAULT_METHOD,
    *,
    name: str,
    seeds: int = 1,
    budget: str | Mapping[str, float] | Budget | None = None,
    **more: Any,
) -> DecideCall:
    """The call with these options (`more`: fields of `DecideSettings`). Raises UsageError for what the caller can
    mend."""
    check_name(name)
    texts = [methods] if isinstance(methods, str) else list(methods)
    names = [one.strip() for text in texts for one in text.split(",") if one.strip()]
    if not names:
        raise UsageError("--method: name a method, such as expo")
    for one in names:
        method(one)
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"--method: '{twice}' is given twice")
    if not 1 <= seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds: {seeds} runs of each method; it takes 1 to {MOST_SEEDS}")
    limits = Budget.parse(budget)
    own = None if isinstance(environment, str) else environment
    given = {option: value for option, value in more.items() if value is not None}
    try:
        settings = DecideSettings(
            environment=environment if own is None else type(environment).__name__,
            in_process=own is not None,
            method=names[0],
            budget="" if limits.unlimited else str(limits),
            **given,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    parse_model(settings.agent, settings.base_url)
    return DecideCall(name, tuple(names), seeds, settings, own)
