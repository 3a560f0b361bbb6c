"""When a job runs: past and coming starts, and the nights its schedule leaves out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from backup_standard.audit import calendar, nights
from backup_standard.audit.retention import MOST_RUNS
from backup_standard.model import BackupJob

LOOK_BACK = (2 * 86400, 16 * 86400, 400 * 86400)
"""Seconds to look back for the latest planned start: most schedules have one within two days."""


@dataclass(frozen=True)
class NightPlan:
    """The coming nights of a guest: how many were looked at, and those without any planned run.

    ``skipped`` are nights that the jump to summer time takes out of the calendar; ``missing`` are the others.
    """

    looked_at: int
    missing: tuple[dt.date, ...]
    skipped: tuple[dt.date, ...]


def _event(job: BackupJob) -> calendar.Event | None:
    """The job's schedule, None where it is no calendar event (such a job never runs)."""
    try:
        return calendar.parse(job.schedule)
    except calendar.NotACalendarEvent:
        return None


def _asked_of_the_site(job: BackupJob, until: int) -> tuple[int, ...]:
    """The starts that the site itself computed, where they reach far enough."""
    return job.runs if job.runs_until >= until else ()


def coming_starts(job: BackupJob, now: int, zone: ZoneInfo) -> list[int]:
    """The planned starts (epoch seconds) of the coming nights, of a very frequent job the first few thousand."""
    until = nights.noon_before(nights.coming(now, zone)[-1] + dt.timedelta(days=1), zone)
    known, event = _asked_of_the_site(job, until), _event(job)
    found = known or (islice(calendar.events(event, now, zone), MOST_RUNS) if event else ())
    return list(takewhile(lambda moment: moment <= until, found))


def nights_with_a_run(job: BackupJob, now: int, zone: ZoneInfo) -> frozenset[dt.date]:
    """The coming nights in which the job has at least one planned start."""
    ahead = nights.coming(now, zone)
    last = nights.noon_before(ahead[-1] + dt.timedelta(days=1), zone)
    known, event = _asked_of_the_site(job, last), _event(job)
    if known:
        return nights.nights_of(known, zone)
    found: set[dt.date] = set()
    moment = calendar.next_event(event, nights.noon_before(ahead[0], zone) - 1, zone) if event else None
    while event and moment is not None and moment < last:
        night = nights.night_of(moment, zone)
        found.add(night)
        moment = calendar.next_event(event, nights.noon_before(night + dt.timedelta(days=1), zone) - 1, zone)
    return frozenset(found)


def plan(jobs: Sequence[BackupJob], now: int, zone: ZoneInfo) -> NightPlan:
    """What the jobs together plan for the coming nights."""
    ahead = nights.coming(now, zone)
    covered: set[dt.date] = set()
    for job in jobs:
        own = nights_with_a_run(job, now, zone)
        covered |= own | (_made_up_for(own, ahead, zone) if job.by_cron else set())
    missing = [night for night in ahead if night not in covered]
    skipped = tuple(night for night in missing if nights.loses_an_hour(night, zone) and _stands_alone(night, missing))
    return NightPlan(len(ahead), tuple(night for night in missing if night not in skipped), skipped)


def _made_up_for(own: Collection[dt.date], ahead: Sequence[dt.date], zone: ZoneInfo) -> set[dt.date]:
    """Nights whose hour summer time takes away: cron runs what was due in it right afterwards (Debian: cron(8))."""
    lost = (night for night in ahead if night not in own and nights.loses_an_hour(night, zone))
    return {night for night in lost if all(night + dt.timedelta(days=step) in own for step in (-1, 1))}


def _stands_alone(night: dt.date, missing: Sequence[dt.date]) -> bool:
    """Whether the nights before and after have a run: only then did the clock alone take this one away."""
    return not any(night + dt.timedelta(days=step) in missing for step in (-1, 1))


def latest_starts(job: BackupJob, now: int, zone: ZoneInfo, most: int = 3) -> list[int]:
    """The latest planned starts up to now, newest first."""
    event = _event(job)
    found: list[int] = []
    for span in LOOK_BACK:
        if event is None or len(found) >= most:
            break
        found = _between(event, now - span, now, zone)
    return sorted(found, reverse=True)[:most]


def starts_between(job: BackupJob, after: int, until: int, zone: ZoneInfo) -> list[int]:
    """The planned starts later than ``after`` and no later than ``until``."""
    event = _event(job)
    return _between(event, after, until, zone) if event else []


def _between(event: calendar.Event, after: int, until: int, zone: ZoneInfo) -> list[int]:
    """The moments later than ``after`` and no later than ``until``."""
    return list(takewhile(lambda moment: moment <= until, calendar.events(event, after, zone)))


def nights_without_a_calendar_time(job: BackupJob, since: int, now: int, zone: ZoneInfo) -> int:
    """How many nights between two moments the job could not run in, because summer time took the hour away."""
    event = _event(job)
    if event is None:
        return 0
    starts = nights.nights_of(_between(event, since - 86400, now, zone), zone)
    night, lost = nights.night_of(since, zone), 0
    while night <= nights.night_of(now, zone):
        lost += night not in starts and nights.loses_an_hour(night, zone)
        night += dt.timedelta(days=1)
    return lost
