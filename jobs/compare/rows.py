"""The rows of a comparison: strategies, perhaps with a preset, and peers, by the names that people give them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import UsageError, nearest
from ...graphs.registry import entry
from ...graphs.strategy import DEFAULT_PRESET
from ...traces.rows import PEER
from ..peers.known import PEERS


@dataclass(frozen=True)
class Row:
    """One row: a strategy under a preset, or a peer. `label` is what it is called in tables."""

    strategy: str
    preset: str = DEFAULT_PRESET
    peer: bool = False

    @property
    def label(self) -> str:
        """`random`, `random:faithful`, `peer:gepa`."""
        if self.peer:
            return PEER + self.strategy
        return self.strategy if self.preset == DEFAULT_PRESET else f"{self.strategy}:{self.preset}"

    def arm(self, seed: int) -> str:
        """The last part of the name of a run of this row: `random.faithful-0`."""
        return f"{self.label.replace(':', '.')}-{seed}"


def read_rows(strategies: Iterable[str], peers: Iterable[str], preset: str = DEFAULT_PRESET) -> tuple[Row, ...]:
    """The rows by their names, in order; `preset` is for those that name none.

    Raises UsageError naming the option: a strategy or peer that there is not, one given twice, fewer than two rows.
    """
    rows = [_strategy(name, preset) for name in _names(strategies)]
    for name in _names(peers):
        if name not in PEERS:
            raise UsageError(f"--peers: there is no peer '{name}'.{nearest(name, PEERS)} Known: {', '.join(PEERS)}")
        rows.append(Row(name, peer=True))
    twice = next((row for i, row in enumerate(rows) if row in rows[:i]), None)
    if twice is not None:
        raise UsageError(f"--{'peers' if twice.peer else 'strategies'}: '{twice.label}' is given twice")
    if len(rows) < 2:
        raise UsageError(
            "--strategies: a comparison takes at least two rows, as in --strategies sage,random "
            "(or --strategies random,random:faithful)"
        )
    return tuple(rows)


def _strategy(text: str, preset: str) -> Row:
    name, colon, own = text.partition(":")
    if colon and not own:
        raise UsageError(f"--strategies: '{text}' names no preset; write {name}, or as in {name}:faithful")
    try:
        entry(name)
    except UsageError as error:
        raise UsageError(f"--strategies: {str(error).removeprefix('strategy: ')}") from None
    return Row(name, own or preset)


def _names(given: Iterable[str] | str) -> Sequence[str]:
    """The names of a list of names, each of which may itself be some with commas between them."""
    texts = [given] if isinstance(given, str) else list(given)
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
