"""The lab's past: the nights its backup jobs ran, told as tasks, logs, journal lines and files.

Everything is computed from the moment it is asked for, so a lab started a week later has a history that ends last
night. A night that summer time takes away is missing here too, as on a real node.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from lab.pve import archive_names, calendar, retention, vzdump_log
from lab.pve.vzdump_log import Disk, Story

NIGHTS = 16
"""Nights of tasks, logs and journal."""
_EARLIER = 31
_SETTLED = 3600
_RATE = 60_000_000


@dataclass(frozen=True)
class Subject:
    """A guest as its backups saw it: bytes of the archive, and bytes of data without holes."""

    vmid: int
    kind: str
    name: str
    running: bool
    disks: Sequence[Disk]
    archive_bytes: int
    stored_bytes: int
    task_uuid: str = ""


@dataclass(frozen=True)
class JournalLine:
    """A line of the node's journal."""

    when: int
    identifier: str
    pid: int
    message: str


@dataclass(frozen=True)
class Run:
    """One backup of one guest in one night. Times are seconds since the epoch; ``log`` has moments with its lines."""

    upid: str
    pid: int
    pstart: int
    vmid: int
    kind: str
    start: int
    begin: int
    end: int
    archive: str
    log: Sequence[tuple[int, str]]
    guest_log: str
    """The log kept beside the archive, without the lines that belong to the whole job."""

    def journal(self) -> Iterator[JournalLine]:
        """Give what the scheduler and the task wrote to the journal; the scheduler never writes an end."""
        yield JournalLine(self.start, "pvescheduler", self.pid - 1, f"<root@pam> starting task {self.upid}")
        loud = (
            "INFO: trying to get global",
            "INFO: got global",
            "INFO: starting new",
            "INFO: Starting Backup",
            "INFO: Finished Backup",
            "INFO: Backup job finished",
        )
        for when, line in self.log:
            if line.startswith(loud):
                yield JournalLine(when, "pvescheduler", self.pid, line)


@dataclass(frozen=True)
class Past:
    """How the nights went: the storage, its folder on the node, the jobs' options and the node's zone."""

    node: str
    zone: ZoneInfo
    storage: str
    folder: str
    schedule: str
    options: Mapping[str, object]

    def nights(self, now: int, count: int = NIGHTS) -> list[int]:
        """Give the moments of the last runs that are past by an hour or more, oldest first."""
        event = calendar.parse(self.schedule)
        found = []
        due = calendar.next_event(event, now - (_EARLIER + NIGHTS) * 86400, self.zone)
        while due is not None and due <= now - _SETTLED:
            found.append(due)
            due = calendar.next_event(event, due, self.zone)
        return found[-count:]

    def runs(self, now: int, subjects: Sequence[Subject]) -> list[Run]:
        """Give all runs of the last nights, oldest first."""
        keep = retention.parse(str(self.options["prune-backups"]))
        nights = self.nights(now, NIGHTS + _EARLIER)
        starts = {night: dict(self._queue(night, subjects)) for night in nights}
        runs = []
        for index in range(max(len(nights) - NIGHTS, 0), len(nights)):
            dropped = index - keep.get("keep-daily", 0)
            for subject in subjects:
                old = starts[nights[dropped]][subject.vmid] if dropped >= 0 else None
                runs.append(
                    self._run(
                        nights[index],
                        starts[nights[index]][subject.vmid],
                        subject,
                        old,
                        newest=index == len(nights) - 1,
                    )
                )
        return runs

    def _queue(self, night: int, subjects: Sequence[Subject]) -> Iterator[tuple[int, int]]:
        """Give the moment each guest's backup began: one after the other, for one lock lets one run at a time."""
        begin = night + 1
        for subject in subjects:
            yield subject.vmid, begin
            begin += _seconds(subject, night) + 1

    def _archive(self, subject: Subject, begin: int) -> str:
        return archive_names.compose(subject.kind, subject.vmid, begin, str(self.options["compress"]), self.zone)

    def _run(self, night: int, begin: int, subject: Subject, dropped: int | None, *, newest: bool) -> Run:
        seconds = _seconds(subject, night)
        archive = self._archive(subject, begin)
        made_up = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{subject.vmid}/{night}"))
        removed = [] if dropped is None else [f"{self.storage}:backup/{self._archive(subject, dropped)}"]
        story = Story(
            subject.kind,
            subject.vmid,
            subject.name,
            subject.running,
            subject.disks,
            f"{self.folder}/{archive}",
            subject.archive_bytes,
            subject.stored_bytes,
            subject.task_uuid if newest and subject.task_uuid else made_up,
            begin,
            seconds,
            retention.render(retention.parse(str(self.options["prune-backups"]))),
            removed,
        )
        told = list(vzdump_log.tell(story, self.zone))
        start = night + 1
        head = [(start, "INFO: trying to get global lock - waiting..."), (begin, "INFO: got global lock")]
        log = head if begin > start else []
        line = vzdump_log.command([subject.vmid], {"quiet": 1, **self.options})
        log += [(begin, f"INFO: starting new backup job: {line}"), *told]
        end = begin + seconds
        log.append((end, "INFO: Backup job finished successfully"))
        pid, pstart = 2000 + _number(f"{subject.vmid}/{night}", 30000), (night % 4_000_000) * 100 + subject.vmid
        upid = f"UPID:{self.node}:{pid:08X}:{pstart:08X}:{start:08X}:vzdump:{subject.vmid}:root@pam:"
        own = vzdump_log.guest_log(told, self.zone)
        return Run(upid, pid, pstart, subject.vmid, subject.kind, start, begin, end, archive, log, own)


def _number(text: str, limit: int) -> int:
    """Give a number below ``limit`` that is always the same for ``text``."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) % limit


def _seconds(subject: Subject, night: int) -> int:
    """Give how long a guest's backup took that night."""
    return 4 + subject.stored_bytes // _RATE + _number(f"{subject.vmid}:{night}", 5)
