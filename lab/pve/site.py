"""All state of the control plane: what Proxmox VE keeps in /etc/pve, and the machinery it acts on."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from lab.pve.access import Access
from lab.pve.call import ApiError, die
from lab.pve.consoles import Consoles
from lab.pve.guestlocks import GuestLocks, Patience
from lab.pve.nodefigures import NodeFigures
from lab.pve.releases import RELEASES, Release, Version
from lab.pve.schema import ApiSchema, load
from lab.pve.tasks import TaskStore

if TYPE_CHECKING:
    from lab.hypervisor import Hypervisor

Kind = Literal["qemu", "lxc"]
Config = dict[str, str | int]
_SHARED = (
    "lock", "peers", "offline", "guests", "storages", "jobs", "pools", "ha_resources", "replication", "firewall",
    "datacenter", "datacenter_firewall", "access", "certificate", "auth_delay",
)  # fmt: skip
_FOLDER = {"qemu": "qemu-server", "lxc": "lxc"}


@dataclass
class GuestRecord:
    """One guest: its configuration in file order (``lock`` is a key of it), snapshots by name, and its pool."""

    vmid: int
    kind: Kind
    node: str
    config: Config = field(default_factory=dict)
    snapshots: dict[str, Config] = field(default_factory=dict)
    pending: Config = field(default_factory=dict)
    pool: str | None = None

    @property
    def template(self) -> bool:
        """Whether it is a template."""
        return str(self.config.get("template", 0)) == "1"

    @property
    def name(self) -> str:
        """The name lists show."""
        key, default = ("name", f"VM {self.vmid}") if self.kind == "qemu" else ("hostname", f"CT{self.vmid}")
        return str(self.config.get(key, default))


@dataclass
class Pool:
    """A pool; guests name their pool themselves, storages are listed here."""

    comment: str = ""
    storages: set[str] = field(default_factory=set)


class Site:
    """A node of a site, alone or in a cluster (:meth:`join`). Guard its collections with ``lock``.

    ``peers`` are the nodes of the cluster by name, this one among them; those in ``offline`` answer nothing.
    """

    def __init__(self, hypervisor: Hypervisor, version: Version = "9.2", node: str = "pve1") -> None:
        """An empty site on this machinery."""
        self.hypervisor, self.version, self.node = hypervisor, version, node
        self.lock = threading.RLock()
        self.peers: dict[str, Site] = {node: self}
        self.offline: set[str] = set()
        self.guests: dict[int, GuestRecord] = {}
        self.storages: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pools: dict[str, Pool] = {}
        self.ha_resources: dict[str, dict[str, Any]] = {}
        self.replication: dict[str, dict[str, Any]] = {}
        self.firewall: dict[int, str] = {}
        self.vzdump_conf: dict[str, Any] = {}
        self.datacenter: dict[str, Any] = {}
        self.datacenter_firewall: dict[str, Any] = {}
        self.address = "10.0.0.1"
        self.timezone = "Europe/Berlin"
        self.auth_delay = 3.0
        self.certificate = ""
        self.access = Access(version, self.now, self._pool_of)
        self.tasks = TaskStore(self)
        self.figures = NodeFigures(self)
        self.patience = Patience()
        self.guest_locks = GuestLocks(self.patience)
        self.consoles = Consoles()
        self.vzdump_lock = threading.Lock()
        self.prelaunch: set[int] = set()
        self.notes: dict[str, tuple[tuple[float, int], str]] = {}

    @property
    def schema(self) -> ApiSchema:
        """The API schema of the release this site answers as."""
        return load(self.version)

    @property
    def full_version(self) -> str:
        """The whole version, such as "9.2.11" or "7.4-16"."""
        return self.schema.version

    @property
    def major(self) -> int:
        """The major release, to compare with."""
        return int(self.version.partition(".")[0])

    @property
    def release(self) -> Release:
        """What of the release stands in no schema."""
        return RELEASES[self.version]

    @property
    def zone(self) -> ZoneInfo:
        """The node's time zone, in which schedules and archive names are read."""
        return ZoneInfo(self.timezone)

    def now(self) -> int:
        """The node's clock, whole seconds since the epoch."""
        return int(self.hypervisor.node.now())

    def _pool_of(self, path: str) -> str | None:
        parts = path.strip("/").split("/")
        if len(parts) != 2:
            return None
        if parts[0] == "vms" and parts[1].isdigit():
            guest = self.guests.get(int(parts[1]))
            return guest.pool if guest else None
        if parts[0] == "storage":
            return next((name for name, pool in self.pools.items() if parts[1] in pool.storages), None)
        return None

    def guest(self, vmid: int, kind: Kind | None = None) -> GuestRecord:
        """The guest; 500 with the real text when there is none (of this kind)."""
        with self.lock:
            found = self.guests.get(int(vmid))
        if found is None or (kind and found.kind != kind) or found.node != self.node:
            die(f"Configuration file 'nodes/{self.node}/{_FOLDER[kind or 'qemu']}/{vmid}.conf' does not exist")
        return found

    def storage(self, storage: str) -> dict[str, Any]:
        """The section of a storage; 500 "storage 'x' does not exist" when there is none."""
        with self.lock:
            found = self.storages.get(storage)
        if found is None:
            die(f"storage '{storage}' does not exist")
        return found

    def next_vmid(self, lower: int = 100) -> int:
        """The lowest free VMID (upstream: PVE/API2/Cluster.pm nextid)."""
        with self.lock:
            return next(vmid for vmid in range(lower, 1_000_000_000) if vmid not in self.guests)

    def join(self, other: Site) -> None:
        """Take a node into the cluster: it then shares /etc/pve, and keeps its own tasks, clock and machinery."""
        for name in _SHARED:
            setattr(other, name, getattr(self, name))
        self.peers[other.node] = other

    def home(self, guest: GuestRecord) -> Site:
        """The node that a guest lives on."""
        return self.peers.get(guest.node, self)

    def resolve_node(self, name: str) -> Site:
        """The node of that name.

        Refuses one that is offline as its proxy does (595), and one that no cluster has (upstream: PVE/Cluster.pm
        remote_node_ip).
        """
        if name == "localhost":
            return self
        if name in self.offline:
            raise ApiError(595, "No route to host", empty=True)
        if name not in self.peers:
            known = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", name)
            why = "Temporary failure in name resolution" if known else "Name or service not known"
            die(f"hostname lookup '{name}' failed - failed to get address info for: {name}: {why}")
        return self.peers[name]
