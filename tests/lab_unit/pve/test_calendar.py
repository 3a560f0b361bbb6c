"""Calendar events: recorded answers of schedule-analyze, and the nights on which clocks change."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lab.pve.calendar import CalendarError, next_event, parse

RECORDED = json.loads((Path(__file__).parent / "data" / "schedules.json").read_text())
BERLIN = ZoneInfo("Europe/Berlin")


def moments(schedule: str, start: str, zone: str, count: int = 3) -> list[str]:
    where = ZoneInfo(zone)
    moment = int(datetime.fromisoformat(start).replace(tzinfo=where).timestamp())
    found = []
    for _ in range(count):
        following = next_event(parse(schedule), moment, where)
        assert following is not None
        moment = following
        found.append(datetime.fromtimestamp(moment, where).strftime("%m-%d %H:%M %z"))
    return found


@pytest.mark.parametrize("answer", [one for one in RECORDED if "data" in one], ids=lambda one: one["schedule"])
def test_recorded_schedules_give_the_recorded_moments(answer: dict[str, Any]) -> None:
    event, moment, found = parse(answer["schedule"]), answer["starttime"], []
    while len(found) < answer["iterations"] and (following := next_event(event, moment, ZoneInfo("UTC"))) is not None:
        moment = following
        found.append({"timestamp": moment, "utc": time.asctime(time.gmtime(moment))})
    assert found == answer["data"]


@pytest.mark.parametrize("answer", [one for one in RECORDED if "error" in one], ids=lambda one: repr(one["schedule"]))
def test_recorded_refusals_keep_their_words(answer: dict[str, Any]) -> None:
    with pytest.raises(CalendarError) as caught:
        parse(answer["schedule"])
    assert answer["error"] == f"invalid format - invalid calendar event '{answer['schedule']}' - {caught.value}\n\n"


@pytest.mark.parametrize(
    ("zone", "schedule", "start", "expected"),
    [
        ("Europe/Berlin", "02:00", "2026-03-27T12:00", ["03-28 02:00 +0100", "03-30 02:00 +0200", "03-31 02:00 +0200"]),
        ("Europe/Berlin", "02:30", "2026-03-27T12:00", ["03-28 02:30 +0100", "03-30 02:30 +0200", "03-31 02:30 +0200"]),
        (
            "Europe/Berlin",
            "sun 02:30",
            "2026-03-20T12:00",
            ["03-22 02:30 +0100", "04-05 02:30 +0200", "04-12 02:30 +0200"],
        ),
        (
            "Europe/Berlin",
            "2,22:30",
            "2026-03-28T12:00",
            ["03-28 22:30 +0100", "03-29 22:30 +0200", "03-30 02:30 +0200"],
        ),
        ("Europe/Berlin", "03:00", "2026-03-27T12:00", ["03-28 03:00 +0100", "03-29 03:00 +0200", "03-30 03:00 +0200"]),
        ("Europe/Berlin", "daily", "2026-03-28T12:00", ["03-29 00:00 +0100", "03-30 00:00 +0200", "03-31 00:00 +0200"]),
        (
            "Europe/Berlin",
            "02:30 UTC",
            "2026-03-27T12:00",
            ["03-28 03:30 +0100", "03-29 04:30 +0200", "03-30 04:30 +0200"],
        ),
        ("Europe/London", "01:30", "2026-03-27T12:00", ["03-28 01:30 +0000", "03-30 01:30 +0100", "03-31 01:30 +0100"]),
        (
            "America/New_York",
            "02:00",
            "2026-03-06T12:00",
            ["03-07 02:00 -0500", "03-09 02:00 -0400", "03-10 02:00 -0400"],
        ),
        ("Europe/Berlin", "02:00", "2026-10-24T12:00", ["10-25 02:00 +0200", "10-26 02:00 +0100", "10-27 02:00 +0100"]),
        ("Europe/Berlin", "*:0", "2026-10-25T01:40", ["10-25 02:00 +0200", "10-25 03:00 +0100", "10-25 04:00 +0100"]),
        ("Europe/Berlin", "*/30", "2026-10-25T01:40", ["10-25 02:00 +0200", "10-25 02:30 +0200", "10-25 03:00 +0100"]),
    ],
)
def test_hours_that_the_clock_skips_or_repeats(zone: str, schedule: str, start: str, expected: list[str]) -> None:
    assert moments(schedule, start, zone) == expected


def test_an_event_after_the_repeated_hour_began_is_never_in_the_past() -> None:
    second_half_past_two = int(datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1).timestamp())
    following = next_event(parse("*:*"), second_half_past_two, BERLIN)
    assert following == second_half_past_two + 60


@pytest.mark.parametrize("text", ["2:60", "5..3", "*/0", "mon,", "02:00 mon", "Daily", "daily 04:00", "mon-fri 02:00"])
def test_texts_that_are_no_events(text: str) -> None:
    with pytest.raises(CalendarError):
        parse(text)


@pytest.mark.parametrize("text", ["24:00", "mon02:00", "2:00UTC", "Monday 5:5", "fri..mon", "  02:00  "])
def test_odd_texts_that_are_events(text: str) -> None:
    assert next_event(parse(text), 1_795_564_800, BERLIN)


@pytest.mark.parametrize("text", ["2026-02-30", "0-0", "2020-01-01 00:00"])
def test_events_that_never_come(text: str) -> None:
    assert next_event(parse(text), 1_795_564_800, BERLIN) is None
