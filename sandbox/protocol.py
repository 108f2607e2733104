"""What every sandbox promises: `run(code, table)` gives an `Execution` with its findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .table import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One `emit(name, value, note)` of analysis code. `value` is plain JSON, size-capped; all of it is untrusted."""

    name: str
    value: Any
    note: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """What one run left behind. All text is untrusted: size-capped, without control characters, meant as data.

    `error` is None, or one short text: the exception with the line of the code it came from, `time limit of 20 s`,
    `memory limit of 1 GB`, `killed ...`. What was printed and emitted before an error is kept. `duration` in seconds.
    `billed` are the seconds that a paid service charges for, 0 on the user's own machine; `usd` is what they cost,
    0.0 until whoever knows prices has filled it in.
    """

    stdout: str
    results: tuple[Finding, ...]
    error: str | None
    duration: float
    billed: float = 0.0
    usd: float = 0.0


class Sandbox(Protocol):
    """Runs code once per call, with nothing carried over from one run to the next."""

    @property
    def name(self) -> str:
        """As the user chose it: `local`, `e2b`, `plain`, `unsafe`."""
        ...

    @property
    def isolated(self) -> bool:
        """Whether code that a model wrote may run here."""
        ...

    @property
    def most_billed(self) -> float:
        """Seconds that a paid service charges for one run at most; 0 where runs cost nothing."""
        ...

    async def run(self, code: str, table: Table) -> Execution:
        """Run `code` over `table`. Raises SandboxError where nothing was run; what the code does never raises."""
        ...

    async def aclose(self) -> None:
        """End every process of this sandbox. Safe to call twice."""
        ...
