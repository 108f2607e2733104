"""The arms as the network sees them: embedding tables, one for each part of a meta-prompt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...seeding import generator
from .choice import Floats

NORMAL_RANGE = 1e-6
"""A column whose standard deviation is below this, relative to the table's largest, is constant."""


class Arms:
    """Every combination of one row from each table: with tables of 101 and 101 rows, 10,201 arms.

    Arm number i·J + j is row i of the first and row j of the second table. An arm's input is the concatenation of its
    rows; combinations are never written out. Columns are standardised over the table, which is over all arms; constant
    ones are 0. `projection`: each table first goes through a random projection to so many columns, drawn from the seed
    (None, or a table that has no more columns: as it is).

    Raises ValueError where a table is no matrix, is empty, or holds what is not finite.
    """

    def __init__(self, tables: Floats | Sequence[Floats], *, projection: int | None, seed: int) -> None:
        given = [tables] if isinstance(tables, np.ndarray) else list(tables)
        if not given:
            raise ValueError("arms need at least one table of embeddings")
        self.tables = [
            standardised(projected(checked_table(table), projection, seed, place)) for place, table in enumerate(given)
        ]
        self.shape = tuple(len(table) for table in self.tables)
        self.size = int(np.prod(self.shape))
        self.inputs = sum(table.shape[1] for table in self.tables)

    def parts(self, arm: int) -> tuple[int, ...]:
        """The row of each table that the arm is made of."""
        return tuple(int(row) for row in np.unravel_index(arm, self.shape))

    def rows(self, arms: Sequence[int] | NDArray[np.integer]) -> NDArray[np.float32]:
        """The inputs of these arms, shape (n, inputs)."""
        where = np.unravel_index(np.asarray(arms, dtype=np.intp), self.shape)
        return np.concatenate([table[rows] for table, rows in zip(self.tables, where, strict=True)], axis=1)


def checked_table(table: Floats) -> NDArray[np.float32]:
    """The table as float32, shape (rows, columns); raises ValueError where it is not one of finite numbers."""
    found = np.asarray(table, dtype=np.float32)
    if found.ndim != 2 or not found.size:
        raise ValueError(f"embeddings must be a matrix of rows, not of shape {found.shape}")
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found).all(axis=1)))
        raise ValueError(f"embedding {row} holds a number that is not finite")
    return found


def projected(table: NDArray[np.float32], columns: int | None, seed: int, place: int = 0) -> NDArray[np.float32]:
    """The table through a Gaussian random projection, which keeps distances (Johnson and Lindenstrauss)."""
    if columns is None or table.shape[1] <= columns:
        return table
    rng = generator(seed, "projection", place, table.shape[1])
    matrix = rng.standard_normal((table.shape[1], columns), dtype=np.float32) / np.float32(np.sqrt(columns))
    return (table @ matrix).astype(np.float32)


def standardised(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each column to mean 0 and standard deviation 1 over the rows; a constant column to 0."""
    mean, spread = moments(table)
    return ((table - mean) / spread).astype(np.float32)


def moments(table: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each column; infinite for a constant one, so that dividing by it gives 0."""
    mean = table.mean(axis=0, dtype=np.float64)
    spread = table.std(axis=0, dtype=np.float64)
    spread[spread <= NORMAL_RANGE * max(float(spread.max()), 1e-30)] = np.inf
    return mean.astype(np.float32), spread.astype(np.float32)
