"""Which layers of isolation hold on this machine, found by trying what each must forbid."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import process
from .inside.plan import LAYERS
from .isolation import Confinement

_FORBIDS = {
    "namespaces": "hide all files but Python's own, all processes and the network",
    "landlock": "opens no files but Python's own",
    "seccomp": "allows no sockets, processes or signals to others",
    "cgroup": "bounds memory and processes of all runs together",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation: whether it holds, and what it forbids or why it doesn't hold."""

    name: str
    holds: bool
    detail: str


def layers() -> list[Layer]:
    """Every layer there is, each tried by itself in a process of its own; some 0.3 s together."""
    with ThreadPoolExecutor(len(LAYERS)) as threads:
        return list(threads.map(_layer, LAYERS))


def _layer(name: str) -> Layer:
    failure = process.probe(Confinement((name,)))
    return Layer(name, failure is None, failure or _FORBIDS[name])
