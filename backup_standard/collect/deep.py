"""Which archives to read from end to end, when, and how many at a time: one of a storage, and never near a backup."""

from __future__ import annotations

import datetime as dt
import threading
import time
import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from backup_standard.collect import reading, shapeless, window
from backup_standard.collect.reader import Reader
from backup_standard.errors import OperatorError
from backup_standard.hosts import SshClient, node_client
from backup_standard.hosts.backend import Notes
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Archive, BackupJob, DumpFolder, Facts, Gap, Node
from backup_standard.model.readings import ArchiveReading
from backup_standard.pve import Pve
from backup_standard.quantities import say_duration, say_size

WATCH_EVERY = 20.0
"""Seconds between two looks for a backup that has begun."""
_STORAGES = 4
"""Storages that are read at the same time."""
_STEP, _AT_LEAST_EVERY = 10, 30.0
"""Progress is told every so many percent, and after so many seconds at the latest."""

Read = ArchiveReading | Gap


@dataclass(frozen=True)
class Wish:
    """What to read: archives, and the jobs with their planned runs, which reading keeps away from."""

    archives: Sequence[Archive]
    jobs: Sequence[BackupJob]
    limits: reading.Limits = field(default_factory=reading.Limits)


def read_archives(
    inventory: Inventory, facts: Facts, wish: Wish, tell: Callable[[str], None], recorder: Notes | None = None
) -> dict[str, Read]:
    """Read each archive once, by "node/volid". Nothing is raised for one that cannot be read: that is a gap."""
    if not wish.archives:
        return {}
    places: dict[str, list[Archive]] = defaultdict(list)
    for archive in wish.archives:
        storage = facts.storage_of(archive)
        shared = storage is not None and storage.shared
        places[archive.storage if shared else f"{archive.node}/{archive.storage}"].append(archive)
    with Pve.connect(inventory.api, inventory.api.audit_token) as pve, Reader(pve) as reader:
        place = _Place(inventory, facts, wish, tell, recorder, reader)
        with ThreadPoolExecutor(max_workers=_STORAGES, thread_name_prefix="deep") as pool:
            try:
                found = list(pool.map(place.read_all, places.values()))
            except BaseException:  # interrupted: what is being read ends as well
                place.over.set()
                raise
    return {key: result for results in found for key, result in results.items()}


@dataclass
class _Place:
    """Reads the archives of a storage, one after the other. ``over``: nobody waits for them any more."""

    inventory: Inventory
    facts: Facts
    wish: Wish
    tell: Callable[[str], None]
    recorder: Notes | None
    reader: Reader
    over: threading.Event = field(default_factory=threading.Event)

    def read_all(self, archives: Iterable[Archive]) -> dict[str, Read]:
        """Their readings by "node/volid"."""
        wanted = (archive for archive in archives if not self.over.is_set())
        return {f"{archive.node}/{archive.volid}": self._read(archive) for archive in wanted}

    def _read(self, archive: Archive) -> Read:
        fact = f"whether {archive} is intact"
        try:
            found = self._begin(archive, fact)
        except OperatorError as problem:
            found = Gap(fact, problem.said, broken=True)
        except shapeless.MISSHAPEN as problem:
            found = Gap(fact, _misunderstood(problem), broken=True)
        self.tell(f"{archive.filename}: {_said(found)}")
        return found

    def _begin(self, archive: Archive, fact: str) -> Read:
        """Read one archive where nothing stands against it."""
        storage = self.facts.storage_of(archive)
        dump = self.facts.dumps.get(f"{archive.node}/{archive.storage}")
        if isinstance(dump, Gap):
            return Gap(fact, dump.reason, dump.need)
        if storage is None or storage.dump_folder is None or not isinstance(dump, DumpFolder):
            return Gap(fact, f"storage {archive.storage} has no folder of archives on node {archive.node}")
        file = dump.by_name.get(archive.filename)
        if file is None:
            return Gap(fact, f"there is no such file in {dump.path}")
        try:
            path = reading.path_of(storage.dump_folder, archive)
        except ValueError as problem:
            return Gap(fact, str(problem))
        deadline = self._deadline(archive, file.size)
        if isinstance(deadline, str):
            return Gap(fact, f"not begun: {deadline}", "another hour: read with --deep when no backup is near")
        with node_client(self.inventory, archive.node) as client:
            return self._stream(client, archive, path, file.size, deadline)

    def _stream(self, client: SshClient, archive: Archive, path: str, size: int, deadline: float) -> Read:
        said = _Progress(archive.filename, size, self.tell)
        said(0)
        watch = _Watch(lambda: self._running(archive), self.over)
        task = reading.Task(archive, path, size, self.wish.limits, deadline, said, watch)
        return reading.read(client, task, self.recorder)

    def _deadline(self, archive: Archive, size: int) -> float | str:
        """Seconds that reading may take, or why it may not begin."""
        now = self._now(archive.node)
        zone = zoneinfo.ZoneInfo(self.inventory.site.timezone)
        reason = window.conflict(self.wish.jobs, now=now, estimate=dt.timedelta(0), say=zone)
        reason = reason or self._running(archive)
        if reason:
            return reason
        starts = [run for job in self.wish.jobs if job.enabled for run in job.runs if run > now]
        left = min(starts, default=now + 86400) - window.QUIET_BEFORE.total_seconds() - now
        needed = size / self.wish.limits.bandwidth
        if needed > left:
            rate = say_size(self.wish.limits.bandwidth)
            return f"reading takes {say_duration(needed)} at {rate} a second, and the next backup is nearer than that"
        return left

    def _now(self, node: str) -> float:
        """The node's clock."""
        seen = self.facts.nodes.get(node)
        return time.time() + (seen.skew if isinstance(seen, Node) else 0.0)

    def _running(self, archive: Archive) -> str:
        """The backup that goes on where the archive's storage is, in words; "" when none does."""
        storage = self.facts.storage_of(archive)
        others = [one.name for one in self.facts.nodes.values() if isinstance(one, Node) and one.online]
        nodes = others if storage and storage.shared else [archive.node]
        return next((said for node in nodes for said in window.running(self.reader.rows, node)), "")


class _Watch:
    """Looks from time to time whether a backup has begun, and whether all is over."""

    def __init__(self, look: Callable[[], str], over: threading.Event) -> None:
        self._look, self._over, self._next = look, over, time.monotonic() + WATCH_EVERY

    def __call__(self) -> None:
        """Raise Stop when that is so."""
        if self._over.is_set():
            raise reading.Stop("the run was interrupted")
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + WATCH_EVERY
        try:
            reason = self._look()
        except shapeless.MISSHAPEN as problem:
            raise reading.Stop(_misunderstood(problem)) from None
        if reason:
            raise reading.Stop(reason)


class _Progress:
    """Tells how far a reading is, now and then."""

    def __init__(self, name: str, size: int, tell: Callable[[str], None]) -> None:
        self._name, self._size, self._tell = name, size, tell
        self._next_percent, self._next_time = 0, 0.0

    def __call__(self, done: int) -> None:
        """So many bytes were read."""
        percent = 100 * done // self._size if self._size else 100
        if percent < self._next_percent and time.monotonic() < self._next_time:
            return
        self._next_percent = percent - percent % _STEP + _STEP
        self._next_time = time.monotonic() + _AT_LEAST_EVERY
        self._tell(f"reading {self._name}: {say_size(done)} of {say_size(self._size)} ({percent} %)")


def _misunderstood(problem: Exception) -> str:
    return f"whether a backup runs: the answer is not understood: {shapeless.say(problem)}"


def _said(found: Read) -> str:
    if isinstance(found, Gap):
        return found.reason
    verdict = found.problem or "intact"
    return f"{verdict}; {say_size(found.read)} read in {say_duration(found.seconds)}"
