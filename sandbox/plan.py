"""What the parent tells the process inside when it starts: limits and confinement. Read on both sides."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. Times in seconds, sizes in bytes, `stdout` in characters."""

    wall: float = 20.0
    cpu: int = 10
    memory: int = 1 << 30
    """On top of what Python, pandas and the table take."""
    stdout: int = 20_000
    findings: int = 200
    finding_bytes: int = 1 << 20
    total_bytes: int = 4 << 20
    start: float = 60.0
    """How long the process may take to start, import pandas and load the table, before any given code runs."""

    def __post_init__(self) -> None:
        """Raises ValueError: to the kernel, a negative limit is none."""
        if wrong := [name for name, value in asdict(self).items() if not value > 0]:
            raise ValueError(f"limits must be positive: {', '.join(wrong)}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How the process inside sets itself up.

    `layers` are applied by itself, of `landlock` and `seccomp`; `readable` are the only paths that may be read then;
    `packages` are the folders to import numpy and pandas from; `forbidden` is a file that must not be readable
    afterwards (how it checks itself). `probe` ends the process after that check.
    """

    layers: tuple[str, ...] = ()
    contained: bool = False
    """Whether the process was started in a container of its own (bubblewrap), to be checked likewise."""
    readable: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    forbidden: str = ""
    probe: bool = False
    limits: Limits = field(default_factory=Limits)

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Plan:
        given = json.loads(text)
        for name in ("layers", "readable", "packages"):
            given[name] = tuple(given[name])
        return cls(**given | {"limits": Limits(**given["limits"])})
