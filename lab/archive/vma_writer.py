"""Writes a VMA archive to a stream."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from lab.archive import layout
from lab.archive.disks import Disk
from lab.archive.layout import BLOCK, CLUSTER, FULL_MASK, ZERO_BLOCK, ZERO_CLUSTER, Device, Totals
from lab.hypervisor import ArchiveHeader, Progress

READ = 16 * CLUSTER
"""Bytes read from a disk at a time."""


class Output(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""
        ...


class Blobs:
    """The blob buffer of the header: byte 0 is unused, each blob is a length and its bytes."""

    def __init__(self) -> None:
        self.content = bytearray(1)

    def add(self, data: bytes) -> int:
        """Add a blob and return its pointer."""
        at = len(self.content)
        self.content += struct.pack("<H", len(data)) + data
        return at

    def add_name(self, name: str) -> int:
        """Add a string that ends in NUL and return its pointer."""
        return self.add(name.encode() + b"\0")


def pack_header(header: ArchiveHeader) -> bytes:
    """Render the whole header: ``config`` goes in as ``qemu-server.conf``, ``firewall`` as ``qemu-server.fw``."""
    blobs = Blobs()
    block = bytearray(layout.HEADER_STRUCT)
    configs = {"qemu-server.conf": header.config, "qemu-server.fw": header.firewall}
    present = [(name, text) for name, text in configs.items() if text is not None]
    for index, (name, text) in enumerate(present):
        struct.pack_into(">I", block, layout.NAMES_AT + 4 * index, blobs.add_name(name))
        struct.pack_into(">I", block, layout.DATA_AT + 4 * index, blobs.add(text.encode()))
    for number, disk in enumerate(header.disks, 1):
        at = layout.DEVICES_AT + layout.DEVICE_INFO * number
        layout.DEVICE.pack_into(block, at, blobs.add_name(disk.device), 0, disk.size)
    size = -(-(layout.HEADER_STRUCT + len(blobs.content)) // 512) * 512
    layout.PREFIX.pack_into(
        block,
        0,
        layout.FILE_MAGIC,
        layout.VERSION,
        uuid.UUID(header.uuid).bytes,
        header.ctime,
        bytes(16),
        layout.HEADER_STRUCT,
        len(blobs.content),
        size,
    )
    block += blobs.content
    block += bytes(size - len(block))
    return layout.seal(block, layout.HEADER_MD5)


class VmaWriter:
    """Writes one archive to ``out``: the header first, then with :meth:`write` the data of its disks."""

    def __init__(self, out: Output, header: ArchiveHeader) -> None:
        self._out, self._header = out, header
        self._uuid = uuid.UUID(header.uuid).bytes
        self._slots: list[int] = []
        self._pieces: list[bytes] = []
        self._blocks = 0
        self._report: Callable[[], None] = lambda: None
        self.totals = Totals()
        out.write(pack_header(header))

    def write(self, disks: Mapping[str, Disk], progress: Progress = lambda _done, _all: None) -> Totals:
        """Write every disk that the header names (``drive-scsi0`` → disk), whole, in the header's order.

        ``progress`` is told bytes of disk, zeros included. ValueError when a disk is missing or has another size.
        """
        whole = sum(disk.size for disk in self._header.disks)
        self._report = lambda: progress(min(self.totals.bytes, whole), whole)
        for entry in self._header.disks:
            if entry.device not in disks or disks[entry.device].size != entry.size:
                raise ValueError(f"the header names {entry.device} with {entry.size} bytes; no such disk was given")
        for number, entry in enumerate(self._header.disks, 1):
            device = Device(number, entry.device, entry.size)
            for cluster, stop, data in _pieces(disks[entry.device]):
                if data is None:
                    self._add_zeros(device, cluster, stop)
                else:
                    self._add(device, cluster, data)
        self._flush()
        progress(whole, whole)
        return self.totals

    def _add_zeros(self, device: Device, first: int, stop: int) -> None:
        """Add clusters of zeros; the last one of a disk that ends within a block goes the longer way."""
        end = device.clusters - 1 if stop == device.clusters else stop
        while first < end:
            following = min(end, first + layout.EXTENT_SLOTS - len(self._slots))
            self._slots += range(device.number << 32 | first, device.number << 32 | following)
            self.totals.count_zeros(following - first)
            self._flush_full()
            first = following
        if end < stop:
            self._add(device, end, ZERO_CLUSTER)

    def _add(self, device: Device, cluster: int, data: bytes) -> None:
        cut = device.cut_block if cluster == device.clusters - 1 else 0
        mask = self._store(data, cut)
        self._slots.append(mask << 48 | device.number << 32 | cluster)
        self._blocks += mask.bit_count()
        self.totals.count(device, cluster, mask)
        self._flush_full()

    def _store(self, data: bytes, cut: int) -> int:
        """Keep the blocks of a cluster that are not zero, and those in the mask ``cut``; return the mask of them."""
        if data == ZERO_CLUSTER and not cut:
            return 0
        blocks = [data[at : at + BLOCK] for at in range(0, CLUSTER, BLOCK)]
        if ZERO_BLOCK not in blocks:
            self._pieces.append(data)
            return FULL_MASK
        mask = cut
        for index, block in enumerate(blocks):
            if mask >> index & 1 or block != ZERO_BLOCK:
                mask |= 1 << index
                self._pieces.append(block)
        return mask

    def _flush_full(self) -> None:
        if len(self._slots) == layout.EXTENT_SLOTS:
            self._flush()

    def _flush(self) -> None:
        if not self._slots:
            return
        slots = self._slots + [0] * (layout.EXTENT_SLOTS - len(self._slots))
        head = layout.EXTENT.pack(layout.EXTENT_MAGIC, 0, self._blocks, self._uuid, bytes(16))
        self._out.write(layout.seal(bytearray(head + layout.SLOTS.pack(*slots)), layout.EXTENT_MD5))
        self._out.write(b"".join(self._pieces))
        self._slots, self._pieces, self._blocks = [], [], 0
        self._report()


def _pieces(disk: Disk) -> Iterator[tuple[int, int, bytes | None]]:
    """A disk from beginning to end: (first, stop, None) for clusters in a hole, (number, number + 1, bytes) for others.

    The last cluster is padded with zeros.
    """
    following, count = 0, -(-disk.size // CLUSTER)
    for start, end in disk.ranges():
        first = max(start // CLUSTER, following)
        stop = max(-(-end // CLUSTER), first)
        if first > following:
            yield following, first, None
        for at in range(first * CLUSTER, stop * CLUSTER, READ):
            length = min(READ, stop * CLUSTER - at)
            data = disk.read_at(at, length).ljust(length, b"\0")
            for piece in range(0, length, CLUSTER):
                number = (at + piece) // CLUSTER
                yield number, number + 1, data[piece : piece + CLUSTER]
        following = stop
    if following < count:
        yield following, count, None
