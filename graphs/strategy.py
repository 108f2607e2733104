"""What a search strategy is to the engine: a subgraph, its options, and the presets that change them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..agents.meta_instruction import SECTIONS, Section

if TYPE_CHECKING:  # importing LangGraph takes a second, and `--help` needs none of it
    from .state import Graph

DEFAULT_PRESET = "default"


@dataclass(frozen=True)
class MetaStart:
    """How a prompt is inferred from right answers: from so many `pairs`, in these `sections`; `judged`: whether it has
    to win against the seed before candidates are made from it."""

    pairs: int
    sections: tuple[Section, ...] = SECTIONS
    judged: bool = True


class SearchOptions(BaseModel):
    """Options that every strategy has.

    `candidates` (Q) are proposed per iteration from the `pool` (P) best prompts; `iterations` is a limit on top of
    the budget (None: until the budget is spent). `init`: the search sets out from the `seed` prompt, or (`meta`) from
    one that is inferred from at most `pairs` right answers and judged first, as iteration 1 (arXiv 2406.13443,
    phase 1).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: int = Field(default=8, ge=1, le=64)
    pool: int = Field(default=2, ge=1, le=64)
    iterations: int | None = Field(default=None, ge=1)
    init: Literal["seed", "meta"] = "seed"
    pairs: int = Field(default=5, ge=1, le=32)

    @property
    def sharing(self) -> tuple[str, ...]:
        """The strategies that share the run, by name; none where it has one alone."""
        return ()

    def of_turn(self, name: str) -> SearchOptions:
        """The options while it is the turn of that strategy, one of those that share the run."""
        return self

    def meta_start(self) -> MetaStart:
        """How the prompt is inferred that `init` = `meta` asks for."""
        return MetaStart(self.pairs)


@dataclass(frozen=True)
class Preset:
    """Options and rules of acceptance that belong together; what a run sets itself comes on top."""

    options: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)


WHOLE = 1_000_000
"""More examples than any search split has."""

SPO = Preset(
    options={"candidates": 3, "pool": 2, "iterations": 10},
    rules={
        "accept": "argmax",
        "screen": False,
        "estimate": "mean",
        "block": WHOLE,
        "max_race": WHOLE,
        "holdout": 0,
    },
)
"""SPO's frame as published (arXiv 2606.18902; docs/strategies.md): K = 10, P = 2, Q = 3; every candidate is measured
on all of the search split, and the highest mean leads."""


@dataclass(frozen=True)
class Strategy:
    """A search strategy: its subgraph over `RunState`, the type of its options, its presets beside the default."""

    build: Callable[[], Graph]
    options: type[SearchOptions] = SearchOptions
    presets: Mapping[str, Preset] = field(default_factory=dict)
