"""Checks a VMA archive: every header, and that every cluster of every disk is there exactly once.

Numbers are big endian, but for the lengths in the blob buffer, which are little endian (upstream: the VMA reader of the
patched QEMU; its own description says otherwise).
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from backup_standard.onnode.stream import Damaged, Stream, shown

BLOCK, CLUSTER = 4096, 65536
HEADER, LARGEST_HEADER = 12288, 4 << 20
NAMES_AT, DATA_AT, POINTERS = 2044, 3068, 256
DEVICES_AT, DEVICE, DEVICES = 4096, struct.Struct(">IIQ16x"), 256
PREFIX = struct.Struct(">4sI16sQ16sIII")
PREFIX_MD5 = 32
EXTENT, EXTENT_HEADER, EXTENT_MD5 = struct.Struct(">4sHH16s16s59Q"), 512, 24
LARGEST_DISK = 64 << 40
"""Bytes. The count of what was seen takes a bit for each cluster: 128 MiB for this."""
CONFIG = "qemu-server.conf"
MAP = "#qmdump#map:"
ONES = bytes(bin(mask).count("1") for mask in range(1 << 16))


class Disk:
    """One disk of the archive and which of its clusters were seen."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size
        self.clusters = -(-size // CLUSTER)
        self.count, self._seen = 0, bytearray(-(-self.clusters // 8))

    def take(self, cluster: int) -> str:
        """Note a cluster; what is wrong with it, or ""."""
        if cluster >= self.clusters:
            return f"cluster {cluster} lies outside of {self.name}, which has {self.clusters}"
        place, bit = divmod(cluster, 8)
        if self._seen[place] >> bit & 1:
            return f"cluster {cluster} of {self.name} comes a second time"
        self._seen[place] |= 1 << bit
        self.count += 1
        return ""

    def first_missing(self) -> int:
        """The first cluster that was not seen."""
        place = next(place for place, bits in enumerate(self._seen) if bits != 0xFF)  # noqa: PLR2004 - all eight
        return place * 8 + next(bit for bit in range(8) if not self._seen[place] >> bit & 1)


def check(stream: Stream) -> dict[str, Any]:
    """Read all of it. Raises Damaged with the place; else tells the disks (bytes by name)."""
    block = _header(stream)
    uuid = block[8:24]
    disks = _disks(block)
    _same_as_configured(_blobs(block), disks)
    while True:
        start = stream.position
        head = stream.read(EXTENT_HEADER)
        if not head:
            break
        _extent(stream, head, start, uuid, disks)
    for disk in disks.values():
        if disk.count < disk.clusters:
            first, lacking = disk.first_missing(), disk.clusters - disk.count
            raise Damaged(
                f"the archive ends at {stream.at(stream.position)}, and {lacking} of {disk.clusters} clusters of"
                f" {disk.name} are missing, the first at byte {first * CLUSTER} of the disk"
            )
    return {"disks": {disk.name: disk.size for disk in disks.values()}}


def _header(stream: Stream) -> bytes:
    block = stream.read(HEADER)
    if block[:4] != b"VMA\0":
        raise Damaged(f"{stream.at(0)}: this is no VMA archive")
    if len(block) < HEADER:
        raise Damaged(f"the archive ends at {stream.at(stream.position)}, in the middle of its header")
    _magic, version, _uuid, _ctime, _md5, blobs_at, blobs_size, size = PREFIX.unpack_from(block)
    if not HEADER <= size <= LARGEST_HEADER or size % 512:
        raise Damaged(f"{stream.at(56)}: the header claims a size of {size} bytes")
    block += stream.read(size - HEADER)
    if len(block) < size:
        raise Damaged(f"the archive ends at {stream.at(stream.position)}, in the middle of its header")
    if _md5_of(block, PREFIX_MD5) != block[PREFIX_MD5 : PREFIX_MD5 + 16]:
        raise Damaged(f"{stream.at(0)}: the header of {size} bytes does not match its checksum")
    if version != 1:
        raise Damaged(f"{stream.at(4)}: version {version} of VMA is not known")
    if blobs_at < HEADER or blobs_at + blobs_size > size:
        raise Damaged(f"{stream.at(48)}: the blobs lie outside of the header")
    return block


def _md5_of(block: bytes, at: int) -> bytes:
    """The MD5 of a header with its own field counted as zeros."""
    return hashlib.md5(block[:at] + bytes(16) + block[at + 16 :]).digest()  # noqa: S324 - the format's checksum


def _blob(block: bytes, pointer: int) -> bytes:
    start, size = struct.unpack_from(">II", block, 48)
    if not 0 < pointer <= size - 2:
        raise Damaged(f"the header points to a blob at {pointer}, outside of the {size} bytes of blobs")
    (length,) = struct.unpack_from("<H", block, start + pointer)
    if pointer + 2 + length > size:
        raise Damaged(f"the blob at {pointer} is longer than the {size} bytes of blobs")
    return block[start + pointer + 2 : start + pointer + 2 + length]


def _name(block: bytes, pointer: int) -> str:
    return shown(_blob(block, pointer).rstrip(b"\0").decode("utf-8", "replace"))


def _blobs(block: bytes) -> dict[str, bytes]:
    names = struct.unpack_from(f">{POINTERS}I", block, NAMES_AT)
    data = struct.unpack_from(f">{POINTERS}I", block, DATA_AT)
    used = [place for place in range(POINTERS) if names[place] and data[place]]
    return {_name(block, names[place]): _blob(block, data[place]) for place in used}


def _disks(block: bytes) -> dict[int, Disk]:
    found: dict[int, Disk] = {}
    for number in range(1, DEVICES):
        pointer, _reserved, size = DEVICE.unpack_from(block, DEVICES_AT + DEVICE.size * number)
        if not pointer:
            continue
        name = _name(block, pointer)
        if size > LARGEST_DISK or sum(disk.size for disk in found.values()) + size > LARGEST_DISK:
            raise Damaged(f"the header claims {size} bytes for {name}: that is not believed")
        found[number] = Disk(name, size)
    return found


def _same_as_configured(blobs: dict[str, bytes], disks: dict[int, Disk]) -> None:
    """The disks are those that the guest's configuration, which vzdump puts into the archive, maps to them."""
    if CONFIG not in blobs:
        raise Damaged(f"the archive holds no configuration of its guest ({CONFIG})")
    lines = blobs[CONFIG].decode("utf-8", "replace").splitlines()
    mapped = {shown(line[len(MAP) :].split(":")[1]) for line in lines if line.startswith(MAP) and line.count(":") > 2}  # noqa: PLR2004
    held = {disk.name for disk in disks.values()}
    lacking, strange = ", ".join(sorted(mapped - held)), ", ".join(sorted(held - mapped))
    if lacking:
        raise Damaged(f"its configuration names disks that the archive does not hold: {lacking}")
    if strange:
        raise Damaged(f"the archive holds disks that its configuration does not name: {strange}")


def _extent(stream: Stream, head: bytes, start: int, uuid: bytes, disks: dict[int, Disk]) -> None:
    where = stream.at(start)
    if head[:4] != b"VMAE":
        complete = all(disk.count == disk.clusters for disk in disks.values())
        kind = "trailing garbage: every disk is complete before it" if complete else "this is no header of an extent"
        raise Damaged(f"{where}: {kind}")
    if len(head) < EXTENT_HEADER:
        raise Damaged(f"the archive ends at {stream.at(stream.position)}, in the header of the extent at {where}")
    _magic, reserved, blocks, owner, md5, *slots = EXTENT.unpack(head)
    if _md5_of(head, EXTENT_MD5) != md5:
        raise Damaged(f"{where}: the header of an extent does not match its checksum")
    if owner != uuid or reserved:
        raise Damaged(f"{where}: the extent belongs to another archive")
    stored = _clusters(slots, where, disks)
    if stored != blocks:
        raise Damaged(f"{where}: the extent counts {blocks} blocks and describes {stored}")
    lacking = stored * BLOCK - sum(len(piece) for piece in stream.pieces(stored * BLOCK))
    if lacking:
        end = stream.at(stream.position)
        raise Damaged(f"the archive ends at {end}, {lacking} bytes before the end of the extent at {where}")


def _clusters(slots: list[int], where: str, disks: dict[int, Disk]) -> int:
    """Note the clusters of an extent; how many blocks are stored of them."""
    stored = 0
    for slot in slots:
        number = slot >> 32 & 0xFF
        if not number:
            continue
        disk = disks.get(number)
        wrong = disk.take(slot & 0xFFFFFFFF) if disk else f"the extent speaks of a disk {number} that is not there"
        if wrong:
            raise Damaged(f"{where}: {wrong}")
        stored += ONES[slot >> 48]
    return stored
