"""Nights run from noon to noon."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from backup_standard.audit import nights

BERLIN = ZoneInfo("Europe/Berlin")


def moment(*parts: int) -> int:
    return int(dt.datetime(*parts, tzinfo=BERLIN).timestamp())  # type: ignore[arg-type, misc]


def test_evening_and_early_morning_are_one_night() -> None:
    assert nights.night_of(moment(2026, 11, 23, 23, 0), BERLIN) == dt.date(2026, 11, 24)
    assert nights.night_of(moment(2026, 11, 24, 2, 0), BERLIN) == dt.date(2026, 11, 24)
    assert nights.night_of(moment(2026, 11, 24, 12, 0), BERLIN) == dt.date(2026, 11, 25)


def test_only_the_spring_night_loses_an_hour() -> None:
    assert nights.loses_an_hour(dt.date(2027, 3, 28), BERLIN)
    assert not nights.loses_an_hour(dt.date(2027, 3, 27), BERLIN)
    assert not nights.loses_an_hour(dt.date(2027, 10, 31), BERLIN)


def test_coming_nights_lie_wholly_ahead() -> None:
    ahead = nights.coming(moment(2026, 11, 24, 9, 0), BERLIN)
    assert ahead[0] == dt.date(2026, 11, 25)
    assert len(ahead) == nights.PLANNED_NIGHTS


def test_a_few_are_said_and_the_rest_counted() -> None:
    dates = [dt.date(2026, 1, day) for day in range(1, 6)]
    assert nights.say_nights(dates) == "2026-01-01, 2026-01-02, 2026-01-03 and 2 more"
    assert nights.say_nights(dates[:1]) == "2026-01-01"
