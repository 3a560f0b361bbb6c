"""How many nights the archives on disk already hold, and how many they can hold since the guest exists.

A VMID may be used again: archives from before the guest was made belong to another. Upstream: ``meta`` in a QEMU
guest's configuration holds its creation time since release 7.1; a restored guest keeps that of its archive, a clone has
its own. Containers have none.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from backup_standard.audit import nights
from backup_standard.errors import Unknown
from backup_standard.model import Archive

_CREATED = re.compile(r"(?:^|,)ctime=(\d+)")
_SETTLING = 6 * 3600
"""Seconds after a planned start before its archive must be there."""


@dataclass(frozen=True)
class NightsHeld:
    """Nights with an archive, nights that the policy demands of it by now, and the nights among them without one.

    ``created`` (epoch seconds) is None where the site does not tell it; ``foreign`` counts archives of a former guest.
    """

    held: tuple[dt.date, ...]
    demanded: int
    missing: tuple[dt.date, ...] = ()
    created: int | None = None
    foreign: int = 0

    @property
    def enough(self) -> bool:
        """Whether the demanded nights are there: that many distinct ones, or every one since the guest exists."""
        return len(self.held) >= self.demanded and not self.missing

    def say_made(self) -> str:
        """When the guest was made, in words."""
        if self.created is None:
            return "not known"
        return dt.datetime.fromtimestamp(self.created, tz=dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def created(config: Mapping[str, str]) -> int | None:
    """When the guest was made (epoch seconds), None where its configuration does not say."""
    match = _CREATED.search(config.get("meta", ""))
    return int(match[1]) if match else None


@dataclass(frozen=True)
class Times:
    """Moments in epoch seconds: planned ``starts`` of the last weeks, ``runs`` that took place, and ``now``."""

    starts: tuple[int, ...]
    runs: tuple[int, ...]
    now: int
    zone: ZoneInfo


def judge(archives: Sequence[Archive], times: Times, wanted: int, made: int | None) -> NightsHeld:
    """How many of the ``wanted`` nights a guest's archives hold; ``made`` is when the guest was.

    Unknown where too few nights are held and nothing shows how old the guest is.
    """
    zone = times.zone
    own = [archive for archive in archives if made is None or archive.ctime >= made]
    held = nights.nights_of((archive.ctime for archive in own), zone)
    due = nights.nights_of(
        (at for at in times.starts if at <= times.now - _SETTLING and (made is None or at > made)), zone
    )
    result = NightsHeld(tuple(sorted(held)), wanted, (), made, len(archives) - len(own))
    if len(held) >= wanted:
        return result
    if made is None:
        return _by_runs(result, nights.nights_of(times.runs, zone))
    if len(due) >= wanted:
        return result
    return NightsHeld(result.held, len(due), tuple(sorted(due - held)), made, result.foreign)


def _by_runs(held: NightsHeld, ran: Collection[dt.date]) -> NightsHeld:
    """Without a creation time: a guest that was backed up on so many nights already is old enough."""
    if len(ran) >= held.demanded:
        return held
    if ran and not held.missing and set(ran) - set(held.held):
        return NightsHeld(held.held, len(ran), tuple(sorted(set(ran) - set(held.held))), None, held.foreign)
    reason = f"its archives hold {len(held.held)} nights, and the site does not tell when the guest was made"
    raise Unknown("how many nights the archives could hold", reason=reason)
