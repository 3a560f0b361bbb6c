"""Nights, the unit in which the policy counts: from noon to noon, local time, named by the morning's date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from functools import lru_cache
from zoneinfo import ZoneInfo

PLANNED_NIGHTS = 400
"""How many coming nights a schedule is judged over: more than a year, so both clock changes are among them."""


def night_of(moment: int, zone: ZoneInfo) -> dt.date:
    """The night in which a moment (epoch seconds) falls."""
    local = dt.datetime.fromtimestamp(moment, tz=zone)
    return local.date() + dt.timedelta(days=1 if local.hour >= 12 else 0)  # noqa: PLR2004 - noon


def noon_before(night: dt.date, zone: ZoneInfo) -> int:
    """The moment (epoch seconds) at which a night begins."""
    return int(dt.datetime.combine(night - dt.timedelta(days=1), dt.time(12), tzinfo=zone).timestamp())


def coming(now: int, zone: ZoneInfo, count: int = PLANNED_NIGHTS) -> list[dt.date]:
    """The next nights that lie wholly ahead."""
    return after(night_of(now, zone), count)


def after(night: dt.date, count: int = PLANNED_NIGHTS) -> list[dt.date]:
    """The nights that follow one."""
    return [night + dt.timedelta(days=offset) for offset in range(1, count + 1)]


@lru_cache(maxsize=4096)
def loses_an_hour(night: dt.date, zone: ZoneInfo) -> bool:
    """Whether the clock jumps forward in that night."""
    return noon_before(night + dt.timedelta(days=1), zone) - noon_before(night, zone) < 86400  # noqa: PLR2004 - a day


def say_nights(found: Collection[dt.date], most: int = 3) -> str:
    """A few dates, and how many more."""
    shown = ", ".join(night.isoformat() for night in sorted(found)[:most])
    return f"{shown} and {len(found) - most} more" if len(found) > most else shown


def nights_of(moments: Iterable[int], zone: ZoneInfo) -> frozenset[dt.date]:
    """The nights in which any of the moments falls."""
    return _nights_of(tuple(moments), zone)


@lru_cache(maxsize=512)
def _nights_of(moments: tuple[int, ...], zone: ZoneInfo) -> frozenset[dt.date]:
    """The same, once for all guests whose runs are planned alike."""
    return frozenset(night_of(moment, zone) for moment in moments)
