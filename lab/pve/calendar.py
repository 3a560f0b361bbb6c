"""Calendar events: the grammar backup jobs are scheduled with, and the moment the next one falls on.

Grammar and search follow the behaviour of upstream's ``proxmox-time`` (calendar_event.rs): times are local to the
node, an event inside the hour that summer time skips does not happen at all, and the hour that is repeated in autumn
is not run twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NoReturn
from zoneinfo import ZoneInfo

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KEYWORDS = {
    "minutely": "*:*",
    "hourly": "*:00",
    "daily": "00:00",
    "weekly": "mon 00:00",
    "monthly": "*-*-1 00:00",
    "quarterly": "*-1,4,7,10-1 00:00",
    "yearly": "*-1-1 00:00",
    "annually": "*-1-1 00:00",
    "semiannually": "*-1,7-1 00:00",
    "semi-annually": "*-1,7-1 00:00",
}
_Parser = Callable[[str], tuple[str, dict[str, "Field"]]]
_MAX_STEPS = 1000
_YEAR_END = 2200


class CalendarError(ValueError):
    """A text that is no calendar event; the message is worded as upstream's parser words it."""


@dataclass(frozen=True)
class Span:
    """One item of a list: ``5``, ``5..9``, ``5/10`` or ``5..9/2``; ``end`` None is the field's natural end."""

    start: int
    end: int | None = None
    step: int | None = None

    def holds(self, value: int) -> bool:
        """Tell whether the item covers ``value``."""
        if self.end is None and self.step is None:
            return value == self.start
        if value < self.start or (self.end is not None and value > self.end):
            return False
        return self.step is None or (value - self.start) % self.step == 0


@dataclass(frozen=True)
class Field:
    """The allowed values of one unit of time below ``limit``; no spans means every value."""

    limit: int
    spans: Sequence[Span] = ()

    def holds(self, value: int) -> bool:
        """Tell whether ``value`` is allowed."""
        return not self.spans or any(span.holds(value) for span in self.spans)

    def after(self, value: int) -> int | None:
        """Give the next allowed value above ``value``, or None."""
        return next((number for number in range(value + 1, self.limit) if self.holds(number)), None)


@dataclass(frozen=True)
class CalendarEvent:
    """A parsed event. ``days`` are weekdays, Monday is 0; empty means every day."""

    days: frozenset[int] = frozenset()
    year: Field = field(default_factory=lambda: Field(_YEAR_END))
    month: Field = field(default_factory=lambda: Field(13))
    day: Field = field(default_factory=lambda: Field(32))
    hour: Field = field(default_factory=lambda: Field(24, (Span(0),)))
    minute: Field = field(default_factory=lambda: Field(60, (Span(0),)))
    second: Field = field(default_factory=lambda: Field(60, (Span(0),)))
    utc: bool = False


class _Mismatch(Exception):
    """This alternative of the grammar does not match here."""


def _fail(rest: str, why: str) -> NoReturn:
    raise CalendarError(f"unable to parse calendar event at '{rest}' - {why}")


def parse(text: str) -> CalendarEvent:
    """Read an event; CalendarError says where it stops making sense."""
    text = text.strip()
    utc = text.endswith("UTC")
    rest = text.removesuffix("UTC").rstrip() if utc else text
    if not rest:
        raise CalendarError("unable to parse calendar event - event is empty")
    rest = _KEYWORDS.get(rest, rest)
    days, rest = _weekdays(rest)
    has_days = bool(days)
    fields: dict[str, Field] = {}
    rest, has_date = _optional(_date, rest, fields)
    rest, has_time = _optional(_time, rest.lstrip(" \t") if has_date else rest, fields)
    if not (has_days or has_date or has_time):
        _fail(rest, 'Context("date or time specification")')
    if rest:
        _fail(rest, "Nom(Eof)")
    return CalendarEvent(days=frozenset(days), utc=utc, **fields)


def _weekdays(text: str) -> tuple[set[int], str]:
    """Read the leading list of weekdays, if there is one, and the blanks behind it."""
    days: set[int] = set()
    if not re.match(r"[A-Za-z]", text):
        return days, text
    rest = text
    while True:
        first, rest = _weekday(rest)
        last = first
        if rest.startswith(".."):
            last, rest = _weekday(rest[2:])
        days.update((first + offset) % 7 for offset in range((last - first) % 7 + 1))
        if not re.match(r",[A-Za-z]", rest):
            return days, rest.lstrip(" \t")
        rest = rest[1:]


def _weekday(text: str) -> tuple[int, str]:
    word = re.match(r"[A-Za-z]*", text)
    name = word.group().lower() if word else ""
    for index, day in enumerate(_DAYS):
        if name in {day, day[:3]}:
            return index, text[len(name) :]
    _fail(text[: len(name)], 'Context("weekday")')


def _optional(parser: _Parser, text: str, fields: dict[str, Field]) -> tuple[str, bool]:
    """Try ``parser`` (date or time); when it does not match nothing is consumed."""
    try:
        rest, found = parser(text)
    except _Mismatch:
        return text, False
    fields.update(found)
    return rest, True


def _date(text: str) -> tuple[str, dict[str, Field]]:
    """Read ``YEARS-MONTHS-DAYS`` or ``MONTHS-DAYS``."""
    try:
        rest, year = _list(text, 0, _YEAR_END)
        rest, month = _list(_after(rest, "-"), 1, 13)
        rest, day = _list(_after(rest, "-"), 1, 32)
    except _Mismatch:
        rest, month = _list(text, 1, 13)
        rest, day = _list(_after(rest, "-"), 1, 32)
        return rest, {"month": month, "day": day}
    return rest, {"year": year, "month": month, "day": day}


def _time(text: str) -> tuple[str, dict[str, Field]]:
    """Read ``[HOURS:]MINUTES[:SECONDS]``; what is no hour is tried as minutes."""
    found = {"hour": Field(24)}
    rest = text
    try:
        after, hour = _list(text, 0, 24)
        rest, found["hour"] = _after(after, ":"), hour
        rest, found["minute"] = _list(rest, 0, 60)
    except _Mismatch:
        found = {"hour": Field(24)}
        rest, found["minute"] = _list(text, 0, 60)
    try:
        rest, found["second"] = _list(_after(rest, ":"), 0, 60)
    except _Mismatch:
        return rest, found
    return rest, found


def _after(text: str, sign: str) -> str:
    if not text.startswith(sign):
        raise _Mismatch
    return text[len(sign) :]


def _list(text: str, start: int, limit: int) -> tuple[str, Field]:
    """Read one unit's list of values below ``limit``."""
    if text.startswith("*"):
        step, rest = _step(text[1:])
        return rest, Field(limit, () if step is None else (Span(start, None, step),))
    spans = []
    while True:
        span, text = _span(text, limit)
        spans.append(span)
        if not re.match(r",\d", text):
            return text, Field(limit, tuple(spans))
        text = text[1:]


def _span(text: str, limit: int) -> tuple[Span, str]:
    start, rest = _number(text, limit)
    end = None
    if rest.startswith(".."):
        end, rest = _number(rest[2:], limit)
        if start > end:
            raise _Mismatch
    step, rest = _step(rest)
    return Span(start, end, step), rest


def _number(text: str, limit: int) -> tuple[int, str]:
    digits = re.match(r"\d+", text)
    if not digits or int(digits.group()) >= limit:
        raise _Mismatch
    return int(digits.group()), text[digits.end() :]


def _step(text: str) -> tuple[int | None, str]:
    if not text.startswith("/"):
        return None, text
    step, rest = _number(text[1:], _YEAR_END)
    if step == 0:
        raise _Mismatch
    return step, rest


def next_event(event: CalendarEvent, after: int, zone: ZoneInfo) -> int | None:
    """Give the first moment of ``event`` later than ``after`` (both seconds since the epoch), or None for never."""
    where: tzinfo = UTC if event.utc else zone
    clock = datetime.fromtimestamp(after + 1, where).replace(tzinfo=None)
    for _ in range(_MAX_STEPS):
        moved = _advance(event, clock)
        if moved is None:
            return None
        if moved == clock:
            return _epoch(clock, where, after)
        clock = _normalise(moved, where)
    return None


def _epoch(clock: datetime, where: tzinfo, after: int) -> int:
    """Give the instant of a local time: of a repeated hour the first, unless that one is past."""
    first = int(clock.replace(tzinfo=where, fold=0).timestamp())
    return first if first > after else int(clock.replace(tzinfo=where, fold=1).timestamp())


def _normalise(clock: datetime, where: tzinfo) -> datetime:
    """Move a local time that does not exist to the one that does, as mktime does."""
    aware = clock.replace(tzinfo=where)
    return aware.astimezone(UTC).astimezone(where).replace(tzinfo=None)


def _advance(event: CalendarEvent, clock: datetime) -> datetime | None:
    """Take one step towards the event: the same time when all of it matches, None when no year is left."""
    today = clock.replace(hour=0, minute=0, second=0)
    if event.days and clock.weekday() not in event.days:
        later = [day for day in event.days if day > clock.weekday()]
        return today + timedelta(days=(min(later) if later else 7) - clock.weekday())
    if not event.year.holds(clock.year):
        year = event.year.after(clock.year)
        return None if year is None else datetime(year, 1, 1)  # noqa: DTZ001 - a wall-clock time
    return _advance_in_year(event, clock, today)


def _advance_in_year(event: CalendarEvent, clock: datetime, today: datetime) -> datetime | None:
    """Step through months and days."""
    if not event.month.holds(clock.month):
        month = event.month.after(clock.month)
        if month is None:
            return None if clock.year + 1 >= _YEAR_END else today.replace(year=clock.year + 1, month=1, day=1)
        return today.replace(month=month, day=1)
    if not event.day.holds(clock.day):
        day = event.day.after(clock.day)
        first = today.replace(day=1)
        return (first + timedelta(days=32)).replace(day=1) if day is None else first + timedelta(days=day - 1)
    return _advance_in_day(event, clock, today)


def _advance_in_day(event: CalendarEvent, clock: datetime, today: datetime) -> datetime:
    """Step through hours, minutes and seconds."""
    if not event.hour.holds(clock.hour):
        hour = event.hour.after(clock.hour)
        return today + (timedelta(days=1) if hour is None else timedelta(hours=hour))
    if not event.minute.holds(clock.minute):
        minute = event.minute.after(clock.minute)
        return clock.replace(minute=0, second=0) + (timedelta(hours=1) if minute is None else timedelta(minutes=minute))
    if not event.second.holds(clock.second):
        second = event.second.after(clock.second)
        return clock.replace(second=0) + (timedelta(minutes=1) if second is None else timedelta(seconds=second))
    return clock
