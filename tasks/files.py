"""Reading rows of named values from JSON lines, CSV and Parquet files; every error names file, line and field."""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TaskError, nearest

DATA_SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a file. `where` says which, for error messages: `tickets.csv line 7`."""

    where: str
    values: Mapping[str, Any]


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (with or without byte order mark).

    Raises TaskError when the file is missing, is a folder, cannot be read or is not UTF-8 (naming the line).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise _no_such_file(path) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte in it
        reason = getattr(error, "strerror", None) or error
        raise TaskError(f"{path} cannot be read: {reason}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"0x{data[error.start]:02x}"
        raise TaskError(f"{path.name} line {line}: byte {byte} is not UTF-8; save the file as UTF-8.") from error


def _no_such_file(path: Path) -> TaskError:
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    return TaskError(f"No such file: {path}.{nearest(path.name, beside)}")


def read_rows(path: Path) -> list[Row]:
    """All rows of a .jsonl, .csv, .tsv or .parquet file, in the order of the file.

    Raises TaskError for an unknown suffix, a file that is missing, unreadable or empty, and for every malformed line.
    """
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        rows = list(_jsonl(path.name, read_text(path)))
    elif suffix in (".csv", ".tsv"):
        rows = list(_csv(path.name, read_text(path)))
    elif suffix == ".parquet":
        rows = list(_parquet(path))
    else:
        known = ", ".join(DATA_SUFFIXES)
        raise TaskError(f"{path.name}: examples are read from {known} files, not from '{suffix or path.name}'.")
    if not rows:
        raise TaskError(f"{path.name} is empty: it holds no example.")
    return rows


def _jsonl(name: str, text: str) -> Iterator[Row]:
    # Not splitlines(): JSON text may hold U+2028 and other characters that it takes for line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name} line {number}"
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            hint = " Each line of a .jsonl file is one whole JSON object." if line.strip() in ("{", "[") else ""
            raise TaskError(f"{where}: not JSON ({error.msg}, column {error.colno}).{hint}") from error
        except RecursionError as error:
            raise TaskError(f"{where}: JSON nested too deeply.") from error
        except ValueError as error:
            raise TaskError(f"{where}: a number of too many digits.") from error
        if not isinstance(values, dict):
            raise TaskError(f"{where}: expected a JSON object with fields, found {type(values).__name__}.")
        yield Row(where, values)


def _csv(name: str, text: str) -> Iterator[Row]:
    if "\0" in text:
        raise TaskError(f"{name}: holds zero bytes and is no CSV text; save it again as UTF-8 CSV.")
    header_line = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    ended = 0
    try:
        for cells in reader:
            # A quoted text may go over several lines; the first of them is named.
            where, ended = f"{name} line {ended + 1}", reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(where, cells)
            elif len(cells) != len(header):
                raise TaskError(f"{where}: {len(cells)} values for {len(header)} fields; quote texts that hold commas.")
            else:
                yield Row(where, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise TaskError(f"{name} line {reader.line_num}: not CSV ({error}).") from error


def _header(where: str, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if "" in names:
        raise TaskError(f"{where}: column {names.index('') + 1} has no name; the first line names the fields.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise TaskError(f"{where}: two columns are named '{twice[0]}'.")
    return names


def _parquet(path: Path) -> Iterator[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise TaskError(f"{path.name}: reading Parquet needs pyarrow; install 'sage-spo[parquet]'.") from error
    if not path.is_file():
        raise _no_such_file(path)
    try:
        records = parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise TaskError(f"{path.name} cannot be read as Parquet: {error}") from error
    for number, values in enumerate(records, start=1):
        yield Row(f"{path.name} row {number}", values)
