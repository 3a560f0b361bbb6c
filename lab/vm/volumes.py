"""Guests' disks: each is one linear logical volume on a physical volume of its own, whose file both sides open.

The node sees volume group ``vmdata``; outside, the same bytes lie in a sparse file behind the LVM header, where guests
boot from them and archives are read and written at native speed. All files are plugged in from the start.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.archive import RawDisk
from lab.hypervisor import HypervisorError
from lab.settings import MIB, VOLUME_GROUP
from lab.vm.courier import Courier
from lab.vm.hostpackages import program
from lab.vm.recipes import LEAD

EXTENT = 4 * MIB
FILE_MIB = 2048 + 8
"""Size of each physical volume's file: the largest guest disk is a little over 2 GiB."""
COUNT = 16
BY_ID = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_PV{number:02d}"


@dataclass(frozen=True)
class Volume:
    """A logical volume: the number of its physical volume and its size in bytes (whole extents)."""

    number: int
    size: int


def round_up(size: int) -> int:
    """Return a size as LVM allocates it: whole extents of 4 MiB."""
    return -(-size // EXTENT) * EXTENT


def split(volid: str) -> str:
    """Return the name of a volume in the volume group; HypervisorError for another storage's volume."""
    storage, _, name = volid.partition(":")
    if storage != VOLUME_GROUP or not name:
        raise HypervisorError(
            f"volume '{volid}' is not on storage '{VOLUME_GROUP}', the only one with guest disks here"
        )
    return name


def copy_disk(source: Path, target: Path, size: int) -> None:
    """Copy ``size`` bytes behind the header from one file to another, holes left as holes (the target is all hole)."""
    with RawDisk(source, size, offset=LEAD) as old, RawDisk(target, size, offset=LEAD, writable=True) as new:
        for start, end in old.ranges():
            for at in range(start, end, MIB):
                new.write_at(at, old.read_at(at, min(MIB, end - at)))


class Volumes:
    """All volumes of the node's volume group. Safe for several threads."""

    def __init__(self, courier: Courier, files: Sequence[Path]) -> None:
        self._courier, self._files = courier, files
        self._table: dict[str, Volume] = {}
        self._stuck: set[str] = set()
        self._lock = threading.RLock()

    def make_group(self) -> None:
        """Make every file a physical volume of the group (once, on a node that has just been built)."""
        devices = [BY_ID.format(number=number) for number in range(len(self._files))]
        self._node("udevadm", "settle", "--timeout=60")
        self._node("pvcreate", "-q", "-ff", "-y", "--dataalignment", "1m", *devices)
        self._node("vgcreate", "-q", "-y", "--vgmetadatacopies", "2", VOLUME_GROUP, *devices)
        starts = set(self._node("pvs", "--noheadings", "--nosuffix", "--units", "b", "-o", "pe_start").split())
        if starts != {str(LEAD)}:
            raise HypervisorError(f"LVM put the data of its physical volumes at {starts}; byte {LEAD} was expected")

    def allocate(self, volid: str, size: int, like: str | None = None) -> None:
        """Make a volume of zeros, or a copy of ``like``."""
        with self._lock:
            if volid in self._table:
                raise HypervisorError(f"lvcreate '{VOLUME_GROUP}/{split(volid)}' error: Logical Volume already exists")
            volume = self._place(volid, size)
            if like is not None:
                copy_disk(self.file(like), self._files[volume.number], min(volume.size, self._table[like].size))

    def adopt(self, volid: str, size: int, number: int) -> None:
        """Make a volume whose bytes are in file ``number`` already."""
        with self._lock:
            self._place(volid, size, number)

    def free(self, volid: str) -> None:
        """Remove a volume and give its bytes back."""
        with self._lock:
            if volid not in self._table:
                raise HypervisorError(f"lvremove '{VOLUME_GROUP}/{split(volid)}' error: Failed to find logical volume")
            self._stuck.add(volid)
            self._node("lvremove", "-q", "-f", "-y", f"{VOLUME_GROUP}/{split(volid)}")
            self._forget(volid)

    def _forget(self, volid: str) -> None:
        self._stuck.discard(volid)
        self._wipe(self._table.pop(volid).number)

    def sizes(self) -> Mapping[str, int]:
        """Return every volume with its size in bytes; one that would not go may have been removed on the node since."""
        with self._lock:
            for volid in sorted(self._stuck):
                if self._courier.run(["lvs", f"{VOLUME_GROUP}/{split(volid)}"]).rc:
                    self._forget(volid)
            return {volid: volume.size for volid, volume in self._table.items()}

    def rename(self, old: str, new: str) -> None:
        """Give a volume another name."""
        with self._lock:
            self._node("lvrename", "-q", VOLUME_GROUP, split(old), split(new))
            self._table[new] = self._table.pop(old)

    def file(self, volid: str) -> Path:
        """Return the file outside that holds a volume, behind ``LEAD`` bytes."""
        with self._lock:
            if volid not in self._table:
                raise HypervisorError(f"no such logical volume {VOLUME_GROUP}/{split(volid)}")
            return self._files[self._table[volid].number]

    def size(self, volid: str) -> int:
        """Return a volume's size in bytes."""
        self.file(volid)
        return self._table[volid].size

    def device(self, volid: str) -> str:
        """Return a volume's path on the node."""
        return f"/dev/{VOLUME_GROUP}/{split(volid)}"

    def disk(self, volid: str, *, writable: bool = False) -> RawDisk:
        """Open a volume's bytes."""
        return RawDisk(self.file(volid), self.size(volid), offset=LEAD, writable=writable)

    def dump(self) -> str:
        """Return the table as JSON, to be kept with a saved state."""
        return json.dumps({volid: asdict(volume) for volid, volume in self._table.items()})

    def load(self, text: str) -> None:
        """Take over the table of a saved state."""
        self._table = {volid: Volume(**facts) for volid, facts in json.loads(text).items()}

    def _place(self, volid: str, size: int, number: int | None = None) -> Volume:
        volume = Volume(self._free_number() if number is None else number, round_up(size))
        name, device = split(volid), BY_ID.format(number=volume.number)
        if volume.size > FILE_MIB * MIB - 2 * EXTENT:
            raise HypervisorError(
                f"lvcreate '{VOLUME_GROUP}/{name}' error: Volume group \"{VOLUME_GROUP}\" has insufficient free space: "
                f"a disk of the lab holds {(FILE_MIB * MIB - 2 * EXTENT) >> 20} MiB at most"
            )
        size_option = f"{volume.size}b"
        self._node("lvcreate", "-q", "-y", "-Wn", "-Zn", "-L", size_option, "-n", name, VOLUME_GROUP, device)
        self._table[volid] = volume
        return volume

    def _free_number(self) -> int:
        used = {volume.number for volume in self._table.values()}
        free = next((number for number in range(len(self._files)) if number not in used), None)
        if free is None:
            raise HypervisorError(f'Volume group "{VOLUME_GROUP}" has insufficient free space (0 extents)')
        return free

    def _wipe(self, number: int) -> None:
        size = self._files[number].stat().st_size - LEAD
        line = [program("fallocate"), "--punch-hole", "-o", str(LEAD), "-l", str(size), str(self._files[number])]
        subprocess.run(line, check=True, capture_output=True)

    def _node(self, *argv: str) -> str:
        done = self._courier.run(argv)
        if done.rc:
            raise HypervisorError(f"{argv[0]} error: {done.stderr.strip() or done.stdout.strip() or f'exit {done.rc}'}")
        return done.stdout
