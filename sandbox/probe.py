"""Which layers of isolation hold on this machine, found by trying what each must forbid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import isolation, process
from .isolation import Confinement

_FORBIDS = {
    "bubblewrap": "hides all files but Python's own, and the network",
    "landlock": "opens no files but Python's own",
    "seccomp": "allows no sockets, processes or signals to others",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation: whether it holds, and what it forbids or why it doesn't hold."""

    name: str
    holds: bool
    detail: str


def layers() -> list[Layer]:
    """Every layer there is, each tried by itself in a process of its own; some 0.3 s together."""
    program = isolation.bubblewrap()
    tried = {
        "bubblewrap": Confinement(bubblewrap=program) if program else None,
        "landlock": Confinement(("landlock",)),
        "seccomp": Confinement(("seccomp",)),
    }
    with ThreadPoolExecutor(len(tried)) as threads:
        return list(threads.map(_layer, tried, tried.values()))


def _layer(name: str, confinement: Confinement | None) -> Layer:
    if confinement is None:
        return Layer(name, False, "not installed; optional: `apt install bubblewrap`, `dnf install bubblewrap`")
    failure = process.probe(confinement)
    return Layer(name, failure is None, failure or _FORBIDS[name])
