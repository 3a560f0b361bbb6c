"""Block devices of a node and what is built on them, as its own tools list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backup_standard.model.gaps import Gap
from backup_standard.model.nodes import Mount


@dataclass(frozen=True)
class Block:
    """One block device: ``kind`` as lsblk's TYPE (disk, part, lvm, crypt, raid1, mpath, loop), ``size`` in bytes.

    ``path`` is its name below /dev, ``kernel`` the kernel's own; ``parents`` are the paths of what it stands on.
    """

    path: str
    kernel: str
    kind: str
    size: int = 0
    parents: tuple[str, ...] = ()
    fstype: str = ""
    uuid: str = ""
    serial: str = ""
    wwn: str = ""
    model: str = ""
    vendor: str = ""
    transport: str = ""

    def __str__(self) -> str:
        names = " ".join(word for word in (self.vendor, self.model) if word)
        serial = f"serial {self.serial}" if self.serial else f"WWN {self.wwn}" if self.wwn else "no serial number"
        return f"{self.path} ({names + ', ' if names else ''}{serial})"


@dataclass(frozen=True)
class LogicalVolume:
    """One line of lvs: ``devices`` are paths of physical volumes or names of volumes of the same group."""

    group: str
    name: str
    pool: str = ""
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ZfsPool:
    """A pool: ``health`` as its STATE, ``devices`` the paths of all its members (logs and spares too)."""

    name: str
    health: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Devices:
    """The block devices of a node.

    ``groups`` maps each LVM physical volume to its group, ``loops`` each loop device to the mount that holds its file;
    ``btrfs`` lists the members of each Btrfs file system.
    """

    blocks: tuple[Block, ...]
    groups: Mapping[str, str] | Gap = field(default_factory=dict)
    volumes: tuple[LogicalVolume, ...] | Gap = ()
    pools: tuple[ZfsPool, ...] | Gap = ()
    btrfs: tuple[tuple[str, ...], ...] | Gap = ()
    loops: Mapping[str, Mount | Gap | None] | Gap = field(default_factory=dict)
