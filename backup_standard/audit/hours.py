"""At which hour of the site's clock a guest's runs are planned, and when the past ones began and ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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
    starts = tuple(at for job in jobs for at in planned.coming_starts(job.job, now, job.zone))
    foreign = any(job.zone.key != site.key for job in jobs)
    return _judged(starts, nights.night_of(now, site), site, (start, tolerance, foreign))


@lru_cache(maxsize=256)
def _judged(starts: tuple[int, ...], tonight: dt.date, site: ZoneInfo, policy: tuple[str, dt.timedelta, bool]) -> Hours:
    """The same of plain values, once for all guests whose runs are planned alike."""
    start, tolerance, foreign = policy
    moments = [dt.datetime.fromtimestamp(at, tz=site) for at in starts]
    apart = [(nights.night_of(at, site), _distance(one, start)) for at, one in zip(starts, moments, strict=True)]
    each = {night for night, _ in apart} & {*nights.after(tonight)}
    exact = {night for night, distance in apart if not distance}
    near = {night for night, distance in apart if distance <= tolerance.total_seconds()}
    short = {night for night in each if nights.loses_an_hour(night, site)}
    shifted = bool(exact) and foreign and each <= near | short
    wrong = set() if shifted else each - exact - short
    times = sorted({f"{moment:%H:%M}" for moment in moments})
    return Hours(len(each), tuple(sorted(wrong)), tuple(times), shifted and bool(each - exact - short))


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
