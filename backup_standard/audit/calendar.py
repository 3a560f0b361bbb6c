"""Calendar events: the grammar of backup schedules, and the moments on which they fall.

Upstream: proxmox-time/src/calendar_event.rs. Events are local to the node's zone unless they end in ``UTC``. An event
inside the hour that summer time skips does not happen; the hour repeated in autumn is not run twice.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KEYWORDS = {
    "minutely": "*:*", "hourly": "*:0", "daily": "0:0", "weekly": "mon 0:0", "monthly": "*-*-1",
    "quarterly": "1,4,7,10-1", "yearly": "1-1", "annually": "1-1", "semiannually": "1,7-1", "semi-annually": "1,7-1",
}  # fmt: skip
_WEEKDAYS = re.compile(r"([a-z]+(?:\.\.[a-z]+)?(?:,[a-z]+(?:\.\.[a-z]+)?)*)\s*", re.IGNORECASE)
_ITEM = re.compile(r"(\d+)(?:\.\.(\d+))?(?:/(\d+))?")
_LAST_YEAR = 2199
_SEARCH_YEARS = 40
"""How far ahead to look before an event counts as one that never comes."""


class NotACalendarEvent(ValueError):
    """The text is no calendar event as Proxmox reads it."""


@dataclass(frozen=True)
class Event:
    """A parsed calendar event; each field holds its allowed values (weekdays: Monday is 0)."""

    weekdays: frozenset[int]
    years: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]
    utc: bool = False

    def on(self, date: dt.date) -> bool:
        """Whether the event may fall on that date: weekday and date must both match."""
        return (
            date.weekday() in self.weekdays
            and date.month in self.months
            and date.day in self.days
            and date.year in self.years
        )


def parse(text: str) -> Event:
    """Read a calendar event. NotACalendarEvent names the text."""
    try:
        return _parse(text.strip())
    except NotACalendarEvent:
        raise NotACalendarEvent(f"{text!r} is not a calendar event") from None


def _parse(text: str) -> Event:
    utc = text.endswith("UTC")
    body = text.removesuffix("UTC").rstrip() if utc else text
    body = _KEYWORDS.get(body, body)
    weekdays, rest = _weekdays(body)
    words = rest.split()
    if not body or (not words and not weekdays):
        raise NotACalendarEvent(text)
    date = words.pop(0) if words and "-" in words[0] else "*-*-*"
    time = words.pop(0) if words else "0:0:0"
    if words:
        raise NotACalendarEvent(text)
    years, months, days = _date(date)
    hours, minutes, seconds = _time(time)
    return Event(
        weekdays or frozenset(range(7)), frozenset(years), frozenset(months), frozenset(days),
        hours, minutes, seconds, utc,
    )  # fmt: skip


def _weekdays(text: str) -> tuple[frozenset[int], str]:
    """The leading weekdays, and what follows them."""
    match = _WEEKDAYS.match(text)
    if not match:
        return frozenset(), text
    days: set[int] = set()
    for part in match[1].split(","):
        first, _, last = part.partition("..")
        start, end = _weekday(first), _weekday(last or first)
        days.update((start + offset) % 7 for offset in range((end - start) % 7 + 1))
    return frozenset(days), text[match.end() :]


def _weekday(name: str) -> int:
    for index, day in enumerate(_DAYS):
        if name.lower() in {day, day[:3]}:
            return index
    raise NotACalendarEvent(name)


def _date(text: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Years, months and days of ``YEARS-MONTHS-DAYS`` or ``MONTHS-DAYS``."""
    parts = text.split("-")
    if len(parts) not in {2, 3}:
        raise NotACalendarEvent(text)
    years = _values(parts[0], 0, _LAST_YEAR) if len(parts) == 3 else _values("*", 0, _LAST_YEAR)  # noqa: PLR2004
    return years, _values(parts[-2], 1, 12), _values(parts[-1], 1, 31)


def _time(text: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Hours, minutes and seconds; a lone number is minutes, and what is no hour is tried as minutes and seconds."""
    parts = text.split(":")
    if len(parts) == 3:  # noqa: PLR2004
        return _values(parts[0], 0, 23), _values(parts[1], 0, 59), _values(parts[2], 0, 59)
    every_hour = _values("*", 0, 23)
    if len(parts) == 1:
        return every_hour, _values(parts[0], 0, 59), (0,)
    if len(parts) != 2:  # noqa: PLR2004
        raise NotACalendarEvent(text)
    try:
        return _values(parts[0], 0, 23), _values(parts[1], 0, 59), (0,)
    except NotACalendarEvent:
        return every_hour, _values(parts[0], 0, 59), _values(parts[1], 0, 59)


def _values(text: str, lowest: int, highest: int) -> tuple[int, ...]:
    """The values of one unit's list: ``*``, ``*/n``, or items ``n``, ``n/step``, ``n..n``, ``n..n/step``."""
    if text == "*":
        return tuple(range(lowest, highest + 1))
    if text.startswith("*/"):
        text = f"{lowest}..{highest}{text[1:]}"
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise NotACalendarEvent(text)
        start, step = int(match[1]), int(match[3] or 1)
        end = int(match[2]) if match[2] else (highest if match[3] else start)
        if step == 0 or start > end or end > highest:
            raise NotACalendarEvent(text)
        found.update(range(start, end + 1, step))
    return tuple(sorted(found))


def events(event: Event, after: int, zone: ZoneInfo) -> Iterator[int]:
    """The moments (epoch seconds) later than ``after``, in order; ends when none comes within forty years."""
    where: dt.tzinfo = dt.UTC if event.utc else zone
    start = dt.datetime.fromtimestamp(after, tz=where)
    date, last = start.date(), start.date().replace(day=1, year=min(start.year + _SEARCH_YEARS, _LAST_YEAR))
    while date <= last:
        if event.on(date):
            earliest = start.time() if date == start.date() else dt.time()
            for moment in _times(event, date, earliest, where):
                if moment > after:
                    last = date.replace(day=1, year=min(date.year + _SEARCH_YEARS, _LAST_YEAR))
                    yield moment
        date += dt.timedelta(days=1)


def _times(event: Event, date: dt.date, earliest: dt.time, where: dt.tzinfo) -> Iterator[int]:
    """The moments of one date from ``earliest`` on; local times that the clock skips are left out."""
    for hour in event.hours:
        if hour < earliest.hour:
            continue
        for minute in event.minutes:
            if (hour, minute) < (earliest.hour, earliest.minute):
                continue
            for second in event.seconds:
                local = dt.datetime.combine(date, dt.time(hour, minute, second), tzinfo=where)
                if _exists(local):
                    yield int(local.timestamp())


def _exists(local: dt.datetime) -> bool:
    """Whether that wall-clock time occurs in its zone."""
    return local.astimezone(dt.UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)


def next_event(event: Event, after: int, zone: ZoneInfo) -> int | None:
    """The first moment later than ``after``, or None for never."""
    return next(events(event, after, zone), None)
