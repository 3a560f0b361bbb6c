"""An archive as a file on the backup disk: is it there, whole, on the right disk, and of a likely size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from backup_standard.errors import Unknown
from backup_standard.model import Archive, DumpFile, DumpFolder, Facts, Gap, Task
from backup_standard.model.dumps import log_name
from backup_standard.model.facts import known
from backup_standard.quantities import say_size

MAGIC = {"28b52ffd": "zstd", "1f8b": "gzip", "894c5a4f": "lzo", "564d4100": "none"}
"""First bytes of archives: zstd, gzip, lzop, and an uncompressed VMA."""
SMALLEST = 320
"""Bytes below which a file cannot be an archive of a guest with disks: one without any has 319 (measured)."""
LEAST, MOST = 0.5, 2.0
"""How much smaller or larger than usual an archive may be before somebody should look."""
FEWEST = 3
"""Archives to compare with, at least."""
_YOUNG = 600
"""Seconds for which an unfinished file may belong to a run that began after the tasks were read."""


@dataclass(frozen=True)
class ArchiveFile:
    """An archive together with the folder in which it should be; ``running`` are the backup tasks that go on there."""

    archive: Archive
    folder: DumpFolder | None
    file_system: str
    running: tuple[Task, ...]
    now: int

    @property
    def file(self) -> DumpFile | None:
        """The file, None when it is not there."""
        return self.folder.by_name.get(self.archive.filename) if self.folder else None

    @property
    def size(self) -> str:
        """Its size in words."""
        return say_size(self.file.size) if self.file else "none"

    @property
    def compression(self) -> str:
        """How it is packed, by its first bytes. Unknown where they were not read."""
        if self.file is None or not self.file.head:
            raise Unknown(f"the first bytes of {self.archive.filename}", reason="they were not read")
        return next((name for magic, name in MAGIC.items() if self.file.head.startswith(magic)), "none known")

    @property
    def problem(self) -> str:
        """What is wrong with the file itself; empty when nothing is."""
        file, name = self.file, self.archive.filename
        if file is None or self.folder is None:
            return f"{name} is listed, and there is no such file in {self.folder.path if self.folder else 'its folder'}"
        if file.size < SMALLEST:
            return f"{name} has {file.size} bytes: that is no archive"
        if self.archive.size is not None and self.archive.size != file.size:
            return f"{name} has {file.size} bytes on disk, and Proxmox shows {self.archive.size}"
        if (
            file.device != self.folder.device and self.file_system != "btrfs"
        ):  # there every subvolume has its own number
            return f"{name} lies on another file system than the storage"
        return self.log_problem

    @property
    def log(self) -> DumpFile | None:
        """The log beside it."""
        return self.folder.by_name.get(log_name(self.archive.filename)) if self.folder else None

    @property
    def log_problem(self) -> str:
        """Why the log does not say that the backup finished; empty when it does, or when there is no log."""
        log = self.log
        finished = f"Finished Backup of VM {self.archive.vmid} "
        if log is None or any(finished in line for line in log.tail):
            return ""
        last = log.tail[-1] if log.tail else "nothing"
        return f"the log beside {self.archive.filename} does not say that the backup finished; it ends with: {last}"

    @property
    def log_advice(self) -> str:
        """What to know where there is no log; empty where there is."""
        return "" if self.log else f"there is no log beside {self.archive.filename}, so nothing there says it finished"

    @property
    def leftovers(self) -> tuple[str, ...]:
        """What broken backups of the same guest left behind."""
        ours = f"-{self.archive.vmid}-"
        files = self.folder.files if self.folder else ()
        return tuple(file.name for file in files if file.is_unfinished and ours in file.name and self._is_stale(file))

    def _is_stale(self, file: DumpFile) -> bool:
        if file.mtime > self.now - _YOUNG:
            return False
        return not any(file.mtime >= task.starttime - 60 for task in self.running)


def of(facts: Facts, archive: Archive, tasks: Iterable[Task], now: int) -> ArchiveFile:
    """An archive's file. Unknown where the node's side was not read."""
    key = f"{archive.node}/{archive.storage}"
    if key not in facts.dumps:
        need = f"SSH to node {archive.node}"
        raise Unknown(f"the file of archive {archive.filename}", reason="it was not read", need=need)
    mount = facts.mounts.get(key)
    system = "" if mount is None or isinstance(mount, Gap) else mount.fstype
    running = tuple(task for task in tasks if task.endtime is None)
    return ArchiveFile(archive, known(facts.dumps[key]), system, running, now)


@dataclass(frozen=True)
class Sizes:
    """The newest archive's size beside those of the guest's other archives and of its disks, in bytes."""

    newest: int
    others: tuple[int, ...]
    disks: int | None

    @property
    def usual(self) -> int:
        """The usual size."""
        return int(median(self.others)) if self.others else 0

    @property
    def comparable(self) -> bool:
        """Whether there are enough others to compare with."""
        return len(self.others) >= FEWEST

    @property
    def oddity(self) -> str:
        """What is odd about the size; empty when nothing is."""
        if self.comparable and self.newest < self.usual * LEAST:
            return f"{say_size(self.newest)}, less than half of the usual {say_size(self.usual)}: is a disk missing?"
        if self.comparable and self.newest > self.usual * MOST:
            return (
                f"{say_size(self.newest)}, more than twice the usual {say_size(self.usual)}: what is filling its disks?"
            )
        if self.disks and self.newest > self.disks * 1.1:
            return f"{say_size(self.newest)}, more than all its disks together ({say_size(self.disks)})"
        return ""


def sizes(facts: Facts, archives: Sequence[Archive], disks: int | None) -> Sizes:
    """The sizes of a guest's archives, newest first. Unknown where neither the node nor the API shows the newest's."""
    found = [size for size in (size_of(facts, archive) for archive in archives[1:]) if size is not None]
    newest = size_of(facts, archives[0])
    if newest is None:
        raise no_size(facts, archives[0], f"SSH to node {archives[0].node}")
    return Sizes(newest, tuple(found), disks)


def size_of(facts: Facts, archive: Archive) -> int | None:
    """The size of an archive in bytes, by its node or else by the API; None where neither shows it."""
    folder = facts.dumps.get(f"{archive.node}/{archive.storage}")
    file = folder.by_name.get(archive.filename) if isinstance(folder, DumpFolder) else None
    return file.size if file else archive.size


def no_size(facts: Facts, archive: Archive, need: str) -> Unknown:
    """What a rule raises that needs the size of an archive where neither the node nor the API shows it."""
    key, hidden = f"{archive.node}/{archive.storage}", Gap("", "the API does not show it", need)
    folder = facts.dumps.get(key)
    unread = folder if isinstance(folder, Gap) and folder.broken else hidden
    return facts.unsized.get(key, unread).as_error(f"the size of archive {archive.filename}")
