"""What is to be done about a schedule now: a decision from where it stands and the time, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...traces.rows import ScheduleRow
from .file import Schedule


@dataclass(frozen=True)
class Due:
    """Where a schedule stands after looking at the clock, the fire to begin (None: none), and a line about it."""

    row: ScheduleRow
    fire: float | None = None
    note: str = ""


def seen(schedule: Schedule, row: ScheduleRow | None, now: float) -> ScheduleRow:
    """Where a schedule stands when its file is read: a new or changed one fires at its next time from now on."""
    if row is not None and row.definition == schedule.definition:
        return row
    upcoming = schedule.times.next(now, now)
    if row is None:
        return ScheduleRow(schedule.name, schedule.definition, anchor=now, next_at=upcoming)
    return replace(row, definition=schedule.definition, anchor=now, next_at=upcoming)


def due(schedule: Schedule, row: ScheduleRow, now: float, *, under_way: bool = False) -> Due:
    """What to do at `now` (seconds since 1970).

    `under_way`: whether this process is at work on an earlier fire. A fire that was under way when another process
    ended goes on, however long ago that was. Of several fires that came due, one is made: the last.
    """
    if row.firing_at is not None and not under_way:
        return Due(row, row.firing_at, "goes on with a fire that was interrupted")
    if row.next_at is None or now < row.next_at:
        return Due(row)
    if under_way and schedule.overlap == "wait":
        return Due(row)
    latest = schedule.times.latest(now, row.next_at, row.anchor) or row.next_at
    after = replace(row, next_at=schedule.times.next(now, row.anchor))
    if under_way:
        return Due(after, note="left out, as the fire before is still under way")
    late = now - latest
    # One that waited for the fire before is late for that reason, and was not missed.
    waited = schedule.overlap == "wait" and row.last_at is not None and row.last_at >= row.next_at
    if late > schedule.grace and schedule.missed == "skip" and not waited:
        return Due(after, note=f"missed, and left out ({late:.0f} s late)")
    fire = replace(after, firing_at=latest)
    return Due(fire, latest, f"fires, {late:.0f} s late" if late > schedule.grace else "fires")


def ended(row: ScheduleRow, now: float, code: int, outcome: str) -> ScheduleRow:
    """Where a schedule stands after a fire; interrupted ones (75) are still to be ended. `last_at` is when it was."""
    if code == 75:
        return replace(row, last_code=code, last_outcome=outcome)
    return replace(row, firing_at=None, last_at=now, last_code=code, last_outcome=outcome)
