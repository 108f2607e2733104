"""What a run has learned: its choosers, made anew or as the last round left them, saved whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import StoreError
from ..evaluation.choosing.chooser import Chooser, make_chooser
from ..evaluation.choosing.exemplars import ExemplarChooser, make_exemplar_chooser
from ..traces.home import whole_file
from .decide_methods import DecideOptions, Method

Tables = Sequence[NDArray[np.floating[Any]]]
KEPT = 2
"""States that are kept: that of the last round, and the one before, which a step that is run again begins at."""


@dataclass
class Learning:
    """The choosers of a run. `chooser` picks arms, `exemplars` what is shown of the past."""

    chooser: Chooser
    exemplars: ExemplarChooser
    tables: Tables
    """The arms' embeddings, one table or one for each part; of a single arm or plain actions, zeros."""
    folder: Path
    learns: bool
    """Whether there is anything to save."""

    def distance(self, arm: int, before: int | None) -> float | None:
        """How far two arms' embeddings are apart (L2); None where there are not two."""
        if before is None or not self.learns:
            return None
        return float(np.linalg.norm(self._row(arm) - self._row(before)))

    def parts(self, arm: int) -> tuple[int, ...]:
        """Which row of each table the arm is."""
        return tuple(int(row) for row in np.unravel_index(arm, [len(table) for table in self.tables]))

    def save(self, round: int) -> None:
        """Keep what was learned by the end of this round."""
        if not self.learns:
            return
        named = {f"arms/{name}": value for name, value in self.chooser.state().items()}
        named |= {f"exemplars/{name}": value for name, value in self.exemplars.state().items()}
        with whole_file(state_path(self.folder, round)) as file:
            np.savez(file, allow_pickle=False, **named)
        state_path(self.folder, round - KEPT).unlink(missing_ok=True)

    def _row(self, arm: int) -> NDArray[np.floating[Any]]:
        return np.concatenate([table[row] for table, row in zip(self.tables, self.parts(arm), strict=True)])


def open_learning(
    how: Method,
    options: DecideOptions,
    tables: Tables,
    *,
    eta: float,
    length: int,
    summary: bool,
    seed: int,
    folder: Path,
    round: int,
) -> Learning:
    """The choosers as they were at the end of that round (0: as new).

    `eta` and `length` are the environment's; `summary`: whether it shows a summary of listed actions. Raises StoreError
    where what was saved is gone or damaged.
    """
    shown = options.shown(how)
    wanted = "rotations" if summary and shown == "learned" else shown
    learns = how.chooser != "fixed" or wanted in ("learned", "rotations")
    state = _loaded(state_path(folder, round)) if learns and round else {}
    try:
        chooser = make_chooser(
            how.chooser, arms=list(tables), options=options.chooser(eta), seed=seed, state=_part(state, "arms/")
        )
        exemplars = make_exemplar_chooser(
            wanted,
            options=options.exemplar_options(length),
            seed=seed,
            folder=folder / "networks",
            state=_part(state, "exemplars/"),
        )
    except (ValueError, OSError) as error:
        raise StoreError(f"what the run has learned ({folder}) cannot be used: {error}; start a new run") from error
    return Learning(chooser, exemplars, tables, folder, learns)


def state_path(folder: Path, round: int) -> Path:
    """The file of what was learned by the end of a round."""
    return folder / f"learned-{round:06d}.npz"


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StoreError(f"what the run has learned is gone or damaged ({path}: {error}); start a new run") from error


def _part(state: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]] | None:
    found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    return found or None
