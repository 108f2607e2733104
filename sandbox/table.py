"""The rows that analysis code sees as `records`, serialised once however many runs there are over them."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ..errors import SandboxError


class Table:
    """Rows of plain values. `columns` fixes the order, and the columns there are when there is no row.

    Immutable by agreement: the rows must not change after the first run, which is when they are serialised.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
        self.rows: tuple[dict[str, Any], ...] = tuple(dict(row) for row in rows)
        self.columns: tuple[str, ...] | None = None if columns is None else tuple(columns)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def data(self) -> bytes:
        """The table as JSON, `{"columns": …, "rows": …}`, in UTF-8; what that cannot hold becomes `?`.

        Raises SandboxError on a value that is not plain.
        """
        try:
            return json.dumps({"columns": self.columns, "rows": self.rows}, default=_plain, ensure_ascii=False).encode(
                "utf-8", "replace"
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise SandboxError(f"The records cannot be handed to the sandbox: {error}. Use plain values.") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `data`, as hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return sorted(value, key=repr)
    if hasattr(value, "item"):  # numpy scalars
        return value.item()  # type: ignore[attr-defined]
    raise TypeError(f"a {type(value).__name__} is no plain value")
