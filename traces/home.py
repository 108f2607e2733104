"""The user's folder of runs, SAGE_HOME: making sure of its parts, and saying so where that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StoreError


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
