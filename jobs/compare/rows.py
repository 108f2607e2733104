"""The rows of a comparison: strategies, perhaps with a preset and options, and peers, by the names people give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import UsageError, nearest
from ...graphs.registry import entry
from ...graphs.strategy import DEFAULT_PRESET
from ...traces.rows import PEER
from ..peers.known import PEERS

RULE = "rule."
"""How an option in brackets begins that is a rule of acceptance."""
_NAMED = re.compile(r"(?P<name>[^:\[\]]+)(?P<colon>:(?P<preset>[^\[\]]*))?(?P<open>\[(?P<options>[^\[\]]*)\])?")


@dataclass(frozen=True)
class Row:
    """One row: a strategy under a preset, or a peer. `label` is what it is called in tables; `changes` are options of
    its own, each `NAME=VALUE` or `rule.NAME=VALUE`."""

    strategy: str
    preset: str = DEFAULT_PRESET
    peer: bool = False
    changes: tuple[str, ...] = ()

    @property
    def options(self) -> list[str]:
        """The options of the strategy among its changes, as `--option` takes them."""
        return [change for change in self.changes if not change.startswith(RULE)]

    @property
    def rules(self) -> list[str]:
        """The rules of acceptance among its changes, as `--rule` takes them."""
        return [change.removeprefix(RULE) for change in self.changes if change.startswith(RULE)]

    @property
    def label(self) -> str:
        """`random`, `random:faithful`, `picked[gate=false]`, `peer:gepa`."""
        if self.peer:
            return PEER + self.strategy
        name = self.strategy if self.preset == DEFAULT_PRESET else f"{self.strategy}:{self.preset}"
        return f"{name}[{','.join(self.changes)}]" if self.changes else name

    def arm(self, seed: int) -> str:
        """The last part of the name of a run of this row: `random.faithful-0`, `picked.gate.false-0`."""
        return f"{re.sub(r'[^a-zA-Z0-9_.-]+', '.', self.label).rstrip('.')}-{seed}"


def read_rows(strategies: Iterable[str], peers: Iterable[str], preset: str = DEFAULT_PRESET) -> tuple[Row, ...]:
    """The rows by their names, in order; `preset` is for those that name none.

    Raises UsageError naming the option: a strategy or peer that there is not, one given twice, fewer than two rows.
    """
    rows = [read_row(name, preset) for name in _names(strategies)]
    for name in _names(peers):
        if name not in PEERS:
            raise UsageError(f"--peers: there is no peer '{name}'.{nearest(name, PEERS)} Known: {', '.join(PEERS)}")
        rows.append(Row(name, peer=True))
    # By the names of their runs: of two rows that differ in signs alone, one would find the other's.
    names = [row.arm(0) for row in rows]
    twice = next((row for i, row in enumerate(rows) if names[i] in names[:i]), None)
    if twice is not None:
        raise UsageError(f"--{'peers' if twice.peer else 'strategies'}: '{twice.label}' is given twice")
    if len(rows) < 2:
        raise UsageError(
            "--strategies: a comparison takes at least two rows, as in --strategies sage,random "
            "(or --strategies random,random:faithful)"
        )
    return tuple(rows)


def read_row(text: str, preset: str = DEFAULT_PRESET) -> Row:
    """The strategy's row by its name; `preset` is for one that names none. Raises UsageError naming the option."""
    found = _NAMED.fullmatch(text)
    if found is None:
        raise UsageError(f"--strategies: '{text}' cannot be read; write as in random:faithful or picked[gate=false]")
    name, own = found["name"], found["preset"]
    if found["colon"] and not own:
        raise UsageError(f"--strategies: '{text}' names no preset; write {name}, or as in {name}:faithful")
    changes = [change.strip() for change in (found["options"] or "").split(",")] if found["open"] else []
    bad = next((change for change in changes if "=" not in change), None)
    if bad is not None:
        raise UsageError(f"--strategies: '{text}': '{bad}' sets nothing; write as in {name}[candidates=4]")
    try:
        entry(name)
    except UsageError as error:
        raise UsageError(f"--strategies: {str(error).removeprefix('strategy: ')}") from None
    return Row(name, own or preset, changes=tuple(changes))


def _names(given: Iterable[str] | str) -> Sequence[str]:
    """The names of a list of names, each of which may itself be some with commas between them (not in brackets)."""
    texts = [given] if isinstance(given, str) else list(given)
    return [name.strip() for text in texts for name in re.split(r",(?![^\[]*\])", text) if name.strip()]
