"""Removes what killed processes of this user left behind."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

_OLD_SECONDS = 60


def sweep(folder: Path, prefix: str, remove: Callable[[Path], None]) -> None:
    """Remove what lies in `folder` under a name with this prefix; what is younger than a minute may be in use.

    What `remove` fails for stays.
    """
    for path in folder.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _OLD_SECONDS:
                remove(path)
