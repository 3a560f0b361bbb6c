"""At which hour of the site's clock a guest's runs are planned, and when the past ones began and ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from backup_standard.audit import nights, planned
from backup_standard.audit.jobs import JobOnNode

_DAY = 86400


@dataclass(frozen=True)
class Hours:
    """The coming nights: those with a run, those without one at the policy's hour, and the times of their runs.

    ``shifted``: the node keeps another zone's clock, so that summer time moves its runs about the policy's hour.
    """

    planned: int = 0
    wrong: tuple[dt.date, ...] = ()
    times: tuple[str, ...] = ()
    shifted: bool = False


def judge(jobs: Sequence[JobOnNode], now: int, site: ZoneInfo, start: str, tolerance: dt.timedelta) -> Hours:
    """Every night that has a run needs one at ``start`` (HH:MM, local time of the site).

    The night that summer time shortens may have it at another time. Where the node's clock is another zone's, runs may
    be off by ``tolerance`` as long as some are exact.
    """
    moments = [
        dt.datetime.fromtimestamp(at, tz=site) for job in jobs for at in planned.coming_starts(job.job, now, job.zone)
    ]
    each = nights.nights_of((int(moment.timestamp()) for moment in moments), site) & {*nights.coming(now, site)}
    exact = _nights(moments, site, start, dt.timedelta())
    near = _nights(moments, site, start, tolerance)
    shifted = bool(exact) and any(job.zone.key != site.key for job in jobs) and each <= near | _short(each, site)
    wrong = set() if shifted else each - exact - _short(each, site)
    times = sorted({f"{moment:%H:%M}" for moment in moments})
    return Hours(len(each), tuple(sorted(wrong)), tuple(times), shifted and bool(each - exact - _short(each, site)))


def _short(found: set[dt.date], zone: ZoneInfo) -> set[dt.date]:
    return {night for night in found if nights.loses_an_hour(night, zone)}


def _nights(moments: Sequence[dt.datetime], zone: ZoneInfo, start: str, tolerance: dt.timedelta) -> set[dt.date]:
    """The nights with a run no further than that from the hour."""
    return {
        nights.night_of(int(moment.timestamp()), zone)
        for moment in moments
        if _distance(moment, start) <= tolerance.total_seconds()
    }


def _distance(moment: dt.datetime, start: str) -> int:
    """Seconds on the clock's face between a moment and HH:MM, the shorter way round, by whole minutes."""
    hour, minute = (int(part) for part in start.split(":"))
    apart = (moment.hour * 60 + moment.minute - hour * 60 - minute) * 60 % _DAY
    return min(apart, _DAY - apart)


@dataclass(frozen=True)
class Window:
    """Hours of low usage, as ``22:00-06:00``: from the first to the second, local time of the site."""

    text: str

    @property
    def _minutes(self) -> tuple[int, int]:
        first, last = (part.split(":") for part in self.text.split("-"))
        start, end = (int(hour) * 60 + int(minute) for hour, minute in (first, last))
        return start, (end - start) % 1440 or 1440

    def holds(self, begin: int, end: int, zone: ZoneInfo) -> bool:
        """Whether something that lasted from one moment to another lies wholly within the hours of one night."""
        start, length = self._minutes
        local = dt.datetime.fromtimestamp(begin, tz=zone)
        into = (local.hour * 60 + local.minute - start) % 1440
        return into < length and into * 60 + local.second + (end - begin) <= length * 60

    def __str__(self) -> str:
        return self.text.replace("-", " to ")
