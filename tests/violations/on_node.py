"""Violations on a real node: its disks, files, mounts, clock and services, by shell scripts.

``$N`` is the newest archive of guest 210, ``$O`` the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.violations.case import changes, rules
from tests.violations.of_guests import NOTHING_ADVISED, NOTHING_THERE, UNREAD

HEAD = (
    "D=/mnt/backup/dump; set -- $(ls $D/vzdump-qemu-210-*.vma.zst | sort -r); N=$1; O=$2;"
    " STATE=/var/lib/pve-manager/jobs/vzdump-nightly-vm210.json; "
)
_OWN = "cp -p $N $N.own && mv $N.own $N"
"""The nights of the lab's history are names of one file: what is changed gets a file of its own."""
_SHARED_AGAIN = "ln -f $O $N"
_NO_FSTAB = "cp -p /etc/fstab /etc/fstab.kept; sed -i '\\|/mnt/backup|d' /etc/fstab"
_FSTAB = "mv /etc/fstab.kept /etc/fstab; systemctl daemon-reload"


@dataclass(frozen=True)
class NodeCase:
    """A script that seeds and one that takes it back; the rest as in :class:`tests.violations.case.Case`."""

    name: str
    seed: str
    undo: str
    red: frozenset[str] = frozenset()
    advised: frozenset[str] = frozenset()
    says: str = ""
    undecided: frozenset[str] = frozenset()

    @property
    def expected(self) -> set[str]:
        """The changes that have to show."""
        return changes(self.red, self.advised, self.undecided)


VIOLATIONS = (
    NodeCase("storage unmounted", "umount /mnt/backup", "mount /mnt/backup", rules("STO-01 STO-02 STO-07"),
             says="no disk is mounted at", undecided=UNREAD - rules("STO-02 STO-04")),
    NodeCase("backup disk not in fstab", _NO_FSTAB, _FSTAB, rules("STO-02"), says="nothing mounts it again"),
    NodeCase("backup disk not mounted at boot",
             "cp -p /etc/fstab /etc/fstab.kept; sed -i '\\|/mnt/backup|s|defaults|defaults,noauto|' /etc/fstab", _FSTAB,
             rules("STO-02"), says="nothing mounts it again"),
    NodeCase("file system in memory over the backup disk", "mount -t tmpfs none /mnt/backup; mkdir /mnt/backup/dump",
             "umount /mnt/backup", rules("STO-02 STO-08") | NOTHING_THERE, NOTHING_ADVISED, "tmpfs"),
    NodeCase("folder of the system disk mounted over the backup disk",
             "mkdir -p /srv/fake/dump; mount --bind /srv/fake /mnt/backup", "umount /mnt/backup; rm -r /srv/fake",
             rules("STO-02 STO-08") | NOTHING_THERE, NOTHING_ADVISED, "a part of the node's root file system"),
    NodeCase("backup disk read-only", "mount -o remount,ro /mnt/backup", "mount -o remount,rw /mnt/backup",
             rules("STO-07"), says="is read-only"),
    NodeCase("backup disk full",
             "fallocate -l $(( $(stat -fc %a*%S /mnt/backup) - 1048576 )) /mnt/backup/filler", "rm /mnt/backup/filler",
             rules("STO-08"), says="lack on storage backup-hdd"),
    NodeCase("guest disk among the archives",
             "mkdir -p /mnt/backup/images/999; echo > /mnt/backup/images/999/vm-999-disk-0.raw",
             "rm -r /mnt/backup/images", rules("STO-04"),
             says="images/999/vm-999-disk-0.raw"),
    NodeCase("newest archives deleted", "mkdir $D/../kept; mv $N $O $D/../kept/",
             "mv $D/../kept/* $D/; rmdir $D/../kept",
             rules("VER-02"), says="the RPO allows"),
    NodeCase("archive truncated", f"{_OWN}; truncate -s 1M $N; touch -r $O $N", _SHARED_AGAIN, advised=rules("VER-06")),
    NodeCase("archive empty", f"{_OWN}; truncate -s 0 $N; touch -r $O $N", _SHARED_AGAIN, rules("VER-03"),
             rules("VER-06"), "0 bytes", rules("CMP-02")),
    NodeCase("gzip under a name of zstd",
             f"{_OWN}; printf '\\037\\213' | dd of=$N conv=notrunc status=none; touch -r $O $N", _SHARED_AGAIN,
             rules("CMP-02"), says="gzip"),
    NodeCase("left by a broken backup", "touch -d yesterday $D/vzdump-qemu-210-2026_01_01-02_00_00.vma.dat",
             "rm $D/*.dat", rules("VER-03"), says="left behind"),
    NodeCase("archive of a deleted guest", "ln $N $D/vzdump-qemu-333-2026_01_01-02_00_00.vma.zst",
             "rm $D/vzdump-qemu-333-*",
             advised=rules("RET-05"), says="nothing ever removes"),
    NodeCase("scheduler stopped", "systemctl stop pvescheduler", "systemctl start pvescheduler", rules("SCH-03"),
             says="does not run"),
    NodeCase("scheduler disabled", "systemctl disable -q pvescheduler", "systemctl enable -q pvescheduler",
             rules("SCH-03"), says="not after a reboot"),
    NodeCase("job stuck as started",
             "cp -p $STATE /root/state; echo"
             """ '{"state": "started", "upid": "UPID:pve1:0:0:60000000:vzdump:210:root@pam:"}' > $STATE""",
             "mv /root/state $STATE",
             rules("SCH-03"), says="job nightly-vm210 is marked as started"),
    NodeCase("leftover vzdump.cron", "echo '0 2 * * * root #vzdump 210' > /etc/pve/vzdump.cron",
             "rm /etc/pve/vzdump.cron", advised=rules("SCH-03"), says="vzdump.cron still holds"),
)  # fmt: skip
