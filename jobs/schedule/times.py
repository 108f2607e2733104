"""When a schedule fires: APScheduler's triggers, asked for times and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from ...errors import UsageError, nearest

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NUMBERED_DAYS = re.compile(r"(\d|\*(?=/))(?:-(\d))?(?:/(\d+))?")
_LOOK_BACK = (60, 3600, 86_400, 7 * 86_400, 31 * 86_400, 366 * 86_400, 5 * 366 * 86_400)
"""Seconds: spans in which the latest of many missed fires is looked for, the shortest first."""


@dataclass(frozen=True)
class Times:
    """One of `cron` (five fields), `every` (seconds) or `at` (a local time, ISO 8601), in an IANA time zone."""

    cron: str = ""
    every: float = 0.0
    at: str = ""
    zone: str = "UTC"

    def __str__(self) -> str:
        return f"cron {self.cron}" if self.cron else f"at {self.at}" if self.at else f"every {self.every:g} s"

    def trigger(self, anchor: float) -> BaseTrigger:
        """The trigger; intervals are counted from `anchor` (seconds since 1970). Raises UsageError in words."""
        zone = time_zone(self.zone)
        try:
            if self.cron:
                return CronTrigger.from_crontab(_named_days(self.cron), timezone=zone)
            if self.at:
                return DateTrigger(datetime.fromisoformat(self.at), timezone=zone)
            start = datetime.fromtimestamp(anchor, zone)
            return IntervalTrigger(seconds=self.every, start_date=start, timezone=zone)  # type: ignore[arg-type]
        except (ValueError, OverflowError) as error:
            raise UsageError(f"{self}: {error}") from None

    def check(self, now: float) -> None:
        """Raises UsageError for times that cannot be, or never come."""
        if self.at:
            self.trigger(now)
        elif self.next(now, now) is None:
            raise UsageError(f"{self}: such a time never comes")

    def next(self, after: float, anchor: float) -> float | None:
        """The first fire after `after`; None where there is none."""
        return self._first(datetime.fromtimestamp(after, UTC) + timedelta(microseconds=1), anchor)

    def latest(self, until: float, since: float, anchor: float) -> float | None:
        """The last fire in [since, until], however many there were; None where there was none."""
        for span in _LOOK_BACK:
            start = max(since, until - span)
            found = self._first(datetime.fromtimestamp(start, UTC), anchor)
            if found is not None and found <= until:
                while (later := self.next(found, anchor)) is not None and later <= until:
                    found = later
                return found
            if start == since:
                return None
        return self._first(datetime.fromtimestamp(since, UTC), anchor)

    def _first(self, moment: datetime, anchor: float) -> float | None:
        trigger = self.trigger(anchor)
        zone = time_zone(self.zone)
        while True:
            found = trigger.get_next_fire_time(None, moment.astimezone(zone))
            if found is None or not self._repeated(found):
                break
            moment = found.astimezone(UTC) + timedelta(microseconds=1)
        # A date trigger gives its time whether it has passed or not.
        return None if found is None or found < moment else found.timestamp()

    def _repeated(self, found: datetime) -> bool:
        """Whether a fixed hour comes a second time because clocks were put back: as with cron, it fires once."""
        if not self.cron or found.fold == 0:
            return False
        hours = self.cron.split()[1]
        return "*" not in hours


def _named_days(cron: str) -> str:
    """The expression with days of the week by name: APScheduler counts them from Monday = 0, cron from Sunday = 0."""
    fields = cron.split()
    if len(fields) == 5:
        fields[4] = ",".join(_days(item) for item in fields[4].split(","))
    return " ".join(fields)


def _days(item: str) -> str:
    found = _NUMBERED_DAYS.fullmatch(item)
    if found is None:
        return item
    first, last, step = found.groups()
    if first == "*":
        first, last = "0", "6"
    low, high = int(first), int(last or (6 if step else first))
    if high > 7 or low > high or step == "0":
        raise ValueError(f"'{item}' are no days of the week: 0 to 7 (Sunday is both), or mon to sun")
    return ",".join(_DAYS[day] for day in range(low, high + 1, int(step or 1)))


def time_zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name. Raises UsageError with the nearest right one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = nearest(name, available_timezones())
        raise UsageError(f"timezone: there is no '{name}'.{hint} Write an IANA name such as Europe/Berlin") from None


def seconds_of(text: str | int | float) -> float:
    """A duration in seconds: a number of them, or `90s`, `15m`, `1h30m`, `1d`. Raises ValueError."""
    if isinstance(text, bool):
        raise ValueError("not a duration")
    if isinstance(text, int | float):
        return float(text)
    parts = _DURATION.findall(text.strip())
    if not parts or _DURATION.sub("", text).strip():
        raise ValueError(f"'{text}' is no duration: write 90s, 15m, 1h30m or 1d")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
