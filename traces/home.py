"""The user's folder of runs, SAGE_HOME: making sure of its parts, and saying so where that cannot be."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import DiskFull, StoreError


def writable_folder(folder: Path) -> Path:
    """The folder, made if need be. Raises StoreError when files cannot be created there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error.strerror or str(error)) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unwritable(folder, "permission denied")
    return folder


def writable_file(path: Path) -> Path:
    """The file's path. Raises StoreError when the file is there and cannot be written."""
    # Asked of the system, as SQLite opens a file that it cannot write without a word, for reading.
    if path.exists() and not os.access(path, os.W_OK):
        raise unwritable(path, "permission denied")
    return path


def unwritable(path: Path, why: str) -> StoreError:
    """The error for a file or folder of SAGE_HOME that cannot be written."""
    return StoreError(f"{path} cannot be written: {why}. Set SAGE_HOME to a folder that you may write to.")


def disk_full(error: BaseException, path: Path) -> DiskFull | None:
    """The error for a file or folder of SAGE_HOME that there was no room to write; None where it was something else."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    # A write-ahead log cannot be made larger: SQLite calls that an error of input and output.
    full |= isinstance(error, sqlite3.Error) and "disk is full" in str(error)
    if not full:
        return None
    return DiskFull(f"{path} cannot be written: the disk is full. What was committed is safe; free some space there")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which is there whole or not at all, whenever the process is killed or the power fails."""
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
