"""A small sound site to spoil, one fact at a time: two guests, one node, a backup disk, sixteen nights of backups."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from backup_standard.audit.guest import Guest as MandatoryGuest
from backup_standard.audit.node import Node as MandatoryNode
from backup_standard.audit.site import Site
from backup_standard.audit.storage import BackupStorage
from backup_standard.inventory.schema import Inventory
from backup_standard.model import (
    Archive,
    BackupJob,
    DumpFile,
    DumpFolder,
    Facts,
    Gap,
    Guest,
    GuestKind,
    IncludedVolume,
    Mount,
    Node,
    NotificationMatcher,
    Notifications,
    NotificationTarget,
    Storage,
    StorageStatus,
    Task,
)
from backup_standard.model.devices import Block, Devices
from backup_standard.model.dumps import log_name
from backup_standard.model.readings import ArchiveReading
from backup_standard.model.systems import System

BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 24, 9, 0, tzinfo=BERLIN)
LAST_NIGHT = dt.datetime(2026, 11, 24, 2, 0, tzinfo=BERLIN)
MADE = NOW - dt.timedelta(days=400)
"""When every guest was made."""
NODE, STORAGE, KEY = "pve1", "backup-hdd", "pve1/backup-hdd"
GiB = 2**30


def inventory(**changes: Any) -> Inventory:
    """An inventory with a template (100), a DNS server (210) and a scratch guest (305)."""
    data: dict[str, Any] = {
        "client": "acme",
        "class": "real",
        "site": {"name": "head-office", "timezone": "Europe/Berlin"},
        "api": {
            "url": "https://pve1.example:8006",
            "audit_token": {"id": "audit@pve!suite", "secret": "env:ACME_AUDIT"},
        },
        "policy": {"storage": STORAGE},
        "guests": {
            100: {"role": "golden-template"},
            210: {"role": "dns"},
            305: {"role": "scratch", "exempt": {"reason": "build cache", "until": "2027-03-31"}},
        },
        "not_deployed": {"docker-host": "phase 2", "monitoring": "phase 2"},
    }
    return Inventory.model_validate(data | changes)


def guest(vmid: int, name: str = "", **changes: Any) -> Guest:
    """A guest of the site."""
    disk = f"vmdata:vm-{vmid}-disk-0,size=8G"
    config = {"virtio0": disk, "meta": f"creation-qemu=10.1.2,ctime={int(MADE.timestamp())}"}
    seen = Guest(vmid, GuestKind.QEMU, name or f"guest-{vmid}", NODE, "running", config=config)
    return replace(seen, **changes)


def job(vmid: int, **changes: Any) -> BackupJob:
    """The standard's own job for one guest, planned times not asked of the site."""
    made = BackupJob(
        id=f"nightly-vm{vmid}", enabled=True, schedule="02:00", storage=STORAGE, mode="snapshot", compress="zstd",
        prune={"keep-daily": 14}, vmids=(vmid,),
        includes={vmid: (IncludedVolume(vmid, "virtio0", f"vmdata:vm-{vmid}-disk-0", included=True),)},
    )  # fmt: skip
    return replace(made, **changes)


def stamp(moment: dt.datetime) -> str:
    """A moment as vzdump writes it into file names."""
    return moment.strftime("%Y_%m_%d-%H_%M_%S")


def archive(vmid: int, moment: dt.datetime, **changes: Any) -> Archive:
    """An archive of that moment on the policy storage."""
    volid = f"{STORAGE}:backup/vzdump-qemu-{vmid}-{stamp(moment)}.vma.zst"
    return replace(Archive(volid, STORAGE, NODE, vmid, "qemu", int(moment.timestamp()), 400 * 2**20), **changes)


def upid(vmid: int | str, moment: dt.datetime) -> str:
    """A UPID of a vzdump task."""
    return f"UPID:{NODE}:00001000:00001000:{int(moment.timestamp()):08X}:vzdump:{vmid}:root@pam:"


def log(vmid: int, moment: dt.datetime, *, command: str = "") -> tuple[str, ...]:
    """The task log of one guest's successful scheduled backup."""
    command = command or f"{vmid} --quiet 1 --mode snapshot --storage {STORAGE} --compress zstd"
    return (
        f"INFO: starting new backup job: vzdump {command}",
        *guest_log(vmid, moment),
        "INFO: Backup job finished successfully",
        "TASK OK",
    )


def guest_log(vmid: int, moment: dt.datetime) -> tuple[str, ...]:
    """The part of a task log that concerns one guest."""
    return (
        f"INFO: Starting Backup of VM {vmid} (qemu)",
        f"INFO: Backup started at {moment:%Y-%m-%d %H:%M:%S}",
        "INFO: status = running",
        f"INFO: creating vzdump archive '/mnt/backup/dump/vzdump-qemu-{vmid}-{stamp(moment)}.vma.zst'",
        "INFO: issuing guest-agent 'fs-freeze' command",
        f"INFO: Finished Backup of VM {vmid} (00:00:42)",
    )


def task(vmid: int, moment: dt.datetime = LAST_NIGHT, **changes: Any) -> Task:
    """A scheduled run that went well."""
    started = int(moment.timestamp()) + 2
    made = Task(
        upid(vmid, moment), NODE, "vzdump", str(vmid), "root@pam", started, started + 42, "OK", None, log(vmid, moment)
    )
    return replace(made, **changes)


def nights(count: int, last: dt.datetime = LAST_NIGHT) -> list[dt.datetime]:
    """The last nights at that hour, newest first."""
    return [last - dt.timedelta(days=offset) for offset in range(count)]


def devices(**changes: Any) -> Devices:
    """A system disk, a disk of guests and a backup disk, each a drive of its own."""

    def disk(letter: str, *parts: str) -> list[Block]:
        path = f"/dev/sd{letter}"
        whole = Block(
            path, f"sd{letter}", "disk", 500 * GiB, serial=f"WD-{letter}", wwn=f"0x5000{letter}", model="WDC WD5003",
            vendor="ATA", transport="sata",
        )  # fmt: skip
        return [whole, *(Block(path + part, f"sd{letter}{part}", "part", parents=(path,)) for part in parts)]

    blocks = (*disk("a", "1", "2"), *disk("b", "1"), *disk("c"))
    return replace(Devices(blocks, groups={"/dev/sdc": "vmdata"}), **changes)


def system(**changes: Any) -> System:
    """A node's system in order."""
    sound = System(
        devices=devices(),
        smart={"/dev/sda": True, "/dev/sdb": True, "/dev/sdc": True},
        scheduler={"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"},
        clock={"Timezone": "Europe/Berlin", "NTP": "yes", "NTPSynchronized": "yes"},
    )
    return replace(sound, **changes)


NOTIFICATIONS = Notifications(
    (NotificationTarget("mail-to-root", "sendmail"),), (NotificationMatcher("default-matcher", ("mail-to-root",)),)
)
"""What Proxmox brings along."""
ZSTD = "28b52ffd"
DISK = 2065
"""The device number of the backup disk."""


def dump(archives: Iterable[Archive], **changes: Any) -> DumpFolder:
    """The dump folder with a file (and a log) for each archive of known size; ``changes`` go to the archives' files."""
    files: list[DumpFile] = []
    for one in archives:
        if one.size is None:
            continue
        file = DumpFile(one.filename, one.size, one.ctime + 42, DISK, head=ZSTD)
        end = f"2026-11-24 02:00:42 INFO: Finished Backup of VM {one.vmid} (00:00:42)"
        files += [replace(file, **changes), DumpFile(log_name(one.filename), 900, one.ctime + 42, DISK, tail=(end,))]
    return DumpFolder("/mnt/backup/dump", DISK, tuple(files))


def reading(one: Archive, **changes: Any) -> ArchiveReading:
    """A reading of that archive from end to end, which found nothing wrong."""
    made = ArchiveReading(
        one.volid, one.node, one.ctime, one.size or 0, one.size or 0, NOW, 12.5, "5" * 64, checksummed=True,
        disks={"drive-virtio0": 8 * GiB},
    )  # fmt: skip
    return replace(made, **changes)


def facts(**changes: Any) -> Facts:
    """A sound reading of the site; name a field of Facts to replace it."""
    vmids = (100, 210)
    archives = changes.get("archives", {KEY: tuple(archive(vmid, moment) for vmid in vmids for moment in nights(14))})
    files = archives.get(KEY, ())
    read = Facts(
        taken_at=NOW,
        release="9.2.11",
        nodes={NODE: Node(NODE, online=True, version="9.2.11", timezone="Europe/Berlin", now=int(NOW.timestamp()))},
        guests={100: guest(100, "golden-template", template=True), 210: guest(210, "dns"), 305: guest(305, "scratch")},
        jobs={f"nightly-vm{vmid}": job(vmid) for vmid in vmids},
        storages={
            STORAGE: Storage(STORAGE, "dir", frozenset({"backup"}), "/mnt/backup", is_mountpoint="yes"),
            "local": Storage("local", "dir", frozenset({"iso"}), "/var/lib/vz"),
            "vmdata": Storage("vmdata", "lvm", frozenset({"images", "rootdir"}), backing={"vgname": "vmdata"}),
        },
        statuses={KEY: StorageStatus(STORAGE, NODE, True, True, 500 * GiB, 40 * GiB, 460 * GiB)},
        archives=archives,
        dumps={KEY: dump(() if isinstance(files, Gap) else files)},
        readings={f"{one.node}/{one.volid}": reading(one) for one in (() if isinstance(files, Gap) else files)},
        journals={NODE: ()},
        notifications=NOTIFICATIONS,
        tasks={NODE: tuple(task(vmid, moment) for vmid in vmids for moment in nights(3))},
        defaults={NODE: {}},
        mounts={
            KEY: Mount("/mnt/backup", "/dev/sdb1", "ext4", "rw,relatime", persistent_by="fstab"),
            f"{NODE}/local": Mount("/", "/dev/sda2", "ext4", "rw,relatime", persistent_by="fstab"),
        },
        systems={NODE: system()},
        images={KEY: ()},
        job_states={f"{NODE}/nightly-vm{vmid}": {"state": "stopped", "upid": upid(vmid, LAST_NIGHT)} for vmid in vmids},
    )
    return replace(read, **changes)


def spoiled(field: str, key: object, value: object) -> Facts:
    """Sound facts but for one entry of one mapping; ``value`` None takes the entry away only where it says so."""
    sound = facts()
    entries = dict(getattr(sound, field))
    entries[key] = value
    return replace(sound, **{field: entries})


def site(read: Facts | None = None, **changes: Any) -> Site:
    """A site of sound facts, or of those given."""
    return Site(inventory(**changes), read or facts())


def mandatory(read: Facts | None = None, vmid: int = 210, **changes: Any) -> MandatoryGuest:
    """One mandatory guest of such a site."""
    return next(one for one in site(read, **changes).guests if one.vmid == vmid)


def node(read: Facts | None = None) -> MandatoryNode:
    """The node of such a site."""
    return site(read).nodes[0]


def with_system(**changes: Any) -> Facts:
    """Sound facts with that changed in the node's system."""
    return facts(systems={NODE: system(**changes)})


def backup_storage(read: Facts | None = None) -> BackupStorage:
    """The policy storage of such a site."""
    return site(read).backup_storages[0]


def with_jobs(jobs: Iterable[BackupJob]) -> Facts:
    """Sound facts with these jobs instead."""
    return facts(jobs={one.id: one for one in jobs})


def with_mount(mount: Any) -> Facts:
    """Sound facts with that mount for the policy storage."""
    return spoiled("mounts", KEY, mount)


def with_definition(**changes: Any) -> Facts:
    """Sound facts with a changed definition of the policy storage."""
    storages: Mapping[str, Storage] = facts().storages  # type: ignore[assignment]
    return spoiled("storages", STORAGE, replace(storages[STORAGE], **changes))
