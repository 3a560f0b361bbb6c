"""Whether an archive is intact from end to end: by a drill of the very same file that passed, else by a reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from backup_standard.audit import archive_files
from backup_standard.errors import Unknown
from backup_standard.model import Archive, Facts
from backup_standard.model.facts import known
from backup_standard.model.readings import ArchiveReading, DrilledArchive
from backup_standard.quantities import say_duration, say_size

NEED = "pytest --deep, which reads it on its node, or a passed drill of it"


@dataclass(frozen=True)
class Proof:
    """What shows that an archive is intact, or (``problem``) that it is not; ``sha256`` where the file was read."""

    by: str
    at: dt.datetime
    problem: str = ""
    holds: str = ""
    sha256: str = ""


def prove(facts: Facts, archive: Archive, drilled: Iterable[DrilledArchive]) -> Proof:
    """The proof for an archive. Unknown where there is none, Unread where a reading failed.

    A finding outweighs a drill: the file may have been damaged since.
    """
    read = facts.readings.get(f"{archive.node}/{archive.volid}")
    if isinstance(read, ArchiveReading) and read.problem:
        return _by_reading(read)
    drill = next((one for one in drilled if _same(facts, one, archive)), None)
    if drill:
        return Proof(f"drill {drill.run}", dt.datetime.fromisoformat(drill.finished))
    fact = f"whether {archive} is intact"
    if read is None:
        raise Unknown(fact, reason="nobody has read it from end to end, and no drill of it has passed", need=NEED)
    reading = known(read)
    if not reading.checksummed:
        raise Unknown(
            fact,
            reason=f"it is complete, but its data ({archive.compression}) carries no checksum that would show damage",
            need="backups with zstd, or a passed drill of it",
        )
    return _by_reading(reading)


def _same(facts: Facts, drill: DrilledArchive, archive: Archive) -> bool:
    """Whether it is the very file: same name on the same storage, same time, same size; an unknown size is none."""
    size = archive_files.size_of(facts, archive)
    told = (archive.vmid, archive.volid, archive.ctime, size)
    is_there = drill.node == archive.node or _is_shared(facts, archive)
    return size is not None and is_there and told == (drill.vmid, drill.volid, drill.ctime, drill.size)


def _is_shared(facts: Facts, archive: Archive) -> bool:
    """Whether every node sees the same files on its storage."""
    storage = facts.storage_of(archive)
    return storage is not None and storage.shared


def _by_reading(read: ArchiveReading) -> Proof:
    holds = ", ".join(f"{name} {say_size(size)}" for name, size in read.disks.items())
    holds = holds or (f"{read.members} members" if read.members else "no disks")
    by = f"{say_size(read.read)} read on node {read.node} in {say_duration(read.seconds)}"
    return Proof(by, read.at, read.problem, "" if read.problem else holds, read.sha256)
