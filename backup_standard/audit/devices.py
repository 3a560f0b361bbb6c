"""From a storage to the whole disks that its bytes lie on: through partitions, LVM, md, dm-crypt, ZFS, Btrfs, loops.

Pure: it walks what the node's own tools listed. What cannot be followed raises Unknown and says where the trail ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from backup_standard.errors import Unknown
from backup_standard.model import Gap, Mount, Storage
from backup_standard.model.devices import Block, Devices, LogicalVolume
from backup_standard.model.facts import known

REMOTE_TYPES = frozenset({"nfs", "cifs", "glusterfs", "cephfs", "iscsi", "iscsidirect", "pbs", "esxi", "zfs"})
"""Storage types whose bytes lie on another machine (``zfs`` is ZFS over iSCSI)."""
REMOTE_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs", "fuse.glusterfs", "9p", "virtiofs"}
)
REMOTE_DISKS = ("nbd", "rbd", "drbd")
_DEEPEST = 8
"""Loop files on mounts on loop files: nobody nests deeper on purpose."""


@dataclass(frozen=True)
class Resting:
    """Where bytes lie: on ``disks`` of the node, or on ``server`` (empty when it is not remote)."""

    disks: tuple[Block, ...] = ()
    server: str = ""

    def __str__(self) -> str:
        return ", ".join(str(disk) for disk in self.disks) or f"server {self.server}"


def merged(parts: Iterable[Resting]) -> Resting:
    """All of them together."""
    parts = list(parts)
    disks = {disk.path: disk for part in parts for disk in part.disks}
    return Resting(
        tuple(disks[path] for path in sorted(disks)), next((part.server for part in parts if part.server), "")
    )


@dataclass(frozen=True)
class Resolver:
    """Follows devices of one node down to whole disks."""

    node: str
    devices: Devices

    @cached_property
    def _by_name(self) -> dict[str, Block]:
        named: dict[str, Block] = {}
        for block in self.devices.blocks:
            named |= {f"/dev/{block.kernel}": block, block.path: block}
        return named

    # --- storages and mounts ----------------------------------------------------------------------------------

    def storage(self, storage: Storage, mount: Mount | Gap | None) -> Resting:
        """Where a storage lies; ``mount`` is the one that holds its path, where it has one."""
        if storage.type in REMOTE_TYPES:
            return Resting(server=storage.backing.get("server") or storage.backing.get("portal") or storage.type)
        if storage.type in {"lvm", "lvmthin"}:
            return self._group(storage.backing.get("vgname", ""), storage.backing.get("thinpool", ""))
        if storage.type == "zfspool":
            return self._pool(storage.backing.get("pool", "").partition("/")[0])
        if storage.type == "rbd":
            return self._ceph()
        found = known(mount) if mount is not None else None
        if found is None:
            raise self._unknown(f"{storage}", f"{storage.path or 'its path'} is not there or was not read")
        return self.mount(found)

    def mount(self, mount: Mount, depth: int = 0) -> Resting:
        """Where a mounted file system lies."""
        if mount.fstype in REMOTE_FILE_SYSTEMS:
            return Resting(server=_server(mount.source))
        if mount.fstype == "zfs":
            return self._pool(mount.device.partition("/")[0])
        if mount.fstype == "btrfs":
            return merged(self.device(member, depth) for member in self._members(mount.device))
        return self.device(mount.device, depth)

    # --- devices ----------------------------------------------------------------------------------------------

    def device(self, path: str, depth: int = 0) -> Resting:
        """The whole disks under a block device, the device itself when it is one."""
        block = self.block(path)
        if block is None:
            raise self._unknown(path, "lsblk does not list it as a block device")
        found: dict[str, Resting] = {}
        waiting = [block]
        while waiting:
            one = waiting.pop()
            if one.path not in found:
                found[one.path] = Resting() if one.parents else self._root(one, depth)
                waiting += [self._by_name[parent] for parent in one.parents]
        return merged(found.values())

    def block(self, path: str) -> Block | None:
        """The block device of a path; one below /dev/disk/by-id is told by the serial number or WWN in its name."""
        if path in self._by_name:
            return self._by_name[path]
        group, _, name = path.removeprefix("/dev/").partition("/")
        mapped = f"/dev/mapper/{group.replace('-', '--')}-{name.replace('-', '--')}"
        if mapped in self._by_name:
            return self._by_name[mapped]
        link = path.removeprefix("/dev/disk/by-id/").partition("-part")[0]
        if link == path:
            return None
        disks = [block for block in self.devices.blocks if block.kind == "disk"]
        return next(
            (disk for disk in disks if any(sign and link.endswith(sign) for sign in (disk.serial, disk.wwn))), None
        )

    def _root(self, block: Block, depth: int) -> Resting:
        """Where a device without a device under it lies."""
        if block.kind == "loop":
            return self._loop(block, depth)
        if block.kernel.startswith(REMOTE_DISKS):
            return Resting(server=f"behind {block.path}")
        if block.kernel.startswith("zd"):
            raise self._unknown(block.path, "it is a volume of a ZFS pool, and lsblk does not say of which")
        if block.kind != "disk":
            raise self._unknown(block.path, f"lsblk does not say what this {block.kind} stands on")
        return Resting((block,))

    def _loop(self, block: Block, depth: int) -> Resting:
        mount = known(self.devices.loops).get(block.path)
        if mount is None or depth >= _DEEPEST:
            raise self._unknown(block.path, "the file behind this loop device was not found")
        return self.mount(known(mount), depth + 1)

    def _members(self, device: str) -> Sequence[str]:
        """Every device of the Btrfs file system that one of its devices belongs to."""
        block = self.block(device)
        names = {device, *((block.path, f"/dev/{block.kernel}") if block else ())}
        for members in known(self.devices.btrfs):
            if not names.isdisjoint(members):
                return members
        raise self._unknown(device, "no Btrfs file system has it as a member")

    # --- pools and groups -------------------------------------------------------------------------------------

    def _group(self, group: str, pool: str) -> Resting:
        """The physical volumes of a group, or those that hold data and metadata of a thin pool."""
        if pool:
            return self._volume(group, pool)
        members = [path for path, name in known(self.devices.groups).items() if name == group]
        if not members:
            raise self._unknown(f"LVM group {group}", "pvs lists no physical volume of it")
        return merged(self.device(path) for path in members)

    def _volume(self, group: str, name: str) -> Resting:
        """The physical volumes under a logical volume, through its hidden parts (_tdata, _tmeta, _rimage …)."""
        volumes = [one for one in known(self.devices.volumes) if one.group == group]
        waiting, paths, seen = [name], set(), set()
        while waiting:
            for volume in _named(volumes, waiting.pop()):
                seen.add(volume.name)
                parts = {*volume.devices, *_hidden_parts(volumes, volume.name)}
                paths |= {part for part in parts if part.startswith("/")}
                waiting += [part for part in parts if not part.startswith("/") and part not in seen]
        if not paths:
            raise self._unknown(f"LVM volume {group}/{name}", "lvs does not say which physical volumes it lies on")
        return merged(self.device(path) for path in paths)

    def _pool(self, name: str) -> Resting:
        for pool in known(self.devices.pools):
            if pool.name == name and pool.devices:
                return merged(self.device(path) for path in pool.devices)
        raise self._unknown(f"ZFS pool {name}", "zpool does not list its members")

    def _ceph(self) -> Resting:
        """The disks of this node that Ceph stores on; those of other nodes are no part of the question."""
        stores = [block for block in self.devices.blocks if block.fstype == "ceph_bluestore"]
        found = merged(self.device(block.path) for block in stores)
        return Resting(found.disks, "the Ceph cluster")

    def _unknown(self, what: str, reason: str) -> Unknown:
        return Unknown(f"the disks under {what} on node {self.node}", reason=reason)


def _named(volumes: Iterable[LogicalVolume], name: str) -> list[LogicalVolume]:
    return [volume for volume in volumes if volume.name == name]


def _hidden_parts(volumes: Iterable[LogicalVolume], name: str) -> set[str]:
    """The metadata volume of a thin pool: lvs names only the data volume among its devices."""
    return {volume.name for volume in volumes if volume.name in {f"{name}_tmeta", f"{name}_tdata"}}


def _server(source: str) -> str:
    """The server of a network mount: ``nas:/export``, ``//nas/share``."""
    if source.startswith("//"):
        return source[2:].partition("/")[0]
    return source.partition(":/")[0]
