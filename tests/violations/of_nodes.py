"""Violations on the node itself, as the node in memory shows them; those on a real one are in ``tests/lab``."""

from __future__ import annotations

from lab.memory_node import FSTAB, MemoryNode
from tests.violations.case import Case, rules
from tests.violations.of_guests import NOTHING_ADVISED, NOTHING_THERE, UNREAD
from tests.violations.seeding import file, node, several, storage, unit

MOUNT = "/mnt/backup"


def _set(**flags: object) -> object:
    return node(lambda one: vars(one.backup_disk).update(flags))


def _skew(one: MemoryNode) -> None:
    one.skew += 95


def _error(one: MemoryNode) -> None:
    one.journal("kernel", "I/O error, dev vdc, sector 2048 op 0x1:(WRITE)", 3)


def _on_a_guest_disk(one: MemoryNode) -> None:
    """The backup file system lies on the disk of the guests' volume group."""
    guests = next(disk for disk in one.block.disks if disk.group)
    one.block.disks = [disk for disk in one.block.disks if disk.holds is not one.backup_disk]
    one.backup_disk.source, guests.holds = "/dev/vdb", one.backup_disk


def _fstab(old: str, new: str) -> object:
    assert old in FSTAB
    return file("/etc/fstab", FSTAB.replace(old, new).encode())


CASES = (
    Case("storage unmounted, with the guard", node(MemoryNode.unplug_backup), rules("STO-01 STO-02 STO-07"),
         says="no disk is mounted at", undecided=UNREAD - rules("STO-02 STO-04")),
    Case("storage unmounted, without the guard",
         several(storage(is_mountpoint=None), node(MemoryNode.unplug_backup)),
         rules("STO-02 STO-03 STO-08") | NOTHING_THERE, NOTHING_ADVISED, "no disk is mounted at"),
    Case("backup file system on a guest disk", node(_on_a_guest_disk), rules("STO-05"), says="the backups lie on"),
    Case("backup disk not in fstab", _fstab("/dev/disk/by-id", "#/dev/disk/by-id"), rules("STO-02"),
         says="nothing mounts it"),
    Case("backup disk read-only", _set(readonly=True), rules("STO-07"), says="is read-only"),
    Case("backup disk full", _set(full=True), rules("STO-08"), says="lack on storage backup-hdd"),
    Case("disk too small for the window", _set(size=1 << 20), rules("STO-08")),
    Case("network file system", _set(fstype="nfs4", source="nas:/backup"), rules("STO-02"), says="nfs4"),
    Case("image of a guest among the archives", file(f"{MOUNT}/images/999/vm-999-disk-0.raw"), rules("STO-04"),
         says="images/999/vm-999-disk-0.raw"),
    Case("errors of the disk in the journal", node(_error), rules("STO-07"),
         says="the kernel reports errors of the disk"),
    Case("scheduler stopped", unit("pvescheduler.service", active="inactive"), rules("SCH-03"), says="does not run"),
    Case("scheduler disabled", unit("pvescheduler.service", enabled="disabled"), rules("SCH-03"),
         says="not after a reboot"),
    Case("no time service", unit("chrony.service", active="inactive"), rules("SCH-07"), says="no time service steers"),
    Case("clock a minute and a half ahead", node(_skew), rules("SCH-07"), says="ahead of the clock of this machine"),
)  # fmt: skip
