"""What the parent tells the process inside when it starts: limits and confinement. Read on both sides."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

LAYERS = ("namespaces", "landlock", "seccomp", "cgroup")
"""What isolates, by name: see docs/security.md."""
PROCESSES = 24
"""How many a cgroup allows: the one that forks, one for each table, the workers, and some that are just ending."""
PROBE_MEMORY = 64 << 20
"""Bytes that a cgroup allows where it is only tried whether it bounds memory."""


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

    `layers`, of LAYERS, are applied by itself. `readable` are then the only paths that may be read, with `emptied`
    folders in them shown empty where namespaces can; `packages` are the folders to import numpy and pandas from;
    `groups` the files by which it joins its cgroups. `forbidden` is a file that must be out of reach afterwards, and
    `outside` a process (how it checks itself). `probe` ends the process after that check.
    """

    layers: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    forbidden: str = ""
    outside: int = 0
    probe: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Raises ValueError for a layer that does not exist: nothing may pass for isolated that isn't."""
        if unknown := sorted(set(self.layers) - set(LAYERS)):
            raise ValueError(f"unknown layers {unknown}")

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> Plan:
        given = json.loads(text)
        for name in ("layers", "readable", "emptied", "packages", "groups"):
            given[name] = tuple(given[name])
        return cls(**given | {"limits": Limits(**given["limits"])})
