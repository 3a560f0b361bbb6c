"""Calendar events against recorded answers of Proxmox VE, and through both clock changes."""

from __future__ import annotations

import datetime as dt
import json
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backup_standard.audit import calendar

RECORDED = json.loads((Path(__file__).parents[2] / "contract" / "vectors" / "calendar.json").read_text())
BERLIN, LONDON, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/London"), ZoneInfo("America/New_York")


@pytest.mark.parametrize("vector", RECORDED["vectors"], ids=lambda vector: vector["schedule"] or "empty")
def test_recorded_answers(vector: dict[str, object]) -> None:
    """Proxmox's own answers: the same moments, and the same texts refused."""
    if vector["events"] is None:
        with pytest.raises(calendar.NotACalendarEvent):
            calendar.parse(str(vector["schedule"]))
        return
    event = calendar.parse(str(vector["schedule"]))
    found = islice(calendar.events(event, int(str(vector["after"])), ZoneInfo(RECORDED["zone"])), 4)
    assert list(found) == vector["events"]


def say(schedule: str, start: str, zone: ZoneInfo, count: int = 3) -> list[str]:
    """The next moments after ``start``, in the zone's own time."""
    after = int(dt.datetime.fromisoformat(start).replace(tzinfo=zone).timestamp())
    moments = islice(calendar.events(calendar.parse(schedule), after, zone), count)
    return [dt.datetime.fromtimestamp(one, tz=zone).strftime("%m-%d %H:%M") for one in moments]


@pytest.mark.parametrize("schedule", ["02:00", "02:30"])
def test_a_run_in_the_spring_gap_is_skipped_not_shifted(schedule: str) -> None:
    days = [text.split()[0] for text in say(schedule, "2026-03-27 12:00", BERLIN)]
    assert days == ["03-28", "03-30", "03-31"]


def test_a_weekly_run_in_the_gap_loses_a_whole_week() -> None:
    assert say("sun 02:30", "2026-03-21 12:00", BERLIN, 2) == ["03-22 02:30", "04-05 02:30"]


def test_what_lies_outside_the_gap_still_runs() -> None:
    assert say("2,22:30", "2026-03-28 23:00", BERLIN, 2) == ["03-29 22:30", "03-30 02:30"]
    for schedule in ("03:00", "daily", "02:30 UTC"):
        days = [text.split()[0] for text in say(schedule, "2026-03-27 12:00", BERLIN, 4)]
        assert days == ["03-28", "03-29", "03-30", "03-31"]


def test_other_zones_have_their_own_gaps() -> None:
    assert say("01:30", "2026-03-27 12:00", LONDON, 2) == ["03-28 01:30", "03-30 01:30"]
    assert say("02:00", "2026-03-06 12:00", NEW_YORK, 2) == ["03-07 02:00", "03-09 02:00"]


@pytest.mark.parametrize("schedule", ["02:00", "02:30"])
def test_the_repeated_hour_of_autumn_is_run_once_in_summer_time(schedule: str) -> None:
    event = calendar.parse(schedule)
    after = int(dt.datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN).timestamp())
    first, second = islice(calendar.events(event, after, BERLIN), 2)
    assert dt.datetime.fromtimestamp(first, tz=BERLIN).utcoffset() == dt.timedelta(hours=2)
    assert second - first == 25 * 3600


@pytest.mark.parametrize("schedule", ["*:0", "*/30"])
def test_an_hourly_run_leaves_out_the_repeated_hour(schedule: str) -> None:
    event = calendar.parse(schedule)
    two_oclock = int(dt.datetime(2026, 10, 25, 2, 0, tzinfo=BERLIN).timestamp())
    later = [one for one in islice(calendar.events(event, two_oclock, BERLIN), 2) if one % 3600 == 0]
    assert later[0] - two_oclock == 2 * 3600


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2:60",
        "5..3",
        "*/0",
        "mon,",
        "02:00 mon",
        "Daily",
        "daily 04:00",
        "1:2:3:4",
        "mon..",
        "13-40",
        "1-2-3-4",
        "x",
    ],
)
def test_refused_texts(text: str) -> None:
    with pytest.raises(calendar.NotACalendarEvent, match="is not a calendar event"):
        calendar.parse(text)


@pytest.mark.parametrize(
    "text", ["mon02:00", "2:00UTC", "Monday 5:5", "fri..mon", "  02:00 ", "*-*-* 1:2:3", "semi-annually"]
)
def test_accepted_texts(text: str) -> None:
    calendar.parse(text)


@pytest.mark.parametrize("text", ["2026-02-30", "0-0", "2020-01-01 00:00"])
def test_events_that_never_come(text: str) -> None:
    assert calendar.next_event(calendar.parse(text), 1_795_000_000, BERLIN) is None


def test_a_wrapping_range_of_weekdays() -> None:
    assert calendar.parse("fri..mon 1:00").weekdays == {4, 5, 6, 0}


def test_seconds_and_years() -> None:
    assert say("2027-01-01 0:0:30", "2026-11-24 00:00", BERLIN) == ["01-01 00:00"]
