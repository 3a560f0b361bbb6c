"""The lab's own site: its guests, storages, jobs, users and past.

:func:`seed` fills the control plane, :func:`node_files` and :func:`journal` say what belongs on the node, and
:func:`populate` lays all of that through the hypervisor interface (the real node has faster ways of its own).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from lab.hypervisor import ArchiveDisk, ArchiveHeader, Hypervisor
from lab.pve import guestconfig, vzdump_log
from lab.pve.history import JournalLine, Past, Run, Subject
from lab.pve.sections import render_sections
from lab.pve.seed_access import Secrets, seed_access
from lab.pve.site import GuestRecord, Pool, Site
from lab.pve.tasks import Task, closing_line
from lab.settings import BACKUP_MOUNT, CONTAINER, GUESTS, LAN_GATEWAY, LAN_PREFIX, NODE, VOLUME_GROUP, ZONE, BuiltGuest

STORAGE = "backup-hdd"
DUMP = f"{BACKUP_MOUNT}/dump"
STORAGES: Mapping[str, Mapping[str, object]] = {
    "local": {"type": "dir", "path": "/var/lib/vz", "content": "iso,vztmpl,snippets"},
    VOLUME_GROUP: {"type": "lvm", "vgname": VOLUME_GROUP, "content": "images,rootdir"},
    STORAGE: {"type": "dir", "path": BACKUP_MOUNT, "content": "backup", "is_mountpoint": "1"},
}
JOB_OPTIONS: Mapping[str, object] = {
    "mode": "snapshot",
    "notes-template": "{{guestname}}",
    "storage": STORAGE,
    "compress": "zstd",
    "prune-backups": "keep-daily=14",
}
SCHEDULE = "02:00"
FIRST_QEMU, MADE = "9.0.2", 1735689600
"""The QEMU version under which the guests were made, and when: long ago (2025-01-01)."""
KEPT = 14
"""Nights whose archives are on disk: what the jobs' retention leaves."""
_VZDUMP_CONF = "# Defaults of vzdump on this node. Jobs and storages override them.\n"


@dataclass(frozen=True)
class ArchiveFacts:
    """What is known of a guest's real archive: sizes in bytes, and the id in its header."""

    archive_bytes: int
    stored_bytes: int
    disk_bytes: int
    uuid: str = ""


@dataclass(frozen=True)
class NodeFile:
    """A file to lay on the node. ``archive`` names the guest whose archive its content is; ``data`` is empty then."""

    path: str
    mtime: float
    data: bytes = b""
    archive: int | None = None


def guest_config(guest: BuiltGuest) -> dict[str, str | int]:
    """Give the configuration of one of the lab's guests, in the order of its file."""
    if guest is CONTAINER:
        return {
            "arch": "amd64",
            "cores": 1,
            "hostname": guest.name,
            "memory": guest.memory,
            "net0": f"name=eth0,bridge=vmbr0,gw={LAN_GATEWAY},hwaddr={guest.mac},"
            f"ip={guest.address}/{LAN_PREFIX},type=veth",
            "onboot": 1,
            "ostype": "debian",
            "rootfs": f"{guest.volume},size={guest.disk_mib}M",
            "swap": 0,
            "unprivileged": 1,
        }
    size = vzdump_log.disk_size(guest.disk_mib << 20)
    config: dict[str, str | int] = {
        "agent": "1",
        "boot": "order=virtio0",
        "cores": 1,
        "memory": str(guest.memory),
        "meta": f"creation-qemu={FIRST_QEMU},ctime={MADE}",
        "name": guest.name,
        "net0": f"virtio={guest.mac},bridge=vmbr0",
        "onboot": 0 if guest.template else 1,
        "ostype": "l26",
        "serial0": "socket",
        "smbios1": f"uuid={_uuid('smbios', guest)}",
    }
    if guest.template:
        config["template"] = 1
    return {**config, "vga": "std", "virtio0": f"{guest.volume},size={size}", "vmgenid": _uuid("generation", guest)}


def _uuid(what: str, guest: BuiltGuest) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}.{guest.vmid}.lab.example"))


def kind(guest: BuiltGuest) -> str:
    """Tell "qemu" or "lxc"."""
    return "lxc" if guest is CONTAINER else "qemu"


def job_id(vmid: int) -> str:
    """Name the nightly job of a guest."""
    return f"nightly-vm{vmid}"


def jobs() -> dict[str, dict[str, object]]:
    """Give the backup jobs as sections of jobs.cfg."""
    return {
        job_id(guest.vmid): {
            "type": "vzdump",
            "schedule": SCHEDULE,
            "enabled": 1,
            "vmid": str(guest.vmid),
            **JOB_OPTIONS,
        }
        for guest in (*GUESTS, CONTAINER)
    }


def past(zone: ZoneInfo) -> Past:
    """Give the rules by which the history is told."""
    return Past(NODE, zone, STORAGE, DUMP, SCHEDULE, JOB_OPTIONS)


def subjects(facts: Mapping[int, ArchiveFacts] | None = None) -> list[Subject]:
    """Give the guests as their backups saw them; what ``facts`` does not know is assumed."""
    found = []
    for guest in (*GUESTS, CONTAINER):
        size = guest.disk_mib << 20
        known = (facts or {}).get(guest.vmid, ArchiveFacts(size // 9, size // 3, size))
        disk = vzdump_log.Disk("rootfs" if guest is CONTAINER else "virtio0", guest.volume, known.disk_bytes)
        found.append(
            Subject(
                guest.vmid,
                kind(guest),
                guest.name,
                not guest.template,
                [disk],
                known.archive_bytes,
                known.stored_bytes,
                known.uuid,
            )
        )
    return found


@lru_cache(maxsize=4)
def _told(now: int, facts: tuple[tuple[int, ArchiveFacts], ...]) -> tuple[Run, ...]:
    return tuple(past(ZoneInfo(ZONE)).runs(now, subjects(dict(facts))))


def runs(now: int, facts: Mapping[int, ArchiveFacts] | None = None) -> Sequence[Run]:
    """Give the runs of the last nights, oldest first; the same ``facts`` must be given wherever they are told."""
    return _told(int(now), tuple(sorted((facts or {}).items())))


def seed(site: Site, now: int, secrets: Secrets, facts: Mapping[int, ArchiveFacts] | None = None) -> None:
    """Fill an empty site with the lab's configuration, users and history up to ``now`` (seconds since the epoch)."""
    site.timezone = ZONE
    with site.lock:
        for guest in (*GUESTS, CONTAINER):
            site.guests[guest.vmid] = GuestRecord(
                guest.vmid, "lxc" if guest is CONTAINER else "qemu", site.node, guest_config(guest)
            )
        site.storages.update({name: dict(section) for name, section in STORAGES.items()})
        site.jobs.update(jobs())
        if site.major < 8:
            for job in site.jobs.values():
                job["mailto"] = "root"
        site.pools["drill"] = Pool(comment="guests of restore drills")
    seed_access(site.access, secrets, [guest.vmid for guest in (*GUESTS, CONTAINER)])
    for run in runs(now, facts):
        site.tasks.adopt(task_of(site.node, run))


def task_of(node: str, run: Run) -> Task:
    """Turn a run of the past into a finished task."""
    task = Task(
        run.upid,
        node,
        run.pid,
        run.pstart,
        run.start,
        "vzdump",
        str(run.vmid),
        "root@pam",
        endtime=run.end,
        status="OK",
        log=[*(line for _, line in run.log), closing_line("OK")],
    )
    task.finished.set()
    return task


def node_files(now: int, facts: Mapping[int, ArchiveFacts] | None = None) -> Iterator[NodeFile]:
    """Give every file of the site's past and configuration that belongs on the node, older nights first."""
    told = runs(now, facts)
    names = {guest.vmid: guest.name for guest in (*GUESTS, CONTAINER)}
    kept = set(past(ZoneInfo(ZONE)).nights(now, KEPT))
    for run in told:
        if run.start - 1 not in kept:
            continue
        archive = f"{DUMP}/{run.archive}"
        log = archive.rsplit(".", 2)[0] + ".log"
        yield NodeFile(archive, run.end - 1, archive=run.vmid)
        yield NodeFile(f"{archive}.notes", run.end - 1, names[run.vmid].encode())
        yield NodeFile(log, run.end, run.guest_log.encode())
    latest = {run.vmid: run for run in told}
    for vmid, run in latest.items():
        yield NodeFile(f"/var/log/vzdump/{run.kind}-{vmid}.log", run.end, run.guest_log.encode())
        state = {"state": "stopped", "upid": run.upid, "msg": "OK", "config": {"enabled": 1, "schedule": SCHEDULE}}
        yield NodeFile(f"/var/lib/pve-manager/jobs/vzdump-{job_id(vmid)}.json", run.end, json.dumps(state).encode())
    yield from config_files(now)


def config_files(now: int) -> Iterator[NodeFile]:
    """Give the site's configuration as the files of /etc/pve, and /etc/vzdump.conf."""
    texts = {
        "/etc/pve/storage.cfg": render_sections(STORAGES),
        "/etc/pve/jobs.cfg": render_sections(jobs()),
        "/etc/vzdump.conf": _VZDUMP_CONF,
    }
    for guest in (*GUESTS, CONTAINER):
        folder = "lxc" if guest is CONTAINER else "qemu-server"
        texts[f"/etc/pve/{folder}/{guest.vmid}.conf"] = guestconfig.render(guest_config(guest))
    for path, text in texts.items():
        yield NodeFile(path, now, text.encode())


def journal(now: int, facts: Mapping[int, ArchiveFacts] | None = None) -> list[JournalLine]:
    """Give the journal lines of the site's past in their order."""
    lines = [line for run in runs(now, facts) for line in run.journal()]
    return sorted(lines, key=lambda line: line.when)


def archived_config(guest: BuiltGuest) -> str:
    """Give the configuration an archive of this guest carries, with the map of its disk."""
    text = guestconfig.render(guest_config(guest))
    return text if guest is CONTAINER else f"{text}#qmdump#map:virtio0:drive-virtio0:{VOLUME_GROUP}:raw:\n"


def populate(hypervisor: Hypervisor, now: int, files: Sequence[NodeFile] | None = None) -> None:
    """Lay files, archives and journal on the node; the guests' volumes must be there, or are made empty."""
    node = hypervisor.node
    newest: dict[int, str] = {}
    for file in reversed(files if files is not None else list(node_files(now))):
        node.makedirs(file.path.rsplit("/", 1)[0])
        if file.archive is None:
            node.write(file.path, file.data, file.mtime)
        elif file.archive in newest:
            node.write(file.path, node.read(newest[file.archive]), file.mtime)
        else:
            newest[file.archive] = file.path
            _write_archive(hypervisor, file)
            node.write(file.path, node.read(file.path), file.mtime)
    for line in journal(now):
        node.journal(line.identifier, line.message, 6, line.when)


def _write_archive(hypervisor: Hypervisor, file: NodeFile) -> None:
    guest = next(guest for guest in (*GUESTS, CONTAINER) if guest.vmid == file.archive)
    if guest.volume not in hypervisor.volumes():
        hypervisor.allocate(guest.volume, 1 << 20)
    config = archived_config(guest)
    if guest is CONTAINER:
        hypervisor.write_container_archive(file.path, guest.volume, config, "zstd", _silent)
        return
    header = ArchiveHeader(
        str(uuid.uuid4()),
        int(file.mtime),
        config,
        None,
        [ArchiveDisk("drive-virtio0", hypervisor.volumes()[guest.volume])],
    )
    hypervisor.write_archive(file.path, header, {"drive-virtio0": guest.volume}, "zstd", _silent)


def _silent(_done: int, _total: int) -> None:
    """Nobody watches the archives of the past being made."""
