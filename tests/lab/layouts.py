"""Ways in which a storage can lie on disks, each built for real on spare disks of the lab's node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backup_standard.model import Storage
from tests.lab.site import LabUnderTest

MOUNT = "/mnt/layout"
SPARES = ("PV13", "PV14", "PV15")
"""Serial numbers of disks of the node's volume group that no guest lies on; scripts know them as $A, $B and $C."""
EMPTY = (
    "umount -R /mnt/layout /mnt/below; losetup -D; vgremove -ff -y layout; cryptsetup close layout; "
    "mdadm --stop /dev/md9; rm -rf /mnt/layout /mnt/below; wipefs -a -f $A1 $A2; wipefs -a -f $A $B $C; "
    "partx -d $A; udevadm settle; true"
)
"""Takes whatever stands on the spare disks away again; what is not there is no matter."""


@dataclass(frozen=True)
class Layout:
    """A script that builds it, the serial numbers of the disks it lies on, and the storage to follow down to them.

    Without a storage it is the file system mounted at ``MOUNT``.
    """

    name: str
    script: str
    disks: frozenset[str]
    storage: Storage | None = None


def _on(*disks: int) -> frozenset[str]:
    return frozenset(SPARES[number] for number in disks)


def _mounted(device: str) -> str:
    return f"mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard {device}; mount {device} {MOUNT}"


TWO_PARTITIONS = "printf 'size=512M\\nsize=512M\\n' | sfdisk -q $A; udevadm settle"
GROUP = "pvcreate -q -ff -y {0}; vgcreate -q layout {0}"
CREATE = "lvcreate -q -y -Wn -Zn --config activation/monitoring=0"
CRYPT = (
    "printf secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {0} -;"
    " printf secret | cryptsetup open {0} layout --key-file -"
)
MIRROR = "mdadm --create /dev/md9 --run --quiet --level=1 --raid-devices=2 --assume-clean --metadata=1.2 $A $B"
VOLUMES = Storage("layout", "lvm", frozenset({"images"}), backing={"vgname": "layout"})
THIN = Storage("layout", "lvmthin", frozenset({"images"}), backing={"vgname": "layout", "thinpool": "data"})

THIN_POOL = (
    f"{GROUP.format('$A $B $C')}; {CREATE} -L 512m -n data layout $A; {CREATE} -L 8m -n meta layout $B;"
    " lvconvert -q -y -Zn --config activation/monitoring=0 --type thin-pool --poolmetadata layout/meta"
    " --poolmetadataspare n layout/data"
)
LAYOUTS = (
    Layout("whole-disk", _mounted("$A"), _on(0)),
    Layout("first-partition", f"{TWO_PARTITIONS}; {_mounted('$A1')}", _on(0)),
    Layout("group-on-second-partition", f"{TWO_PARTITIONS}; {GROUP.format('$A2')}", _on(0), VOLUMES),
    Layout(
        "volume-over-two-disks",
        f"{GROUP.format('$A $B $C')}; {CREATE} -L 3g -n backups layout $A $B; {_mounted('/dev/layout/backups')}",
        _on(0, 1),
    ),
    Layout("group-of-three-disks", GROUP.format("$A $B $C"), _on(0, 1, 2), VOLUMES),
    Layout("thin-pool-with-metadata-elsewhere", THIN_POOL, _on(0, 1), THIN),
    Layout(
        "thin-volume",
        f"{THIN_POOL}; lvcreate -q -y -Wn --config activation/monitoring=0 -V 256m --thinpool data -n disk layout;"
        f" {_mounted('/dev/layout/disk')}",
        _on(0, 1),
    ),
    Layout("encrypted-disk", f"{CRYPT.format('$B')}; {_mounted('/dev/mapper/layout')}", _on(1)),
    Layout("mirror", f"{MIRROR}; {_mounted('/dev/md9')}", _on(0, 1)),
    Layout(
        "encrypted-mirror",
        f"{MIRROR}; {CRYPT.format('/dev/md9')}; {_mounted('/dev/mapper/layout')}",
        _on(0, 1),
    ),
    Layout(
        "btrfs-over-two-disks",
        "modprobe btrfs; mkfs.btrfs -q -f -d single -m raid1 $A $C; btrfs device scan; mount $A /mnt/below;"
        f" btrfs subvolume create /mnt/below/backups; mount -o subvol=backups $A {MOUNT}",
        _on(0, 2),
    ),
    Layout(
        "loop-file",
        "mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard $C; mount $C /mnt/below; truncate -s 256M /mnt/below/file;"
        f" losetup /dev/loop7 /mnt/below/file; {_mounted('/dev/loop7')}",
        _on(2),
    ),
    Layout(
        "bind-mount",
        "mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard $B; mount $B /mnt/below; mkdir /mnt/below/backups;"
        f" mount --bind /mnt/below/backups {MOUNT}",
        _on(1),
    ),
)


@contextmanager
def spare_disks(lab: LabUnderTest) -> Iterator[str]:
    """Three empty disks of the node as the head of a script; afterwards they belong to its volume group again."""
    listed = lab.node("lsblk", "-dnpo", "NAME,SERIAL")
    paths = {serial: path for path, serial in (line.split() for line in listed.splitlines() if len(line.split()) == 2)}
    first, second, third = (paths[serial] for serial in SPARES)
    head = f"A={first} A1={first}1 A2={first}2 B={second} C={third}"
    disks = f"{first} {second} {third}"
    lab.node(f"vgreduce -q vmdata {disks} && pvremove -q {disks}")
    try:
        yield head
    finally:
        lab.node(f"{head}; ({EMPTY}) >/dev/null 2>&1; pvcreate -q -ff -y --dataalignment 1m {disks}")
        lab.node(f"vgextend -q vmdata {disks}")


@contextmanager
def built(lab: LabUnderTest, head: str, layout: Layout) -> Iterator[None]:
    """The layout on the spare disks, and nothing of it afterwards."""
    lab.node(f"{head}; ({EMPTY}) >/dev/null 2>&1; mkdir -p {MOUNT} /mnt/below; set -e; {layout.script}")
    try:
        yield
    finally:
        lab.node(f"{head}; ({EMPTY}) >/dev/null 2>&1")
