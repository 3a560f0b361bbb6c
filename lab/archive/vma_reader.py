"""Reads a VMA archive from a stream and trusts nothing in it."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Mapping
from typing import Protocol

from lab.archive import layout
from lab.archive.disks import Disk
from lab.archive.layout import BLOCK, CLUSTER, FULL_MASK, ArchiveDamaged, Device, Totals
from lab.hypervisor import ArchiveDisk, ArchiveHeader, Progress


class Input(Protocol):
    """Where an archive comes from."""

    def read(self, size: int, /) -> bytes:
        """Give ``size`` bytes, fewer only at the end."""
        ...


class VmaReader:
    """Reads one archive. Made with the header read and checked; :meth:`extract` or :meth:`verify` then reads the data.

    ``header`` is what the archive tells about its guest, ``blobs`` every named blob it carries (bytes by name).
    """

    def __init__(self, stream: Input) -> None:
        self._stream = stream
        try:
            block = self._read_header()
            self.blobs = _blobs(block)
            self.devices = _devices(block)
        except ArchiveDamaged as damage:
            damage.in_header = True
            raise
        prefix = layout.PREFIX.unpack_from(block)
        self._uuid: bytes = prefix[2]
        firewall = self.blobs.get("qemu-server.fw")
        self.header = ArchiveHeader(
            uuid=str(uuid.UUID(bytes=self._uuid)),
            ctime=prefix[3],
            config=self.blobs.get("qemu-server.conf", b"").decode("utf-8", "replace"),
            firewall=None if firewall is None else firewall.decode("utf-8", "replace"),
            disks=[ArchiveDisk(device.name, device.size) for device in self.devices.values()],
        )
        self.totals = Totals()
        self._broken: ArchiveDamaged | None = None

    def extract(self, disks: Mapping[str, Disk], progress: Progress = lambda _done, _all: None) -> Totals:
        """Write the archive's disks (``drive-scsi0`` → disk) and check that each is complete.

        Zeros are not written: a target holds zeros beforehand. A disk that the archive does not have raises
        ValueError. A disk of the archive without a target is read past. ``progress`` is told bytes of disk.
        """
        unknown = set(disks) - {device.name for device in self.devices.values()}
        if unknown:
            raise ValueError(f"the archive has no {', '.join(sorted(unknown))}")
        try:
            self._extents(disks, progress)
        except ArchiveDamaged as damage:
            if self._broken and not damage.decoder:
                damage.decoder = self._broken.decoder
            raise
        if self._broken:
            raise self._broken
        return self.totals

    def _extents(self, disks: Mapping[str, Disk], progress: Progress) -> None:
        seen = {number: bytearray(device.clusters) for number, device in self.devices.items()}
        whole = sum(device.size for device in self.devices.values())
        while head := self._read_on(layout.EXTENT_HEADER):
            self._extent(head, seen, disks)
            progress(min(self.totals.bytes, whole), whole)
        for number, clusters in seen.items():
            missing = clusters.find(0)
            if missing >= 0:
                raise ArchiveDamaged(f"detected missing cluster {missing} for stream {self.devices[number].name}")

    def _read_on(self, size: int) -> bytes:
        """Read data; when the decompressor fails, what it gave is the end, as for the reader at the end of a pipe."""
        if self._broken:
            return b""
        try:
            return self._read_up_to(size)
        except ArchiveDamaged as damage:
            self._broken = damage
            return damage.rest

    def verify(self, progress: Progress = lambda _done, _all: None) -> Totals:
        """Read everything and check it, completeness included, without writing anything."""
        return self.extract({}, progress)

    def _read_header(self) -> bytes:
        block = self._read_up_to(layout.HEADER_STRUCT)
        if len(block) < layout.HEADER_STRUCT:
            raise ArchiveDamaged("can't read vma header - got EOF")
        magic, version, _uuid, _ctime, _md5, blobs_at, blobs_size, size = layout.PREFIX.unpack_from(block)
        if magic != layout.FILE_MAGIC:
            raise ArchiveDamaged("not a vma file - wrong magic number")
        if not layout.HEADER_STRUCT <= size <= layout.MAX_HEADER or size % 512:
            raise ArchiveDamaged(f"wrong vma header size {size}")
        block += self._read_up_to(size - layout.HEADER_STRUCT)
        if len(block) < size:
            raise ArchiveDamaged("can't read vma header - got EOF")
        if not layout.is_sealed(block, layout.HEADER_MD5):
            raise ArchiveDamaged("wrong vma header chechsum")
        if version != layout.VERSION:
            raise ArchiveDamaged(f"wrong vma version {version}")
        if blobs_at != layout.HEADER_STRUCT or blobs_at + blobs_size > size:
            raise ArchiveDamaged("wrong vma blob buffer bounds")
        return block

    def _read_up_to(self, size: int) -> bytes:
        return self._stream.read(size) if size else b""

    def _extent(self, head: bytes, seen: Mapping[int, bytearray], disks: Mapping[str, Disk]) -> None:
        slots = self._check_extent(head)
        blocks = sum((slot >> 48).bit_count() for slot in slots)
        expected = layout.EXTENT.unpack_from(head)[2]
        if blocks != expected:
            raise ArchiveDamaged(f"wrong vma extent block count ({blocks} != {expected})")
        if not blocks and self._zeros(slots, seen):
            return
        data = self._read_on(blocks * BLOCK)
        if len(data) < blocks * BLOCK:
            raise ArchiveDamaged(f"short vma extent ({len(data) + len(head)} < {blocks * BLOCK + len(head)})")
        view, at = memoryview(data), 0
        for slot in slots:
            number, cluster, mask = slot >> 32 & 0xFF, slot & 0xFFFFFFFF, slot >> 48
            if not number:
                continue
            device = self._check_slot(number, cluster, seen)
            stored = mask.bit_count()
            if mask and device.name in disks:
                _store(disks[device.name], cluster * CLUSTER, mask, view[at : at + stored * BLOCK])
            at += stored * BLOCK
            self.totals.count(device, cluster, mask)

    def _zeros(self, slots: tuple[int, ...], seen: Mapping[int, bytearray]) -> bool:
        """Take an extent of neighbouring clusters of zeros at once; False when it is not of that simple kind."""
        number, first, stop = slots[0] >> 32, slots[0] & 0xFFFFFFFF, (slots[0] & 0xFFFFFFFF) + len(slots)
        simple = number in seen and stop < len(seen[number]) and slots == tuple(range(slots[0], slots[0] + len(slots)))
        if not simple or seen[number].find(1, first, stop) >= 0:
            return False
        seen[number][first:stop] = b"\1" * len(slots)
        self.totals.count_zeros(len(slots))
        return True

    def _check_extent(self, head: bytes) -> tuple[int, ...]:
        """Check an extent's header and return its slots."""
        if len(head) < layout.EXTENT_HEADER:
            raise ArchiveDamaged(f"short vma extent header ({len(head)} < {layout.EXTENT_HEADER})")
        magic, reserved, _blocks, owner, _md5 = layout.EXTENT.unpack_from(head)
        if magic != layout.EXTENT_MAGIC:
            raise ArchiveDamaged("wrong vma extent header magic number")
        if not layout.is_sealed(head, layout.EXTENT_MD5):
            raise ArchiveDamaged("wrong vma extent header chechsum")
        if owner != self._uuid:
            raise ArchiveDamaged("wrong vma extent uuid")
        if reserved:
            raise ArchiveDamaged("wrong vma extent header - reserved field is not zero")
        slots: tuple[int, ...] = layout.SLOTS.unpack_from(head, layout.EXTENT.size)
        return slots

    def _check_slot(self, number: int, cluster: int, seen: Mapping[int, bytearray]) -> Device:
        """Check that a slot names a cluster that exists and was not seen before."""
        if number not in self.devices:
            raise ArchiveDamaged(f"got wrong dev id {number}")
        device = self.devices[number]
        if cluster >= device.clusters:
            raise ArchiveDamaged(f"found cluster {cluster} outside of stream {device.name}")
        if seen[number][cluster]:
            raise ArchiveDamaged(f"found duplicated cluster {cluster} for stream {device.name}")
        seen[number][cluster] = 1
        return device


def _store(disk: Disk, offset: int, mask: int, data: memoryview) -> None:
    """Write the stored blocks of a cluster, neighbouring blocks together; what lies past the disk's end is dropped."""
    if mask == FULL_MASK:
        disk.write_at(offset, data[: max(0, disk.size - offset)])
        return
    at = 0
    while mask:
        skip = (mask & -mask).bit_length() - 1
        mask >>= skip
        run = (~mask & mask + 1).bit_length() - 1
        offset += skip * BLOCK
        if offset < disk.size:
            disk.write_at(offset, data[at : at + min(run * BLOCK, disk.size - offset)])
        mask >>= run
        offset, at = offset + run * BLOCK, at + run * BLOCK


def _blob(block: bytes, pointer: int) -> bytes:
    _magic, _version, _uuid, _ctime, _md5, start, size, _all = layout.PREFIX.unpack_from(block)
    if not 0 < pointer <= size - 2:
        raise ArchiveDamaged("wrong vma blob pointer")
    length: int = struct.unpack_from("<H", block, start + pointer)[0]
    if pointer + 2 + length > size:
        raise ArchiveDamaged("wrong vma blob pointer")
    return block[start + pointer + 2 : start + pointer + 2 + length]


def _name(block: bytes, pointer: int) -> str:
    raw = _blob(block, pointer)
    if not raw.endswith(b"\0"):
        raise ArchiveDamaged("wrong vma name - not terminated")
    return raw[:-1].decode("utf-8", "replace")


def _blobs(block: bytes) -> dict[str, bytes]:
    names = struct.unpack_from(f">{layout.CONFIGS}I", block, layout.NAMES_AT)
    data = struct.unpack_from(f">{layout.CONFIGS}I", block, layout.DATA_AT)
    return {_name(block, name): _blob(block, blob) for name, blob in zip(names, data, strict=True) if name and blob}


def _devices(block: bytes) -> dict[int, Device]:
    found = {}
    for number in range(1, layout.DEVICES):
        pointer, _reserved, size = layout.DEVICE.unpack_from(block, layout.DEVICES_AT + layout.DEVICE_INFO * number)
        if pointer and size > layout.MAX_DEVICE:
            raise ArchiveDamaged(f"wrong vma device size {size}")
        if pointer:
            found[number] = Device(number, _name(block, pointer), size)
    return found
