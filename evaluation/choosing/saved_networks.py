"""The networks of past rounds: the newest so many, in memory or each in a file of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...traces.home import whole_file
from .network import Matrix, Network

SPARE_FILES = 16
"""Files kept beyond the capacity, for a state that was saved some rounds ago and is gone back to."""


class SavedNetworks:
    """Up to `capacity` networks of one shape, numbered from 1 in the order they came; the oldest fall out.

    `folder`: keep them there, one `.npy` file each, written whole or not at all; None: in memory. A network is
    4 · (inputs + 2) · hidden bytes: 0.26 MB at the default size, 19 MB at the paper's.
    """

    def __init__(self, capacity: int, folder: Path | None = None) -> None:
        self._capacity, self._folder = capacity, folder
        self._kept: list[Matrix] = []
        self.newest = 0
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return min(self.newest, self._capacity)

    def add(self, network: Network) -> None:
        """Keep one more; raises OSError where its file cannot be written."""
        if self._folder is None:
            self._kept = [*self._kept, network.weights][-self._capacity :]
        else:
            with whole_file(self._path(self.newest + 1)) as file:
                np.save(file, network.weights)
            self._path(self.newest + 1 - self._capacity - SPARE_FILES).unlink(missing_ok=True)
        self.newest += 1

    def all(self, inputs: int, hidden: int) -> Iterator[Network]:
        """Those kept, the oldest first; from files, one in memory at a time."""
        if self._folder is None:
            yield from (Network(inputs, hidden, weights) for weights in self._kept)
            return
        for number in range(self.newest - len(self) + 1, self.newest + 1):
            yield Network(inputs, hidden, np.load(self._path(number), allow_pickle=False))

    def state(self) -> dict[str, NDArray[np.generic]]:
        """The networks themselves, or where they lie in files how many came so far."""
        if self._folder is not None:
            return {"newest": np.array(self.newest)}
        return {"newest": np.array(self.newest), "networks": np.array(self._kept, dtype=np.float32)}

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Go on from a saved state; raises ValueError where networks that it names are not there."""
        self.newest = int(state["newest"])
        if self._folder is None:
            self._kept = list(np.asarray(state["networks"], dtype=np.float32))
            lost = len(self) - len(self._kept)
        else:
            numbers = range(self.newest - len(self) + 1, self.newest + 1)
            lost = sum(not self._path(number).is_file() for number in numbers)
        if lost:
            raise ValueError(f"{lost} of the {len(self)} saved networks are missing (in {self._folder or 'the state'})")

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"network-{number:06d}.npy"
