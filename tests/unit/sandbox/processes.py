"""What processes there are, read from /proc."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def descendants(pid: int) -> set[int]:
    """The children of a process, theirs, and so on."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(folder.name)] = int(parent)
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return {pid for pid in pids if runs(pid)}


def memory_holds(pid: int, needle: bytes) -> bool:
    """Whether these bytes stand anywhere in what the process can write to; needs the right to read its memory."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights = line.split()[:2]
        if rights.startswith("rw"):
            start, end = (int(part, 16) for part in span.split("-"))
            with open(f"/proc/{pid}/mem", "rb", 0) as memory:
                try:
                    memory.seek(start)
                    if needle in memory.read(end - start):
                        return True
                except OSError:
                    continue
    return False


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it becomes true in that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
