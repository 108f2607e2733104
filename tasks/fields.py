"""From rows of a file to examples: which field is the input, which the expected answer, which are metadata."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..errors import TaskError, nearest
from ..seeding import digest
from .example import Example
from .files import Row

ID_FIELD = "id"
RESERVED = frozenset(
    {"prompt_id", "example_id", "repeat", "input", "output", "expected", "score", "missing", "feedback", "tokens"}
    | {"labels", ID_FIELD}
)
"""Names that metadata cannot have: the columns of a table of results, `{labels}` in prompts, the example's own id."""


class Fields(BaseModel):
    """Which field of a file holds what. `metadata=None`: every other field that has no reserved name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str = "input"
    expected: str = "expected"
    metadata: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An example with the place it was read from."""

    example: Example
    where: str


def to_examples(rows: Sequence[Row], fields: Fields) -> tuple[Placed, ...]:
    """The examples that `rows` hold, in the order of the file.

    An example without an `id` gets a short one made from its content, so that it keeps it when the file is
    reordered. Raises TaskError naming line and field: no such field, no input, no expected value, a duplicate id,
    metadata that no row has, text that is none.
    """
    if fields.input == fields.expected:
        raise TaskError(f"{rows[0].where}: '{fields.input}' cannot be both the input and the expected answer.")
    _check_metadata(rows, fields)
    names = dict.fromkeys(name for row in rows for name in row.values)
    drafts: list[tuple[str, str | None, Example]] = []
    for row in rows:
        _check_characters(row)
        text = _input(row, fields, names)
        expected = _value(row, fields.expected, "expected", names)
        metadata = {
            name: value
            for name, value in row.values.items()
            if (name in fields.metadata if fields.metadata is not None else name not in _taken(fields))
            and not _absent(value)
        }
        given = row.values.get(ID_FIELD) if ID_FIELD not in (fields.input, fields.expected) else None
        own_id = None if _absent(given) else str(given).strip()
        drafts.append((row.where, own_id, Example("", text, expected, metadata)))
    ids = _ids(drafts)
    placed = (
        Placed(Example(example_id, draft.input, draft.expected, draft.metadata), where)
        for example_id, (where, _, draft) in zip(ids, drafts, strict=True)
    )
    return tuple(placed)


def duplicate_id(placed: Iterable[Placed]) -> tuple[Placed, Placed] | None:
    """The first two examples that share an id, or None."""
    seen: dict[str, Placed] = {}
    for one in placed:
        other = seen.setdefault(one.example.id, one)
        if other is not one:
            return other, one
    return None


def _ids(drafts: Sequence[tuple[str, str | None, Example]]) -> list[str]:
    """Given ids (checked to be unique) and content-based ones; equal contents are numbered by their metadata."""
    seen: dict[str, str] = {}
    for where, own_id, _ in drafts:
        if own_id is not None and seen.setdefault(own_id, where) is not where:
            raise TaskError(f"{where}: id '{own_id}' is also used at {seen[own_id]}; ids must be unique.")
    ids = [own_id or "" for _, own_id, _ in drafts]
    by_content: dict[str, list[int]] = {}
    for index, (_, own_id, draft) in enumerate(drafts):
        if own_id is None:
            by_content.setdefault(draft.content[:10], []).append(index)
    for content, indices in by_content.items():
        indices.sort(key=lambda i: (drafts[i][2].content, digest(sorted(map(str, drafts[i][2].metadata.items())))))
        number = 1
        for index in indices:
            name = content if number == 1 else f"{content}-{number}"
            while name in seen:  # the file itself uses this id
                number += 1
                name = f"{content}-{number}"
            ids[index] = name
            number += 1
    return ids


def _input(row: Row, fields: Fields, names: Mapping[str, None]) -> str:
    value = _value(row, fields.input, "input", names)
    if isinstance(value, Mapping | list):
        raise TaskError(f"{row.where}: the input field '{fields.input}' must be text, not {type(value).__name__}.")
    return str(value)


def _value(row: Row, name: str, role: str, names: Mapping[str, None]) -> Any:
    if name not in names:
        known = ", ".join(names)
        raise TaskError(
            f"{row.where}: no {role} field '{name}'.{nearest(name, names)} The file has: {known}. "
            f"Say which it is with fields: {{{role}: ...}} in task.yaml."
        )
    value = row.values.get(name)
    if _absent(value):
        what = "the expected value" if role == "expected" else "the input"
        raise TaskError(f"{row.where}: an example without {what} (field '{name}' is missing or empty).")
    return value


def _absent(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, str) and not value.strip())
        or (isinstance(value, float) and math.isnan(value))
    )


def _taken(fields: Fields) -> set[str]:
    return {fields.input, fields.expected, *RESERVED}


def _check_characters(row: Row) -> None:
    """Raises TaskError for half of a surrogate pair, as JSON may spell it: no text that can be sent or stored."""
    for name, value in row.values.items():
        try:
            f"{name}{value}".encode()
        except UnicodeEncodeError as error:
            half = error.object[error.start]
            raise TaskError(f"{row.where}: field '{name}' holds {half!a}, half a character; mend the text.") from None


def _check_metadata(rows: Sequence[Row], fields: Fields) -> None:
    names = dict.fromkeys(name for row in rows for name in row.values)
    for name in fields.metadata or ():
        if name in RESERVED:
            raise TaskError(f"fields.metadata: '{name}' has a meaning of its own here; rename that field in the file.")
        if name not in names:
            raise TaskError(f"{rows[0].where}: no metadata field '{name}'.{nearest(name, names)}")
