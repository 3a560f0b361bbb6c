"""What was read from a site, as frozen values: no I/O, nothing computed that is not plainly in the reading."""

from backup_standard.model.archives import Archive
from backup_standard.model.dumps import DumpFile, DumpFolder
from backup_standard.model.facts import Facts, Gap
from backup_standard.model.guests import Guest, GuestKind
from backup_standard.model.jobs import BackupJob, IncludedVolume
from backup_standard.model.nodes import Mount, Node
from backup_standard.model.storages import Storage, StorageStatus
from backup_standard.model.tasks import Task
from backup_standard.model.watching import JournalLine, NotificationMatcher, Notifications, NotificationTarget

__all__ = [
    "Archive",
    "BackupJob",
    "DumpFile",
    "DumpFolder",
    "Facts",
    "Gap",
    "Guest",
    "GuestKind",
    "IncludedVolume",
    "JournalLine",
    "Mount",
    "Node",
    "NotificationMatcher",
    "NotificationTarget",
    "Notifications",
    "Storage",
    "StorageStatus",
    "Task",
]
