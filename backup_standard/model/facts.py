"""Everything one reading of a site found, and what it could not see."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from backup_standard.model.archives import Archive
from backup_standard.model.dumps import DumpFolder
from backup_standard.model.gaps import Gap, known
from backup_standard.model.guests import Guest
from backup_standard.model.jobs import BackupJob
from backup_standard.model.nodes import Mount, Node
from backup_standard.model.readings import ArchiveReading, DrilledArchive
from backup_standard.model.storages import Storage, StorageStatus
from backup_standard.model.systems import System
from backup_standard.model.tasks import Task
from backup_standard.model.watching import JournalLine, Notifications

__all__ = ["Facts", "Gap", "known"]


@dataclass(frozen=True)
class Facts:
    """One reading of a site. Each mapping's value is either what was read or a :class:`Gap`; use :func:`known`.

    Keys: ``nodes`` by name; ``guests`` and ``configs`` by VMID; ``jobs`` by id; ``storages`` by id; ``statuses`` and
    ``archives`` by "node/storage"; ``mounts`` by "node/storage" (the mount that holds a dir storage's path, and None
    when the path is not there); ``tasks`` (vzdump tasks of the look-back window, logs included) by node;
    ``defaults`` (the node's vzdump defaults) by node; ``job_states`` (state files, read over SSH) by "node/job";
    ``dumps`` (the files of its dump folder, read over SSH; None when the folder is not there) by "node/storage";
    ``journals`` (errors of backups in the look-back window) by node; ``changes`` (tasks that changed a guest whose
    changes matter: golden template, Docker host) by VMID; ``notifications`` None where they were not asked for;
    ``looked_at`` are the moments of earlier full audits of this client, as their run folders say;
    ``systems`` (disks, kernel, scheduler, clock, read over SSH) by node; ``images`` (guest disks found as files in the
    folder of a storage that holds backups) by "node/storage"; ``unsized`` says, by "node/storage", why the sizes of
    its archives could not be read; ``readings`` (archives read from end to end, where that was asked for) by
    "node/volid"; ``drilled`` are the archives that drills of earlier runs restored and passed, as their run folders
    say; ``gaps`` lists every gap met, for the preflight table.
    """

    taken_at: dt.datetime
    release: str
    nodes: Mapping[str, Node | Gap]
    guests: Mapping[int, Guest | Gap]
    jobs: Mapping[str, BackupJob] | Gap
    storages: Mapping[str, Storage] | Gap
    statuses: Mapping[str, StorageStatus | Gap]
    archives: Mapping[str, tuple[Archive, ...] | Gap]
    tasks: Mapping[str, tuple[Task, ...] | Gap]
    defaults: Mapping[str, Mapping[str, str] | Gap]
    mounts: Mapping[str, Mount | Gap | None] = field(default_factory=dict)
    job_states: Mapping[str, Mapping[str, str] | Gap | None] = field(default_factory=dict)
    dumps: Mapping[str, DumpFolder | Gap | None] = field(default_factory=dict)
    journals: Mapping[str, tuple[JournalLine, ...] | Gap] = field(default_factory=dict)
    changes: Mapping[int, tuple[Task, ...] | Gap] = field(default_factory=dict)
    notifications: Notifications | Gap | None = None
    looked_at: tuple[dt.datetime, ...] = ()
    systems: Mapping[str, System | Gap] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...] | Gap] = field(default_factory=dict)
    unsized: Mapping[str, Gap] = field(default_factory=dict)
    readings: Mapping[str, ArchiveReading | Gap] = field(default_factory=dict)
    drilled: tuple[DrilledArchive, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def release_on(self, node: str) -> tuple[int, int] | None:
        """Major and minor release of a node, of the site where it did not tell its own; None where neither did."""
        seen = self.nodes.get(node)
        return _numbers(seen.version if isinstance(seen, Node) and seen.version else self.release)

    @property
    def site_release(self) -> tuple[int, int] | None:
        """Major and minor release of the node that answered for the site; None where it did not tell."""
        return _numbers(self.release)

    def day_in(self, timezone: str) -> dt.date:
        """The day on which the site was read, by the calendar of that zone: so a replay judges as the run did."""
        return self.taken_at.astimezone(ZoneInfo(timezone)).date()

    def storage_of(self, archive: Archive) -> Storage | None:
        """The storage that an archive lies on; None where it was not read."""
        return None if isinstance(self.storages, Gap) else self.storages.get(archive.storage)


def _numbers(release: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else None
