"""The recorded site on the in-memory hypervisor: guests, storages, jobs, users and archives as they were."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from lab.hypervisor import ArchiveDisk, ArchiveHeader
from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.pve.guestconfig import render
from lab.pve.site import GuestRecord, Pool, Site
from lab.scripted.files import Filesystem
from lab.scripted.image import GuestImage
from tests.contract.recorded_state import (
    AUDIT,
    DUMP,
    INTERFACES,
    JOBS,
    NODES,
    OWN,
    PRUNELAB,
    SCRIPTS,
    SECRETS,
    STORAGES,
    UNSEPARATED,
    config,
    volumes,
)
from tests.contract.recordings import Recorded

EVENINGS = {"9.2": 1795467000, "8.4": 1795469040}
"""When the releases were recorded, in seconds since the epoch."""


@dataclass
class Stage:
    """How far the site had come: the state before a recording's first request.

    ``template``: VM 100 is one already. ``copies``: copies that exist, VMID → the VMID they were made of.
    ``running``: guests that run. ``archives``: names in the dump folder. ``drill``: privileges of RestoreDrill.
    ``grown``: jobs and the pool exist, and unless ``prunelab`` is off that storage.
    ``tokens``: tasks of the past were started with a token.
    """

    drill: set[str]
    template: bool = True
    copies: dict[int, int] = field(default_factory=dict)
    running: tuple[int, ...] = (200,)
    archives: tuple[str, ...] = ()
    grown: bool = True
    prunelab: bool = True
    tokens: bool = True


class StillNode(MemoryNode):
    """A node whose clock stands until somebody sets ``moment`` (seconds since the epoch)."""

    def __init__(self, name: str, moment: float) -> None:
        self.moment = moment
        super().__init__(name)

    def now(self) -> float:
        """The moment it was set to."""
        return self.moment


def make_hypervisor(release: str, now: int) -> MemoryHypervisor:
    """An empty node with the recorded network and disks."""
    node = StillNode(NODES[release], now)
    node.host.network.links("")["vmbr0"].addresses = ["10.9.0.1/24"]
    node.files.write("/etc/network/interfaces", INTERFACES.encode())
    node.files.write("/etc/resolv.conf", b"nameserver 10.9.0.1\n")
    node.files.makedirs("/var/lib/vz/import")
    node.files.write("/var/lib/vz/import/guest.raw", bytes(512))
    node.files.entry("/var/lib/vz/import/guest.raw").ctime = 1795466296
    node.files.makedirs("/srv/prunelab/dump")
    node.files.makedirs(DUMP)
    return MemoryHypervisor(node)


def make_site(release: str, stage: Stage, now: int) -> tuple[Site, MemoryHypervisor]:
    """Build the site; ``now`` is the node's clock in seconds since the epoch."""
    hypervisor = make_hypervisor(release, now)
    site = Site(hypervisor, "8.4" if release == "8.4" else "9.2", NODES[release])
    site.timezone, site.address, site.auth_delay = "UTC", "10.9.0.1", 0
    site.patience.lock, site.patience.header, site.patience.agent = 0.2, 0.0, 0.02
    _users(site, stage)
    _guests(site, hypervisor, stage)
    _settings(site, stage)
    for name in stage.archives:
        add_archive(site, hypervisor, name)
    for vmid in stage.running:
        power_on(site, hypervisor, vmid)
    for status in ("OK", "job errors"):
        site.tasks.add_history(
            "root@pam!suite" if stage.tokens else "root@pam",
            "vzdump",
            "210",
            span=(now - 600, now - 590),
            status=status,
            log=[],
        )
    return site, hypervisor


def _settings(site: Site, stage: Stage) -> None:
    site.storages = {name: dict(section) for name, section in STORAGES.items()}
    if stage.grown and stage.prunelab:
        site.storages["prunelab"] = dict(PRUNELAB)
    if stage.grown:
        base = {"type": "vzdump", "enabled": 1, "storage": "backup-hdd", "compress": "zstd", "mode": "snapshot"}
        site.jobs = {name: {**base, **job} for name, job in JOBS.items()}
        site.pools["prod"] = Pool("production")
        for vmid in (200, 210, 220):
            site.guests[vmid].pool = "prod"


def _guests(site: Site, hypervisor: MemoryHypervisor, stage: Stage) -> None:
    for vmid in OWN:
        _guest(site, hypervisor, vmid, config(site.version, vmid, template=stage.template))
    for vmid, origin in stage.copies.items():
        _copy(site, hypervisor, vmid, origin)


def _users(site: Site, stage: Stage) -> None:
    access = site.access
    for name in ("auditor", "driller", "nobody"):
        access.add_user(f"{name}@pve")
    if site.version == "9.2":
        access.users["auditor@pve"].comment = "backup auditor"
    for token in SECRETS.values():
        user, _bang, name = token.partition("!")
        access.add_token(user, name, token, privsep=0 if token in UNSEPARATED else 1)
    access.add_role("BackupAudit", AUDIT)
    access.add_role("RestoreDrill", stage.drill)
    access.grant("/", "auditor@pve", "BackupAudit")
    for who in ("driller@pve", "driller@pve!suite"):
        access.grant("/", who, "RestoreDrill")


def _guest(site: Site, hypervisor: MemoryHypervisor, vmid: int, settings: dict[str, str | int]) -> None:
    for volid, size in volumes(settings).values():
        hypervisor.allocate(volid, size)
    first = str(settings["scsi0"]).partition(",")[0]
    address = "10.9.0.50" if vmid == 200 else f"10.9.0.{vmid}"
    GuestImage(
        "guest" if site.version == "9.2" else str(settings["name"]),
        addresses=[[f"{address}/24"]],
        files={"/etc/marker": "guest marker v1\n", "/tmp/.keep": ""},
        commands={shlex.join(["sh", "-c", script]): [rc, out, err] for script, rc, out, err in SCRIPTS}
        | {"sleep 30": [0, "", ""]},
    ).write(hypervisor.disks[first])
    site.guests[vmid] = GuestRecord(vmid, "qemu", site.node, settings)


def _copy(site: Site, hypervisor: MemoryHypervisor, vmid: int, origin: int) -> None:
    """A restored or cloned guest that was left behind by what was recorded before."""
    settings = dict(site.guests[origin].config)
    if vmid == 102:
        settings.pop("template", None)
        settings |= {"name": "drill-100", "scsi0": str(settings["scsi0"]).replace("base-", "vm-")}
    settings["scsi0"] = str(settings["scsi0"]).replace(f"-{origin}-", f"-{vmid}-").replace(f":{origin}/", f":{vmid}/")
    _guest(site, hypervisor, vmid, settings)


def power_on(site: Site, hypervisor: MemoryHypervisor, vmid: int) -> None:
    """Let a guest run, booted."""
    settings = {key: str(value) for key, value in site.guests[vmid].config.items()}
    hypervisor.start(vmid, settings, {key: volid for key, (volid, _size) in volumes(dict(settings)).items()})


def boot(hypervisor: MemoryHypervisor, vmid: int) -> None:
    """Let a guest that was started have booted by now."""
    hypervisor.guest(vmid)._ready = 0.0


def add_archive(site: Site, hypervisor: MemoryHypervisor, name: str, notes: str = "") -> str:
    """Lay an archive of a guest's present state into the dump folder; its path."""
    vmid = int(name.split("-")[2])
    guest, path = site.guests[vmid], f"{DUMP}/{name}"
    drives = {key: found for key, found in volumes(guest.config).items() if "backup=0" not in str(guest.config[key])}
    forms = {key: volid.rpartition(".")[2] for key, (volid, _) in drives.items()}
    maps = "".join(f"#qmdump#map:{key}:drive-{key}:local:{form}:\n" for key, form in forms.items())
    disks = [ArchiveDisk(f"drive-{key}", size) for key, (_, size) in drives.items()]
    header = ArchiveHeader("1e190683-e795-4870-a676-f7b3a6801c99", 1795466775, render(guest.config) + maps, None, disks)
    kind = {"zst": "zstd", "gz": "gzip"}.get(name.rpartition(".")[2], "0")
    sources = {f"drive-{key}": volid for key, (volid, _) in drives.items()}
    hypervisor.write_archive(path, header, sources, kind, lambda _done, _all: None)
    if notes:
        hypervisor.node.write(f"{path}.notes", notes.encode())
    return path


def mount_small(hypervisor: MemoryHypervisor, path: str, size: int) -> None:
    """Mount a filesystem with hardly any room."""
    hypervisor.node.files.mount(path, Filesystem("tmpfs", "tmpfs", size=size))
    hypervisor.node.files.makedirs(f"{path}/dump")


def first_moment(records: tuple[Recorded, ...]) -> int:
    """When a recording began, told by its first task; otherwise the evening it was made."""
    for record in records:
        if isinstance(record.data, str) and record.data.startswith("UPID:"):
            return int(record.data.split(":")[4], 16)
    return EVENINGS[records[0].release]
