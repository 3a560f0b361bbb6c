"""Sites of any size in memory: clusters of several nodes, hundreds of guests, each night of the past on disk.

Guests differ in kind and node by their number; their archives are stand-ins. For tests and benchmarks that read a site
and restore nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from lab.memory import MemoryHypervisor
from lab.memory_node import MemoryNode
from lab.pve import seed, vzdump_log
from lab.pve.history import Past, Run, Subject
from lab.pve.releases import Version
from lab.pve.seed_access import Secrets, seed_access
from lab.pve.site import GuestRecord, Site
from lab.scripted.files import Entry
from lab.settings import VOLUME_GROUP, ZONE

_ARCHIVE = bytes.fromhex("28b52ffd").ljust(1 << 16, b"\0")
"""What stands for each archive: zstd's own four bytes and nothing that could be restored."""
_GIB = 1 << 30
KEPT = 14


@dataclass(frozen=True)
class Shape:
    """How large a site is; every ``containers``-th guest is a container, ``first`` is the lowest VMID."""

    guests: int = 12
    nodes: int = 3
    containers: int = 4
    first: int = 1000

    @property
    def names(self) -> list[str]:
        """The names of the nodes."""
        return [f"pve{number}" for number in range(1, self.nodes + 1)]

    def vmids(self) -> list[int]:
        """The VMIDs of its guests."""
        return list(range(self.first, self.first + self.guests))

    def node_of(self, vmid: int) -> str:
        """The node that a guest lives on at first: one after the other."""
        return f"pve{vmid % self.nodes + 1}"

    def kind_of(self, vmid: int) -> str:
        """Tell "qemu" or "lxc"."""
        return "lxc" if vmid % self.containers == self.containers - 1 else "qemu"


def build(shape: Shape, secrets: Secrets, *, version: Version = "9.2") -> Site:
    """Make the site; the first node, which knows the others as its peers, is returned."""
    sites = [Site(MemoryHypervisor(MemoryNode(name)), version, name) for name in shape.names]
    first = sites[0]
    first.auth_delay = 0
    first.storages.update({name: dict(section) for name, section in seed.STORAGES.items()})
    seed_access(first.access, secrets, shape.vmids())
    for vmid in shape.vmids():
        add_guest(first, shape, vmid)
    for site in sites[1:]:
        first.join(site)
    now = first.now()
    for site in sites:
        tell_past(site, [subject(shape, vmid) for vmid in shape.vmids() if shape.node_of(vmid) == site.node], now)
    return first


def add_guest(site: Site, shape: Shape, vmid: int) -> None:
    """Give the site a guest and its nightly job."""
    kind = shape.kind_of(vmid)
    common: dict[str, str | int] = {"cores": 1, "memory": 512, "onboot": 1}
    if kind == "lxc":
        config = {**common, "hostname": f"g{vmid}", "rootfs": f"{VOLUME_GROUP}:vm-{vmid}-disk-0,size=8G"}
        site.guests[vmid] = GuestRecord(vmid, "lxc", shape.node_of(vmid), config)
    else:
        drive = f"{VOLUME_GROUP}:vm-{vmid}-disk-0,size=32G"
        config = {**common, "boot": "order=scsi0", "name": f"g{vmid}", "scsi0": drive}
        config["meta"] = f"creation-qemu={seed.FIRST_QEMU},ctime={seed.MADE}"
        site.guests[vmid] = GuestRecord(vmid, "qemu", shape.node_of(vmid), config)
    job = {"type": "vzdump", "schedule": seed.SCHEDULE, "enabled": 1, "vmid": str(vmid), **seed.JOB_OPTIONS}
    site.jobs[seed.job_id(vmid)] = job


def subject(shape: Shape, vmid: int) -> Subject:
    """A guest as its backups saw it."""
    kind = shape.kind_of(vmid)
    key = "rootfs" if kind == "lxc" else "scsi0"
    disk = vzdump_log.Disk(key, f"{VOLUME_GROUP}:vm-{vmid}-disk-0", 8 * _GIB)
    return Subject(vmid, kind, f"g{vmid}", running=True, disks=[disk], archive_bytes=_GIB, stored_bytes=2 * _GIB)


def tell_past(site: Site, subjects: Sequence[Subject], now: int) -> None:
    """Give a node its tasks, and its backup disk the archives of the nights that are kept."""
    past = Past(site.node, ZoneInfo(ZONE), seed.STORAGE, seed.DUMP, seed.SCHEDULE, seed.JOB_OPTIONS)
    kept = set(past.nights(now, KEPT))
    for run in past.runs(now, subjects):
        site.tasks.adopt(seed.task_of(site.node, run))
        if run.start - 1 in kept:
            _lay(site, run)


def _lay(site: Site, run: Run) -> None:
    """Put an archive with log and notes on the backup disk: straight into its files, as thousands are laid."""
    files = site.hypervisor.node.backup_disk.entries  # type: ignore[attr-defined]  # the node in memory
    stem = run.archive.rsplit(".", 2)[0]
    for name, data in (
        (run.archive, _ARCHIVE),
        (f"{run.archive}.notes", b"g"),
        (f"{stem}.log", run.guest_log.encode()),
    ):
        files[f"/dump/{name}"] = Entry(data, mtime=run.end, ctime=run.end)
