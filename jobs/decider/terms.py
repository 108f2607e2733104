"""What a decider is set up with, and how a value that was measured becomes a score."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import UsageError, nearest
from ...evaluation.choosing.chooser import CHOOSERS, ChooserOptions, NetworkOptions
from ...evaluation.meta_scores import minimised

LONGEST_TEXT = 50_000
"""Characters of a description or instruction."""


class Terms(BaseModel):
    """A decider's settings, kept in its state file; they never change.

    Maximising, a value from `low` to `high` is scored (value - low)/(high - low). Minimising, it is scored
    (bound - value)/bound, at least -1, where `bound` is a value as bad as they get, above 0 (EXPO, arXiv 2502.00728),
    and `low` the least that can be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    descriptions: tuple[str, ...]
    instructions: tuple[str, ...]
    method: str = "expo"
    seed: int = 0
    low: float = 0.0
    high: float = 1.0
    bound: float | None = None
    exemplars: int = Field(default=20, ge=0, le=1000)
    options: dict[str, float | int | None] = Field(default_factory=dict)

    @property
    def minimise(self) -> bool:
        """Whether lower values are better."""
        return self.bound is not None

    def score(self, value: float) -> float:
        """The score of a measured value. Raises UsageError where it is no finite number, or out of the range."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise UsageError(f"a score must be a number, not {str(value)[:60]!r}") from None
        if not math.isfinite(number):
            raise UsageError(f"a score must be a finite number, not {number}; None says that there is none")
        if self.bound is not None:
            if number < self.low:
                raise UsageError(f"a score of {number:g} is below {self.low:g}, the least that can be: set low=")
            return minimised(number, self.bound)
        if not self.low <= number <= self.high:
            raise UsageError(f"a score of {number:g} is outside {self.low:g} to {self.high:g}: set low= and high=")
        return (number - self.low) / (self.high - self.low)

    def chooser_options(self) -> ChooserOptions:
        """The options as the choosers take them."""
        network = {name: value for name, value in self.options.items() if name in NetworkOptions.__dataclass_fields__}
        own = {name: value for name, value in self.options.items() if name not in network}
        return ChooserOptions(**own, network=NetworkOptions(**network))  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _usable(self) -> Terms:
        if self.method not in CHOOSERS:
            raise ValueError(
                f"there is no method '{self.method}' ({', '.join(CHOOSERS)}).{nearest(self.method, CHOOSERS)}"
            )
        for name in ("descriptions", "instructions"):
            _check_texts(name, getattr(self, name))
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low must be below high, both finite, not {self.low} and {self.high}")
        if self.bound is not None and not (math.isfinite(self.bound) and self.bound > 0):
            raise ValueError(f"bound must be a finite number above 0, not {self.bound}")
        known = ChooserOptions().numbers()
        for name in self.options:
            if name not in known:
                raise ValueError(f"there is no option '{name}' ({', '.join(known)}).{nearest(name, known)}")
        self.chooser_options()
        return self


def make_terms(**given: object) -> Terms:
    """The terms; raises UsageError with one line that names the setting."""
    try:
        return Terms.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"Decider: {where}: {message}" if where else f"Decider: {message}") from None


def _check_texts(name: str, texts: Sequence[str]) -> None:
    if not texts:
        raise ValueError(f"{name}: at least one is needed")
    for place, text in enumerate(texts):
        if not text.strip():
            raise ValueError(f"{name}[{place}] is empty")
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"{name}[{place}] has {len(text):,} characters, more than {LONGEST_TEXT:,}")
        if text in texts[:place]:
            raise ValueError(f"{name}[{place}] stands there twice")
