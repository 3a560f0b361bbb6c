"""When a guest was changed, and which archives lie between its changes.

What the site itself remembers: the guest's creation (``meta``), and finished tasks that made it another (restored,
turned into a template, disks moved …). What happens inside a guest does not show here.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from backup_standard.audit.nights_held import created
from backup_standard.errors import Unknown
from backup_standard.model import Archive, Facts, Guest
from backup_standard.model.facts import known

_FINE = ("OK", "WARNINGS")
_BASE = re.compile(r"[:/]base-(\d+)-disk-\d+[^/]*/(?:\d+/)?vm-\d+-")


@dataclass(frozen=True)
class Change:
    """One change: when (epoch seconds), and what it was."""

    when: int
    what: str

    def say(self, zone: ZoneInfo) -> str:
        """The change in words."""
        return f"{self.what} on {dt.datetime.fromtimestamp(self.when, tz=zone):%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class Changes:
    """The changes of a guest, newest first."""

    found: tuple[Change, ...]

    @property
    def last(self) -> Change:
        """The last change."""
        return self.found[0]

    @property
    def before_last(self) -> Change | None:
        """The change before it, None when the last is the guest's creation or nothing older is known."""
        return self.found[1] if len(self.found) > 1 else None

    def way_back(self, archives: Sequence[Archive]) -> Archive | None:
        """The newest archive of the state that the last change ended."""
        oldest = self.before_last.when if self.before_last else 0
        between = [archive for archive in archives if oldest < archive.ctime < self.last.when]
        return max(between, key=lambda archive: archive.ctime, default=None)

    @property
    def unchanged(self) -> bool:
        """Whether the guest is as it was made."""
        return self.found[-1].what == "made" and len(self.found) == 1


def of(facts: Facts, guest: Guest) -> Changes:
    """The changes of a guest. Unknown when the site tells of none, not even of the guest's creation."""
    tasks = known(facts.changes.get(guest.vmid, ()))
    found = [Change(task.starttime, f"task {task.type}") for task in tasks if task.status.startswith(_FINE)]
    made = created(guest.settings)
    found += [Change(made, "made")] if made is not None else []
    if not found:
        reason = "its configuration does not tell when it was made, and no task of a change is known"
        raise Unknown(f"when {guest} was last changed", reason=reason)
    return Changes(tuple(sorted(found, key=lambda change: -change.when)))


def linked_to(guest: Guest, templates: Sequence[int]) -> int | None:
    """The template of which it is a linked clone: its disks stand on the template's (upstream: base-N-disk-M/vm-…)."""
    for value in guest.settings.values():
        match = _BASE.search(value)
        if match and int(match[1]) in templates:
            return int(match[1])
    return None
