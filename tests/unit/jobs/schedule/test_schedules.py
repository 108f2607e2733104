"""When schedules fire: missed fires, overlaps, time zones, clocks that are put forward and back, bad files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sage_spo.jobs.cli import main
from sage_spo.jobs.schedule.due import due, ended, seen
from sage_spo.jobs.schedule.file import Schedule, fire_batch, read_schedules
from sage_spo.jobs.schedule.times import Times, seconds_of
from sage_spo.settings import settings as installation
from sage_spo.traces.rows import ScheduleRow
from sage_spo.traces.store import RunStore

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = 3600.0, 86_400.0


def at(text: str, zone: Any = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def fires(times: Times, start: float, count: int) -> list[str]:
    """The next fires in UTC."""
    found: list[str] = []
    moment = start
    for _ in range(count):
        upcoming = times.next(moment, start)
        if upcoming is None:
            break
        moment = upcoming
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%m-%d %H:%M"))
    return found


def test_a_time_of_day_stays_where_it_is_when_clocks_change() -> None:
    times = Times(cron="0 8 * * *", zone="Europe/Berlin")
    assert fires(times, at("2026-03-27 12:00"), 3) == ["03-28 07:00", "03-29 06:00", "03-30 06:00"]
    assert fires(times, at("2026-10-23 12:00"), 3) == ["10-24 06:00", "10-25 07:00", "10-26 07:00"]


def test_an_hour_that_does_not_exist_is_made_up_for_and_one_that_comes_twice_counts_once() -> None:
    times = Times(cron="30 2 * * *", zone="Europe/Berlin")
    assert fires(times, at("2026-03-28 12:00"), 2) == ["03-29 01:30", "03-30 00:30"]
    assert fires(times, at("2026-10-24 12:00"), 2) == ["10-25 00:30", "10-26 01:30"]


def test_every_hour_is_every_hour_also_when_it_comes_twice() -> None:
    times = Times(cron="30 * * * *", zone="Europe/Berlin")
    assert fires(times, at("2026-10-24 23:45"), 3) == ["10-25 00:30", "10-25 01:30", "10-25 02:30"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("1-5", "mon tue wed thu fri"),
        ("0", "sun"),
        ("7", "sun"),
        ("5-7", "fri sat sun"),
        ("0-2", "mon tue sun"),
        ("*/3", "wed sat sun"),
        ("mon-wed,6", "mon tue wed sat"),
    ],
)
def test_days_of_the_week_are_counted_as_cron_does(days: str, expected: str) -> None:
    times = Times(cron=f"0 2 * * {days}")
    start = moment = at("2026-11-22 12:00")  # a Sunday
    found = []
    while (upcoming := times.next(moment, start)) is not None and upcoming < start + 7 * DAY:
        moment = upcoming
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%a").lower())
    assert " ".join(found) == expected


def test_an_interval_is_counted_from_when_it_was_first_seen() -> None:
    start = at("2026-03-28 22:10", BERLIN)
    assert fires(Times(every=6 * HOUR, zone="Europe/Berlin"), start, 3) == ["03-29 03:10", "03-29 09:10", "03-29 15:10"]


def test_one_time_comes_once_and_one_that_has_passed_never() -> None:
    times = Times(at="2026-12-01 02:00", zone="Europe/Berlin")
    assert fires(times, at("2026-11-01 00:00"), 3) == ["12-01 01:00"]
    assert times.next(at("2026-12-02 00:00"), 0.0) is None


@pytest.mark.parametrize(
    ("times", "since", "until", "expected"),
    [
        (Times(cron="* * * * *"), "2024-01-01 00:00", "2026-01-01 00:00:30", "2026-01-01 00:00"),
        (Times(cron="0 3 1 1 *"), "2021-01-01 00:00", "2026-06-01 00:00", "2026-01-01 03:00"),
        (Times(cron="0 3 * * *"), "2026-01-01 03:00", "2026-01-01 03:00", "2026-01-01 03:00"),
        (Times(cron="0 3 * * *"), "2026-01-01 04:00", "2026-01-01 05:00", None),
        (Times(at="2025-01-01 00:00"), "2025-01-01 00:00", "2026-01-01 00:00", "2025-01-01 00:00"),
    ],
)
def test_of_many_missed_fires_the_last_is_found(times: Times, since: str, until: str, expected: str | None) -> None:
    found = times.latest(at(until), at(since), at(since))
    assert found == (None if expected is None else at(expected))


def daily(**more: Any) -> Schedule:
    return Schedule("nights/daily", Path("jobs.yaml"), Times(cron="0 2 * * *"), **more)


START = at("2026-05-01 12:00")


def standing(schedule: Schedule) -> ScheduleRow:
    return seen(schedule, None, START)


def test_a_new_schedule_fires_at_its_next_time_and_then_at_the_one_after() -> None:
    schedule, row = daily(), standing(daily())
    assert due(schedule, row, START).fire is None
    found = due(schedule, row, at("2026-05-02 02:00:05"))
    assert found.fire == found.row.firing_at == at("2026-05-02 02:00")
    assert found.row.next_at == at("2026-05-03 02:00")
    after = ended(found.row, at("2026-05-02 02:20"), 0, "2 done")
    assert (after.firing_at, after.last_code, after.last_outcome) == (None, 0, "2 done")
    assert due(schedule, after, at("2026-05-02 12:00")).fire is None


def test_many_missed_fires_are_made_up_for_by_one() -> None:
    schedule = daily(missed="run_once")
    found = due(schedule, standing(schedule), at("2026-05-09 12:00"))
    assert found.fire == at("2026-05-09 02:00")
    assert found.row.next_at == at("2026-05-10 02:00")
    assert "36000 s late" in found.note


def test_missed_fires_are_left_out_where_the_file_says_so_but_for_a_late_one_within_its_grace() -> None:
    schedule = daily(missed="skip", grace=600.0)
    found = due(schedule, standing(schedule), at("2026-05-09 12:00"))
    assert found.fire is None
    assert "missed, and left out" in found.note
    assert found.row.next_at == at("2026-05-10 02:00")
    assert due(schedule, standing(schedule), at("2026-05-09 02:09")).fire == at("2026-05-09 02:00")


def test_a_fire_that_comes_due_while_the_one_before_is_under_way_is_left_out() -> None:
    schedule = daily(overlap="skip")
    row = replace(standing(schedule), firing_at=at("2026-05-01 02:00"))
    found = due(schedule, row, at("2026-05-02 02:00:01"), under_way=True)
    assert found.fire is None
    assert found.row.next_at == at("2026-05-03 02:00")
    assert found.row.firing_at == at("2026-05-01 02:00")


def test_or_it_waits_and_is_not_missed_for_that() -> None:
    schedule = daily(overlap="wait", missed="skip", grace=60.0)
    row = replace(standing(schedule), firing_at=at("2026-05-01 02:00"))
    now = at("2026-05-02 02:00:01")
    assert due(schedule, row, now, under_way=True).row == row
    after = ended(row, at("2026-05-02 05:00"), 0, "")
    assert due(schedule, after, at("2026-05-02 05:00:01")).fire == at("2026-05-02 02:00")


def test_a_fire_that_a_restart_or_a_signal_cut_off_goes_on_as_the_same_fire() -> None:
    schedule = daily()
    fired = due(schedule, standing(schedule), at("2026-05-02 02:00:05")).row
    assert due(schedule, fired, at("2026-05-04 09:00")).fire == at("2026-05-02 02:00")
    stopped = ended(fired, at("2026-05-02 02:05"), 75, "1 interrupted")
    assert due(schedule, stopped, at("2026-05-02 02:06")).fire == at("2026-05-02 02:00")


def test_a_schedule_that_was_changed_starts_anew_and_one_that_was_not_stays() -> None:
    row = standing(daily())
    assert seen(daily(grace=5.0), row, START + DAY) == row
    changed = seen(replace(daily(), times=Times(cron="0 3 * * *")), row, START + DAY)
    assert changed.next_at == at("2026-05-03 03:00")


async def test_where_a_schedule_stands_is_kept_in_the_store() -> None:
    row = standing(daily())
    async with await RunStore.open(installation().home) as store:
        await store.save_schedule(row)
        await store.save_schedule(replace(row, last_code=1, last_outcome="1 failed"))
    async with await RunStore.open(installation().home) as store:
        assert await store.schedules() == {row.name: replace(row, last_code=1, last_outcome="1 failed")}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("2d", 172_800), (45, 45), ("1w", 604_800)]
)
def test_durations(text: str | int, seconds: float) -> None:
    assert seconds_of(text) == seconds


JOBS = "version: 1\njobs: [{name: a, task: reviews}]\n"
GOOD = """version: 1
timezone: Europe/Berlin
schedules:
  - {name: nightly, jobs: jobs.yaml, cron: "15 2 * * 1-5", missed: skip, grace: 2h, overlap: wait}
  - {name: often, jobs: jobs.yaml, every: 6h, timezone: Asia/Tokyo}
  - {name: once, jobs: jobs.yaml, at: 2031-12-01 02:00}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "jobs.yaml").write_text(JOBS)
    path = folder / "nights.yaml"
    path.write_text(text)
    return path


def test_a_whole_file_is_read_and_each_fire_has_runs_of_its_own(tmp_path: Path) -> None:
    nightly, often, once = read_schedules(written(tmp_path, GOOD)).schedules
    assert (nightly.name, nightly.missed, nightly.grace, nightly.overlap) == ("nights/nightly", "skip", 7200.0, "wait")
    assert (often.times.zone, often.times.every) == ("Asia/Tokyo", 21_600.0)
    assert once.times.next(at("2026-01-01 00:00"), 0.0) == at("2031-12-01 01:00")
    assert fire_batch(nightly, at("2026-05-02 00:15")).name == "nights/nightly/20260502T001500Z"


def test_the_next_times_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", str(written(tmp_path, GOOD)), "--list"]) == 0
    said = capsys.readouterr().out
    assert "nightly" in said
    assert "2031-12-01 02:00:00+01:00" in said


HEAD = "version: 1\nschedules:\n  - "
MISTAKES = [
    ("no version", "schedules: []\n", ["'version' is missing"]),
    ("no schedules", "version: 1\n", ["'schedules' is missing"]),
    ("unknown field", "version: 1\ntimezon: UTC\nschedules: []\n", ["line 2", "'timezon'", "mean 'timezone'"]),
    (
        "unknown field of one",
        HEAD + "{name: a, jobs: jobs.yaml, corn: '0 2 * * *'}\n",
        ["line 3", "'a'", "mean 'cron'"],
    ),
    ("no name", HEAD + "{jobs: jobs.yaml, every: 1h}\n", ["line 3", "number 1", "'name' is missing"]),
    ("no jobs", HEAD + "{name: a, every: 1h}\n", ["line 3", "'a'", "'jobs' is missing"]),
    ("no time", HEAD + "{name: a, jobs: jobs.yaml}\n", ["'a'", "nothing says when", "cron, every, at"]),
    ("two times", HEAD + "{name: a, jobs: jobs.yaml, every: 1h, at: 2031-01-01}\n", ["'a'", "too many"]),
    ("minute 61", HEAD + "{name: a, jobs: jobs.yaml, cron: '61 2 * * *'}\n", ["'a'", "61"]),
    ("three fields", HEAD + "{name: a, jobs: jobs.yaml, cron: '0 2 *'}\n", ["'a'", "expected 5"]),
    ("8th day", HEAD + "{name: a, jobs: jobs.yaml, cron: '0 2 * * 8'}\n", ["'a'", "days of the week"]),
    ("30 February", HEAD + "{name: a, jobs: jobs.yaml, cron: '0 2 30 2 *'}\n", ["'a'", "never comes"]),
    ("13th month", HEAD + "{name: a, jobs: jobs.yaml, at: '2031-13-01 02:00'}\n", ["'a'", "at:", "month"]),
    ("no duration", HEAD + "{name: a, jobs: jobs.yaml, every: often}\n", ["'a'", "every:", "no duration"]),
    ("no time between", HEAD + "{name: a, jobs: jobs.yaml, every: 0s}\n", ["'a'", "every:", "at least 1 s"]),
    ("grace", HEAD + "{name: a, jobs: jobs.yaml, every: 1h, grace: long}\n", ["'a'", "grace:"]),
    (
        "zone",
        HEAD + "{name: a, jobs: jobs.yaml, every: 1h, timezone: Europe/Berlim}\n",
        ["'a'", "mean 'Europe/Berlin'"],
    ),
    ("zone of all", "version: 1\ntimezone: Mars\n" + HEAD[11:] + "{name: a, jobs: jobs.yaml, every: 1h}\n", ["Mars"]),
    ("missed", HEAD + "{name: a, jobs: jobs.yaml, every: 1h, missed: never}\n", ["'a'", "missed:", "run_once"]),
    ("overlap", HEAD + "{name: a, jobs: jobs.yaml, every: 1h, overlap: kill}\n", ["'a'", "overlap:", "wait"]),
    (
        "same names",
        HEAD + "{name: a, jobs: jobs.yaml, every: 1h}\n" + "  - {name: a, jobs: jobs.yaml, every: 1h}\n",
        ["line 4", "another one"],
    ),
    ("no such jobs file", HEAD + "{name: a, jobs: jbos.yaml, every: 1h}\n", ["'a'", "jbos.yaml"]),
    ("bad jobs file", HEAD + "{name: a, jobs: nights.yaml, every: 1h}\n", ["'a'", "nights.yaml line", "schedules"]),
]


@pytest.mark.parametrize(("text", "words"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]
) -> None:
    assert main(["schedule", str(written(tmp_path, text)), "--once"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("error: nights.yaml")
    for word in words:
        assert word in said.err
