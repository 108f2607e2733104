"""What a run may spend: read from text or a mapping, checked, printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from ..errors import BudgetError, nearest


@dataclass(frozen=True)
class Budget:
    """Limits of one run; None is no limit.

    `target_calls` and `agent_calls` count logical calls, `tokens` input plus output tokens of every attempt,
    `usd` US dollars of every attempt, `minutes` working time (after that no new call is made).
    """

    target_calls: int | None = None
    agent_calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    minutes: float | None = None

    @classmethod
    def parse(cls, budget: str | Mapping[str, float] | Budget | None) -> Budget:
        """`"usd=2,target_calls=1500"`, a mapping of the same names, or a Budget. Raises BudgetError."""
        if isinstance(budget, Budget):
            return budget
        if budget is None or budget == "":
            return cls()
        items = _pairs(budget) if isinstance(budget, str) else list(budget.items())
        known = [f.name for f in fields(cls)]
        values: dict[str, float] = {}
        for name, value in items:
            if name not in known:
                raise BudgetError(f"budget: unknown unit '{name}'.{nearest(name, known)} Known: {', '.join(known)}")
            if name in values:
                raise BudgetError(f"budget: '{name}' is given twice")
            values[name] = _amount(name, value)
        return cls(**values)  # type: ignore[arg-type]  (counts were made whole numbers above)

    @property
    def unlimited(self) -> bool:
        """True where nothing is limited."""
        return not self.limits()

    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def __str__(self) -> str:
        return ",".join(f"{name}={value!r}" for name, value in self.limits().items()) or "unlimited"


def check_prices(limits: Budget, prices: dict[str, tuple[float, float] | None]) -> None:
    """Raises BudgetError where dollars are limited and a model's price is not known."""
    unknown = [name for name, known in prices.items() if known is None]
    if limits.usd is not None and unknown:
        raise BudgetError(
            f"budget: usd is limited, but the price of {unknown[0]} is unknown; name it in a file that SAGE_PRICES "
            "points to, or limit target_calls or tokens instead"
        )


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise BudgetError(f"budget: '{part.strip()}' is not NAME=AMOUNT, as in usd=2,target_calls=1500")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _amount(name: str, value: object) -> float:
    try:
        amount = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise BudgetError(f"budget: {name}={value!r} is not a number") from None
    if not math.isfinite(amount) or amount <= 0:
        raise BudgetError(f"budget: {name}={value} must be above zero")
    if name in ("usd", "minutes"):
        return amount
    if amount != int(amount):
        raise BudgetError(f"budget: {name}={value} must be a whole number")
    return int(amount)
