"""The backup storage of a node, as the rules see it. What was not read raises Unknown when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from backup_standard.audit.coverage import raise_if_hidden
from backup_standard.errors import Unknown
from backup_standard.model import Facts, Gap, Mount, Storage
from backup_standard.model.facts import known

LOCAL_FILE_SYSTEMS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs"})
"""File systems that live on block devices of the node itself; anything else is remote, memory or an overlay."""

REMOTE_DEVICES = ("/dev/nbd", "/dev/rbd", "/dev/drbd")
"""Block devices whose data is elsewhere."""


@dataclass(frozen=True)
class BackupStorage:
    """A pair of node and policy storage."""

    node: str
    storage: str
    facts: Facts

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

    def __str__(self) -> str:
        return f"storage {self.storage} on node {self.node}"


def _device(source: str) -> str:
    """The device of a findmnt source, without the bind or subvolume part in brackets."""
    return source.split("[", 1)[0]
