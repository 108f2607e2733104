"""What processes there are and what their memory holds, read from /proc."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

_CHUNK = 8 << 20


def descendants(pid: int, *, zombies: bool = False) -> set[int]:
    """The children of a process, theirs, and so on; those that have ended unnoticed by their parent only on request."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if zombies or state != "Z":
                parents[int(folder.name)] = int(parent)
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def alive(pids: Iterable[int]) -> set[int]:
    """Those that still run; a zombie does not."""

    def runs(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return {pid for pid in pids if runs(pid)}


def memory_holds(pid: int, needle: bytes) -> bool:
    """Whether these bytes stand anywhere in what the process can read. Raises OSError where none of it may be seen."""
    seen = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, _, _, _, *name = line.split(maxsplit=5)
            if not rights.startswith("r") or "".join(name).startswith(("[v", "/dev")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            for at in range(start, end, _CHUNK):
                try:
                    memory.seek(at)
                    held = memory.read(min(_CHUNK + len(needle), end - at))
                except (OSError, OverflowError):
                    break
                seen += len(held)
                if needle in held:
                    return True
    if not seen:
        raise OSError(f"nothing of process {pid} can be read")
    return False


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it becomes true in that time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
