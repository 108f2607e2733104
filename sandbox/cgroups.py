"""Control groups that bound the processes and the memory of one sandbox as a whole (Linux); the parent's side.

Version 2 where this user may make groups beside its own (as systemd sets it up for a desktop session), else version 1
as root. See Documentation/admin-guide/cgroup-v2.rst of the kernel, and cgroup-v1/ there.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .inside.plan import PROCESSES
from .sweep import sweep

_PREFIX = "sage-spo-"
_REMOVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Groups:
    """The folders of one sandbox's groups, one for version 2, one a controller for version 1."""

    folders: tuple[Path, ...] = ()

    @property
    def joins(self) -> tuple[str, ...]:
        """The files by which a process joins them, by writing 0."""
        return tuple(str(folder / "cgroup.procs") for folder in self.folders)

    def remove(self) -> None:
        """Once their processes have ended; waits a moment for the kernel to notice."""
        end = time.monotonic() + _REMOVE_SECONDS
        for folder in self.folders:
            while True:
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() < end:
                        time.sleep(0.005)
                        continue
                break


def make(memory: int) -> Groups:
    """New groups for at most PROCESSES processes and `memory` bytes in all. Raises OSError where none can be made."""
    made: list[Path] = []
    try:
        for place, settings in _places(memory):
            sweep(place, _PREFIX, Path.rmdir)  # the kernel refuses for groups in use
            made.append(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)))
            for name, value in settings.items():
                (made[-1] / name).write_text(str(value))
            # Where swap is accounted for, none of it; elsewhere the file is missing.
            with contextlib.suppress(OSError):
                (made[-1] / "memory.swap.max").write_text("0")
    except OSError:
        Groups(tuple(made)).remove()
        raise
    return Groups(tuple(made))


def _places(memory: int) -> list[tuple[Path, dict[str, int]]]:
    """The folders to make groups in, and what to write into each."""
    mounts, own = _mounts(), _groups()
    if "" in own and "cgroup2" in mounts:
        place = _inside(mounts["cgroup2"], own[""])
        # A group that holds processes cannot hold groups with limits, unless it is the root.
        place = place if place == mounts["cgroup2"][1] else place.parent
        with contextlib.suppress(OSError):
            enabled = (place / "cgroup.subtree_control").read_text().split()
            if {"pids", "memory"} <= set(enabled):
                return [(place, {"pids.max": PROCESSES, "memory.max": memory})]
    places = []
    for controller, setting, value in (("pids", "pids.max", PROCESSES), ("memory", "memory.limit_in_bytes", memory)):
        if controller not in mounts or controller not in own:
            raise OSError(f"no group can be made that limits {controller}")
        places.append((_inside(mounts[controller], own[controller]), {setting: value}))
    return places


def _groups() -> dict[str, str]:
    """This process's groups, by version 1 controller; that of version 2 by an empty name."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return {name: path for _, names, path in lines for name in names.split(",")}


def _mounts() -> dict[str, tuple[str, Path]]:
    """By `cgroup2` or the name of a version 1 controller: the group that is mounted, and where."""
    found: dict[str, tuple[str, Path]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        first, _, last = line.partition(" - ")
        kind, _, options = last.split(" ", 2)
        root, place = first.split()[3:5]
        names = [kind] if kind == "cgroup2" else options.split(",") if kind == "cgroup" else []
        for name in names:
            found.setdefault(name, (root, Path(place)))
    return found


def _inside(mount: tuple[str, Path], group: str) -> Path:
    root, place = mount
    return place / os.path.relpath(group, root) if group != root else place
