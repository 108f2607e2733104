"""One example of a task, and one score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..seeding import digest


@dataclass(frozen=True, slots=True)
class Example:
    """An input with the answer expected of the target.

    `expected` is text for most metrics, a number for `numeric`, a mapping for `json`; `metadata` holds every
    other field of the example by name.
    """

    id: str
    input: str
    expected: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """A digest of what the example says (not of its id): equal for equal examples."""
        return digest(self.input, self.expected)

    @property
    def label(self) -> str:
        """The expected answer as text; JSON where it is a mapping or a list."""
        if isinstance(self.expected, str):
            return self.expected
        if isinstance(self.expected, (Mapping, list, tuple)):
            return json.dumps(self.expected, ensure_ascii=False, default=str)
        return str(self.expected)


@dataclass(frozen=True, slots=True)
class Score:
    """How right an output is: `value` in [0, 1], and optionally in words why."""

    value: float
    feedback: str = ""
