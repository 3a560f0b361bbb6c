"""What a naive auditor would fault, and this one must not. What is only advised is named, and stands in the report."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from lab.pve.site import GuestRecord
from lab.scripted.shell import ok
from tests.labsite import LabSite
from tests.violations.case import Case, rules
from tests.violations.seeding import (
    NIGHT,
    Seed,
    archives,
    config,
    file,
    job,
    latest,
    new_job,
    no_job,
    node,
    several,
    storage,
)

EVERYONE = (100, 200, 210, 220, 230)


def _one_for_all(**selection: object) -> Seed:
    return several(no_job(*EVERYONE), new_job("nightly", **selection))


def _pooled(lab: LabSite) -> None:
    lab.data("POST", "/pools", "root", poolid="clients")
    for vmid in EVERYONE:
        lab.site.guests[vmid].pool = "clients"


def _queued(lab: LabSite) -> None:
    """The newest run of guest 210 waited three quarters of an hour for the backups before it."""
    task, path = latest(lab), archives(lab, 210)[-1]
    late = path.replace("-02_00_", "-02_45_")
    names = (posixpath.basename(path), posixpath.basename(late))
    task.log[:] = [line.replace(names[0].partition(".")[0], names[1].partition(".")[0]) for line in task.log]
    task.endtime = (task.endtime or 0) + 2700
    for old, new in ((path, late), (path + ".notes", late + ".notes"), (_log(path), _log(late))):
        entry = lab.hypervisor.node.files.entry(old)
        lab.hypervisor.node.rename(old, new)
        entry.mtime += 2700


def _log(path: str) -> str:
    return path.rsplit(".", 2)[0] + ".log"


def _two_days_old(lab: LabSite) -> None:
    """A guest that was made two days ago, with every backup that it can have had."""
    site, made = lab.site, lab.site.now() - 2 * NIGHT
    lines = dict(site.guests[210].config) | {"name": "young", "meta": f"creation-qemu=9.2.0,ctime={made}"}
    site.guests[300] = GuestRecord(300, "qemu", site.node, lines | {"virtio0": "vmdata:vm-300-disk-0,size=1G"})
    new_job("nightly-vm300", vmid="300")(lab)
    for path in archives(lab, 210)[-2:]:
        for old in (path, _log(path)):
            entry = lab.hypervisor.node.files.entry(old)
            told = entry.data.replace(b"210", b"300") if old.endswith(".log") else entry.data
            lab.hypervisor.node.write(old.replace("-210-", "-300-"), told, entry.mtime)
    for task in [one for one in lab.site.tasks.all() if one.id == "210"][:2]:
        upid = task.upid.replace(":210:", ":300:").replace(f":{task.pid:08X}:", f":{task.pid + 1:08X}:")
        log = [line.replace("210", "300") for line in task.log]
        site.tasks.adopt(replace(task, upid=upid, pid=task.pid + 1, id="300", log=log))


def _powered_off(lab: LabSite) -> None:
    log = latest(lab).log
    assert any("backup mode: snapshot" in line for line in log)
    log[:] = [
        line.replace("status = running", "status = stopped").replace("backup mode: snapshot", "backup mode: stop")
        for line in log
    ]


def _second_backup_storage(lab: LabSite) -> None:
    storage("pbs", type="pbs", server="pbs.example", datastore="copies", content="backup", username="b@pbs")(lab)


def _zfs(lab: LabSite) -> None:
    """The backup disk holds a ZFS pool, which mounts itself: fstab has no line for it."""
    one = lab.hypervisor.node
    one.backup_disk.fstype, one.backup_disk.source = "zfs", "tank/backup"
    status = (
        "  pool: tank\n state: ONLINE\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n"
        "\ttank        ONLINE       0     0     0\n\t  /dev/vdc  ONLINE       0     0     0\n\n"
        "errors: No known data errors\n"
    )

    one.host.extra |= {
        "zfs get -H -o value canmount tank/backup": ok("on\n"),
        "zpool status -P -L": ok(status),
    }
    one.host.services["zfs-mount.service"] = replace(one.host.services["cron.service"])
    disk = next(disk for disk in one.block.disks if disk.holds is one.backup_disk)
    disk.fstype = "zfs_member"
    fstab = "\n".join(line for line in one.read("/etc/fstab").decode().splitlines() if "/mnt/backup" not in line)
    one.write("/etc/fstab", fstab.encode())


def _mount_unit(lab: LabSite) -> None:
    one = lab.hypervisor.node
    fstab = "\n".join(line for line in one.read("/etc/fstab").decode().splitlines() if "/mnt/backup" not in line)
    one.write("/etc/fstab", fstab.encode())
    one.host.services["mnt-backup.mount"] = replace(one.host.services["mnt-backup.mount"], enabled="enabled")


SPARE = "vmdata:vm-210-disk-7,size=1G"
DELETED = "vzdump-qemu-333-2026_01_01-02_00_00.vma.zst"
SUMMER_TIME = rules("SCH-01")
"""Every job at 02:00 gets this advice once: the night in spring that has no such time."""
CASES = (
    Case("one job for all guests", _one_for_all(all=1), advised=rules("SCH-05")),
    Case("one job for a pool", several(_pooled, _one_for_all(pool="clients")), advised=rules("SCH-05")),
    Case("one job that lists every guest", _one_for_all(vmid="100,200,210,220,230"), advised=rules("SCH-05")),
    Case("further copy to a backup server",
         several(_second_backup_storage, new_job("copy-vm210", vmid="210", storage="pbs", schedule="22:00",
                                                 prune_backups="keep-last=3", compress=None))),
    Case("run queued after 02:00", _queued),
    Case("keep-last=7, as the policy says", job(prune_backups="keep-last=7"), advised=rules("RET-01 RET-04")),
    Case("keep-daily=30", job(prune_backups="keep-daily=30")),
    Case("keep-daily and keep-weekly", job(prune_backups="keep-daily=14,keep-weekly=8")),
    Case("retention of the storage", several(storage(**{"prune-backups": "keep-daily=14"}), job(prune_backups=None))),
    Case("guest two days old", _two_days_old, advised=SUMMER_TIME,
         inventory=lambda text: text + "  300: {role: client-data, name: young}\n"),
    Case("powered-off guest", _powered_off),
    Case("template untouched for a year", config(100, meta="creation-qemu=8.1.5,ctime=1700000000")),
    Case("retained archive of a deleted guest", several(file(DELETED), file(f"{DELETED}.protected", b"")),
         advised=rules("RET-05")),
    Case("ZFS", _zfs),
    Case("mount unit instead of fstab", _mount_unit),
    Case("no mode given", job(mode=None)),
    Case("missed runs are repeated", job(repeat_missed=1)),
    Case("long form of the schedule", job(schedule="*-*-* 02:00:00")),
    Case("second disk", config(virtio1=SPARE)),
    Case("CD drive and cloud-init drive", config(ide2="local:iso/debian.iso,media=cdrom,size=600M",
                                                 ide0="vmdata:vm-210-cloudinit,media=cdrom")),
    Case("disk left out with a reason", config(virtio1=f"{SPARE},backup=0"),
         inventory=lambda text: text.replace("    name: dns\n", "    name: dns\n    not_backed_up: {virtio1: swap}\n")),
    Case("scratch guest, exempt until a date",
         lambda lab: lab.site.guests.update({300: GuestRecord(300, "qemu", "pve1", {"name": "trial"})}),
         inventory=lambda text: text + "  300: {role: scratch, exempt: {reason: a trial, until: 2099-12-31}}\n"),
    Case("backup being written", file("vzdump-qemu-210-2026_01_01-02_00_00.vma.dat", age=5)),
    Case("foreign file among the archives", file("notes.txt")),
    Case("whole archive, read from end to end", lambda _lab: None, deep=True),
    Case("a warning in an older run", node(lambda one: one.journal("pvestatd", "status update time (6.1 seconds)", 4))),
)  # fmt: skip
