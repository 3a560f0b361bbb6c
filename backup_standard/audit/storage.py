"""The backup storage of a node, as the rules see it. What was not read raises Unknown when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import PurePosixPath

from backup_standard.audit import strays
from backup_standard.audit.coverage import raise_if_hidden
from backup_standard.audit.devices import Resolver, Resting
from backup_standard.audit.guest import Guest
from backup_standard.audit.guest_disks import GuestDisks
from backup_standard.audit.health import Health
from backup_standard.audit.jobs import clock_of, node_zone
from backup_standard.audit.room import Room, measure
from backup_standard.audit.separation import Separation, compare
from backup_standard.errors import Unknown
from backup_standard.model import Facts, Gap, Mount, Storage, StorageStatus
from backup_standard.model.facts import known
from backup_standard.model.systems import System

LOCAL_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs"})
"""File systems that live on block devices of the node itself; anything else is remote, memory or an overlay."""

REMOTE_DEVICES = ("/dev/nbd", "/dev/rbd", "/dev/drbd")
"""Block devices whose data is elsewhere."""


@dataclass(frozen=True)
class BackupStorage:
    """A pair of node and policy storage, with the mandatory guests of that node."""

    node: str
    storage: str
    facts: Facts
    guests: tuple[Guest, ...] = ()

    @property
    def key(self) -> str:
        """Node and storage with a slash between, as the facts name it."""
        return f"{self.node}/{self.storage}"

    @property
    def is_defined(self) -> bool:
        """Whether the site defines the storage. Unknown when it may merely be hidden."""
        if self.storage not in known(self.facts.storages):
            raise_if_hidden(self.facts, f"whether storage {self.storage} is defined", "Datastore.Audit")
            return False
        return True

    @property
    def definition(self) -> Storage | None:
        """The storage's definition, None when the site has none."""
        return known(self.facts.storages)[self.storage] if self.is_defined else None

    @property
    def path(self) -> str:
        """The directory, empty when the storage has none (it is undefined or of another type)."""
        return (self.definition.path if self.definition else None) or ""

    @property
    def type(self) -> str:
        """The storage's type, "undefined" when the site has no such storage."""
        return self.definition.type if self.definition else "undefined"

    @property
    def is_active(self) -> bool | None:
        """Whether Proxmox can use it on this node right now; None when that was not read."""
        status = self.facts.statuses.get(self.key)
        return None if status is None or isinstance(status, Gap) else status.active

    # --- the mount --------------------------------------------------------------------------------------------

    @property
    def mount(self) -> Mount | None:
        """The mount that holds the path, None when the path is not there."""
        if self.key not in self.facts.mounts:
            raise Unknown(f"what is mounted for {self}", reason="it was not read", need=f"SSH to node {self.node}")
        return known(self.facts.mounts[self.key])

    @property
    def expected_mount_point(self) -> str:
        """Where a file system has to be mounted: the path that ``is_mountpoint`` names, else the storage's own."""
        declared = self.is_mountpoint
        return declared.rstrip("/") or "/" if declared.startswith("/") else self.path.rstrip("/")

    @property
    def is_mounted(self) -> bool:
        """Whether a file system of its own is mounted there now (never the root file system)."""
        mount = self.mount
        return bool(mount and mount.target != "/" and mount.target == self.expected_mount_point)

    @property
    def missing(self) -> str:
        """What is at the path where the disk should be, in words."""
        mount = self.mount
        if mount is None:
            return f"{self.path} does not exist"
        return f"{self.path} lies on {mount.source}, mounted at {mount.target}"

    @property
    def is_local(self) -> bool:
        """Whether the mounted file system lives on a block device of the node."""
        mount = self.mount
        return bool(mount and mount.fstype in LOCAL_FILE_SYSTEMS and not mount.source.startswith(REMOTE_DEVICES))

    @property
    def shares_root(self) -> bool:
        """Whether it is a folder, bind mount or subvolume of the node's root file system after all."""
        mount, root = self.mount, self._root_device
        if mount is None:
            return False
        is_bind_mount = mount.fsroot != "/" and mount.fstype not in {"btrfs", "zfs"}
        return is_bind_mount or _device(mount.source) == root

    @property
    def _root_device(self) -> str | None:
        """The device of the node's root file system, as far as any mount read shows it."""
        roots = (
            mount
            for key, mount in self.facts.mounts.items()
            if key.startswith(f"{self.node}/") and isinstance(mount, Mount) and mount.target == "/"
        )
        return next((_device(mount.source) for mount in roots), None)

    @property
    def persistent_by(self) -> str | None:
        """What mounts it at boot; None when nothing does."""
        return self.mount.persistent_by if self.mount else None

    @property
    def device(self) -> str | None:
        """The device that is mounted."""
        return self.mount.source if self.mount else None

    @property
    def file_system(self) -> str | None:
        """The type of the mounted file system."""
        return self.mount.fstype if self.mount else None

    # --- the definition ---------------------------------------------------------------------------------------

    @property
    def is_mountpoint(self) -> str:
        """The ``is_mountpoint`` option: empty, "yes", or a path."""
        return self.definition.is_mountpoint if self.definition else ""

    @property
    def is_guarded(self) -> bool:
        """Whether Proxmox checks for the mount before it writes: yes, or a path below / that covers the storage."""
        option = self.is_mountpoint
        if not option.startswith("/"):
            return option == "yes"
        return option.rstrip("/") != "" and PurePosixPath(self.path).is_relative_to(option)

    # --- on the node ------------------------------------------------------------------------------------------

    @property
    def is_available(self) -> bool:
        """Whether the definition makes it available on this node: not disabled, not restricted to other nodes."""
        return bool(self.definition and self.definition.on(self.node))

    @property
    def content(self) -> list[str]:
        """The content types that the definition allows."""
        return sorted(self.definition.content) if self.definition else []

    @property
    def status(self) -> StorageStatus:
        """What this node says of it. Unknown when the node was not asked, or when it may be hidden."""
        if self.key not in self.facts.statuses:
            known(self.facts.storages)
            need = f"Datastore.Audit on /storage/{self.storage}"
            raise Unknown(f"whether {self} is active", reason="the node does not list it", need=need)
        return known(self.facts.statuses[self.key])

    @property
    def now(self) -> int:
        """The node's clock (epoch seconds) when the facts were taken."""
        return clock_of(self.facts, self.node)

    @property
    def system(self) -> System:
        """What the node's own tools told. Unknown when it was not read."""
        if self.node not in self.facts.systems:
            need = f"SSH to node {self.node}"
            raise Unknown(f"the disks of node {self.node}", reason="they were not read", need=need)
        return known(self.facts.systems[self.node])

    @cached_property
    def resolver(self) -> Resolver:
        """Follows this node's devices down to whole disks."""
        return Resolver(self.node, known(self.system.devices))

    # --- dedicated, apart, healthy ----------------------------------------------------------------------------

    @cached_property
    def _guest_disks(self) -> GuestDisks:
        return GuestDisks(self.node, self.facts)

    @cached_property
    def guest_disks(self) -> tuple[str, ...]:
        """Guest disks that lie on it: through its own definition, through another one of the same folder, as files."""
        own = [name for name in self._guest_disks.by_storage if self._is_within(name)]
        used = [f"{disk} on storage {name}" for name in own for disk in self._guest_disks.by_storage[name]]
        files = self.facts.images.get(self.key, ())
        return (*used, *(() if isinstance(files, Gap) else files))

    def _is_within(self, name: str) -> bool:
        """Whether a storage is this one, a folder in it, or one on the same mounted file system."""
        if name == self.storage:
            return True
        other = self.facts.mounts.get(f"{self.node}/{name}")
        return isinstance(other, Mount) and self.is_mounted and other.target == self.expected_mount_point

    def prove_no_guest_disks(self) -> None:
        """Return when every guest's disks, and the files on the storage, were seen. Unknown when not."""
        unread = self._guest_disks.unread
        if unread:
            raise unread.as_error()
        if self.path and self.key not in self.facts.images:
            raise Unknown(f"the files on {self}", reason="they were not read", need=f"SSH to node {self.node}")
        known(self.facts.images.get(self.key, ()))

    @cached_property
    def separation(self) -> Separation:
        """Its disks against those of every storage of this node that holds guest disks."""
        if self.mount is None:
            raise Unknown(f"the disks under {self}", reason=self.missing)
        storages, holders = known(self.facts.storages), self._guest_disks
        found = {f"storage {name}": partial(self._under, storages, name) for name in holders.by_storage}
        found |= {disk: partial(self.resolver.device, path) for disk, path in holders.raw.items()}
        return compare(self.resolver.mount(self.mount), found, holders.unread)

    def _under(self, storages: Mapping[str, Storage], name: str) -> Resting:
        if name not in storages:
            raise Unknown(
                f"the disks under storage {name}", reason="its definition was not read", need="Datastore.Audit"
            )
        return self.resolver.storage(storages[name], self.facts.mounts.get(f"{self.node}/{name}"))

    @cached_property
    def health(self) -> Health:
        """The health of what holds its path. Unknown when that was not read."""
        if self.mount is None:
            raise Unknown(f"the health of {self}", reason=self.missing)
        return Health(self.node, self.mount, self.system, self._last_good)

    @cached_property
    def room(self) -> Room:
        """Its space against what the backups need. Unknown while it is not active, or where sizes do not show."""
        if not self.status.active:
            raise Unknown(f"the space on {self}", reason="Proxmox does not show it while the storage is not active")
        zone = node_zone(self.facts, self.node)
        return measure(self.facts, self.status, self.guests, self.now, zone)

    @property
    def _last_good(self) -> int:
        """Since when I/O errors count: the oldest of the newest archives of the guests that the site still has."""
        archives = self.facts.archives.get(self.key, ())
        newest: dict[int, int] = {}
        for archive in () if isinstance(archives, Gap) else archives:
            if archive.vmid in self.facts.guests:
                newest[archive.vmid] = max(newest.get(archive.vmid, 0), archive.ctime)
        return min(newest.values(), default=0)

    @cached_property
    def strays(self) -> tuple[strays.Stray, ...]:
        """Its archives that no retention ever removes."""
        return strays.find(self.facts, self.key)

    @property
    def first_stray(self) -> str:
        """The name of the first of them as Proxmox knows it."""
        return self.strays[0].archive.volid if self.strays else f"{self.storage}:backup/…"

    def __str__(self) -> str:
        return f"storage {self.storage} on node {self.node}"


def _device(source: str) -> str:
    """The device of a findmnt source, without the bind or subvolume part in brackets."""
    return source.split("[", 1)[0]
