"""Whether the backup storage has room: for the next nightly run, for the whole retention window, and until when."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import linear_regression
from zoneinfo import ZoneInfo

from backup_standard.audit import archive_files, prune
from backup_standard.audit.guest import Guest
from backup_standard.audit.retention import Retention
from backup_standard.errors import Unknown
from backup_standard.model import Archive, Facts, IncludedVolume, StorageStatus
from backup_standard.model.facts import known
from backup_standard.quantities import parse_size, say_size

MARGIN = 1.1
"""How much larger than expected the next archive may turn out."""
HORIZON_DAYS = 5 * 365
"""A disk that fills later than this does not fill, as far as anybody can tell."""
_DAY = 86400
_TREND_ARCHIVES, _TREND_DAYS = 4, 3
_SIZE = re.compile(r"(?:^|,)size=([^,]+)")


@dataclass(frozen=True)
class Copy:
    """One archive that is there: when it was made, its size in bytes, whether pruning may take it."""

    ctime: int
    size: int
    point: prune.Point

    @property
    def may_go(self) -> bool:
        """Whether pruning can ever remove it."""
        return self.point.standard_name and not self.point.protected


@dataclass(frozen=True)
class Demand:
    """What one guest's backups need: ``copies`` there are, ``kept`` right after pruning, ``bound`` without any yet."""

    name: str
    next_run: int
    copies: tuple[Copy, ...]
    kept: int
    retention: Retention
    zone: ZoneInfo
    bound: int = 0

    @property
    def newest(self) -> int:
        """The size of the newest archive, or without one all its disks at their full size."""
        return max(self.copies, key=lambda copy: copy.ctime).size if self.copies else self.bound

    @cached_property
    def growth(self) -> float:
        """Bytes a day by which its archives grow: the trend of those that are there, none where they are too few."""
        days = [copy.ctime / _DAY for copy in self.copies]
        if len(days) < _TREND_ARCHIVES or max(days) - min(days) < _TREND_DAYS:
            return 0.0
        return max(0.0, linear_regression(days, [copy.size for copy in self.copies]).slope)

    @property
    def expected(self) -> int:
        """The size of the next archive at most, by trend and margin."""
        return int((self.newest + self.growth) * MARGIN)

    def freed(self) -> int:
        """Bytes that pruning gives back after the next backup."""
        if not self.retention.removes or self.retention.keeps_all:
            return 0
        points = [*(copy.point for copy in self.copies), prune.Point(self.next_run)]
        found = prune.marks(points, self.retention.keep, self.zone)
        gone = zip(self.copies, found[:-1], strict=True)
        return sum(copy.size for copy, mark in gone if mark is prune.Mark.REMOVE)


@dataclass(frozen=True)
class Room:
    """The space of one storage against what its guests need. Sizes in bytes."""

    status: StorageStatus
    demands: tuple[Demand, ...]
    now: int
    zone: ZoneInfo

    @cached_property
    def short_of(self) -> int:
        """Bytes that lack for the next run: every archive is written before that guest's oldest one is pruned."""
        free, lowest = self.status.avail, self.status.avail
        for demand in sorted(self.demands, key=lambda one: (one.next_run, one.name)):
            free -= demand.expected
            lowest = min(lowest, free)
            free += demand.freed()
        return max(0, -lowest)

    @property
    def next_run(self) -> int:
        """What the next run writes."""
        return sum(demand.expected for demand in self.demands)

    @property
    def window(self) -> int:
        """What the whole window takes: all kept copies at today's size, and one more while it is being written."""
        return sum(demand.kept * demand.newest for demand in self.demands) + self._largest

    @property
    def _largest(self) -> int:
        return max((demand.newest for demand in self.demands), default=0)

    @property
    def capacity(self) -> int:
        """What the window may take: free space, and what the archives that pruning can remove take now."""
        taken = sum(copy.size for demand in self.demands for copy in demand.copies if copy.may_go)
        return min(self.status.total, self.status.avail + taken)

    @property
    def window_fits(self) -> bool:
        """Whether all copies that the retention keeps fit at today's sizes."""
        return self.window <= self.capacity

    @cached_property
    def full_on(self) -> dt.date | None:
        """The day on which the disk fills, None when that is years away."""
        if self.window_fits:
            daily, room = sum(demand.kept * demand.growth for demand in self.demands), self.capacity - self.window
        else:
            daily, room = sum(demand.newest for demand in self.demands), self.status.avail
        if daily <= 0 or room / daily > HORIZON_DAYS:
            return None
        return (dt.datetime.fromtimestamp(self.now, tz=self.zone) + dt.timedelta(days=room / daily)).date()

    @property
    def growth(self) -> str:
        """How much the archives of one night grow from day to day."""
        return f"{say_size(sum(demand.growth for demand in self.demands))} a day"

    @property
    def advice(self) -> str:
        """What to know where the disk fills within a quarter; empty otherwise."""
        if self.full_on is None or (self.full_on - dt.datetime.fromtimestamp(self.now, tz=self.zone).date()).days > 90:  # noqa: PLR2004
            return ""
        return f"at the growth of the archives so far, the disk is full on {self.full_on.isoformat()}"


def measure(facts: Facts, status: StorageStatus, guests: Sequence[Guest], now: int, zone: ZoneInfo) -> Room:
    """The room on a storage for those of the guests that a job backs up to it. Unknown where sizes do not show."""
    storages = known(facts.storages)
    shared = status.storage in storages and storages[status.storage].shared
    return Room(status, tuple(_demand(guest, status.node, shared=shared) for guest in guests if guest.jobs), now, zone)


def _size(guest: Guest, archive: Archive) -> int:
    """The size of an archive in bytes. Unknown where neither its node nor the API shows it."""
    size = archive_files.size_of(guest.facts, archive)
    if size is None:
        need = f"SSH to node {archive.node}, or the right to restore {guest}"
        raise archive_files.no_size(guest.facts, archive, need)
    return size


def _demand(guest: Guest, node: str, *, shared: bool) -> Demand:
    """What a guest needs on the storage of a node; archives that it left on others take no room here."""
    copies, bound = [], 0
    for archive in (one.archive for one in guest.archives):
        size = _size(guest, archive)
        if archive.node != node and not shared:
            bound = bound or size
            continue
        copies.append(Copy(archive.ctime, size, prune.Point(archive.ctime, archive.protected, not archive.renamed)))
    runs = sorted(guest.planned_runs, key=lambda run: run.at)
    return Demand(
        str(guest), runs[0].at if runs else guest.now, tuple(copies), guest.kept.archives, guest.jobs[0].retention,
        guest.zone, 0 if copies else bound or _bound(guest),
    )  # fmt: skip


def _bound(guest: Guest) -> int:
    """The full size of the disks that a guest's first backup reads."""
    volumes: dict[str, IncludedVolume] = {}
    for job in guest.jobs:
        volumes |= {one.key: one for one in job.job.includes.get(guest.vmid, ()) if one.included}
    found = [_SIZE.search(guest.seen.settings.get(key, "")) for key in volumes]
    if not found or not all(found):
        reason = "it has no archive yet, and its configuration does not give the sizes of its disks"
        raise Unknown(f"the size of a backup of {guest}", reason=reason)
    return sum(parse_size(match[1]) for match in found if match)
