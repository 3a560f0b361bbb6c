"""The layout of a VMA file: sizes, offsets and the packing of its header and extent headers.

Numbers are big endian, except the two-byte lengths in the blob buffer, which are little endian (upstream: the VMA
reader of the patched QEMU; its own description says otherwise). A header is followed by extents until the end of the
file. An extent describes up to 59 clusters of 64 KiB and holds those of their 4 KiB blocks that are not all zero.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

BLOCK = 4096
BLOCKS_PER_CLUSTER = 16
CLUSTER = BLOCK * BLOCKS_PER_CLUSTER
FULL_MASK = 0xFFFF
ZERO_BLOCK = bytes(BLOCK)
ZERO_CLUSTER = bytes(CLUSTER)

FILE_MAGIC = b"VMA\0"
VERSION = 1
HEADER_STRUCT = 12288
HEADER_MD5 = 32
MAX_HEADER = 4 << 20
NAMES_AT, DATA_AT, CONFIGS = 2044, 3068, 256
MAX_DEVICE = 64 << 40
"""Larger disks than 64 TiB are taken for damage: the reader keeps a byte for each cluster."""
DEVICES_AT, DEVICE_INFO, DEVICES = 4096, 32, 256

EXTENT_MAGIC = b"VMAE"
EXTENT_HEADER = 512
EXTENT_MD5 = 24
EXTENT_SLOTS = 59

PREFIX = struct.Struct(">4sI16sQ16sIII")
"""magic, version, uuid, ctime, MD5, blob buffer offset, blob buffer size, header size."""
DEVICE = struct.Struct(">IIQ16x")
"""name pointer, reserved, size in bytes."""
EXTENT = struct.Struct(">4sHH16s16s")
"""magic, reserved, block count, uuid, MD5."""
SLOTS = struct.Struct(f">{EXTENT_SLOTS}Q")
"""Each slot: mask (16 bits), reserved (8), device (8), cluster number (32)."""


class ArchiveDamaged(Exception):
    """An archive cannot be read: the text is the reading tool's own, ``decoder`` the decompressor's line if it failed.

    ``in_header`` tells that nothing could be read at all: the real restore then waits in vain for the header.
    ``rest`` is what a decompressor still gave before it failed.
    """

    def __init__(self, text: str, *, in_header: bool = False, decoder: str = "") -> None:
        super().__init__(text)
        self.in_header, self.decoder, self.rest = in_header, decoder, b""


@dataclass(frozen=True)
class Device:
    """One disk of the archive and its number in the extents."""

    number: int
    name: str
    size: int

    @property
    def clusters(self) -> int:
        """How many clusters the disk fills, the last one perhaps in part."""
        return -(-self.size // CLUSTER)

    @property
    def cut_block(self) -> int:
        """Mask, in the last cluster, of the block that the disk's end cuts: real archives store it even if zero."""
        return 1 << self.size % CLUSTER // BLOCK if self.size % BLOCK else 0


@dataclass
class Totals:
    """What passed through a writer or reader, counted as the node's tool counts it at the end of a restore.

    ``zero_blocks`` are the blocks not stored, as far as they begin before the end of their disk; ``partial`` are those
    of them that lie in a cluster with some data.
    """

    clusters: int = 0
    zero_blocks: int = 0
    partial: int = 0

    def count(self, device: Device, cluster: int, mask: int) -> None:
        """Count one cluster."""
        within = min(BLOCKS_PER_CLUSTER, -(-(device.size - cluster * CLUSTER) // BLOCK))
        zeros = within - mask.bit_count()
        self.clusters += 1
        self.zero_blocks += zeros
        self.partial += zeros if mask else 0

    def count_zeros(self, clusters: int) -> None:
        """Count whole clusters of zeros."""
        self.clusters += clusters
        self.zero_blocks += clusters * BLOCKS_PER_CLUSTER

    @property
    def bytes(self) -> int:
        """Bytes of all clusters, zeros included ("total bytes read")."""
        return self.clusters * CLUSTER

    @property
    def sparse_bytes(self) -> int:
        """Bytes that were zeros and are not stored ("sparse bytes")."""
        return self.zero_blocks * BLOCK

    @property
    def zero_block_share(self) -> float:
        """Percent that 4 KiB zero blocks saved ("space reduction due to 4K zero blocks")."""
        data = self.bytes - self.sparse_bytes
        return 100 * self.partial * BLOCK / data if data else 0.0


def seal(block: bytearray, md5_at: int) -> bytes:
    """Put the MD5 of a header (its own field counted as zeros) into the header."""
    block[md5_at : md5_at + 16] = bytes(16)
    block[md5_at : md5_at + 16] = hashlib.md5(block, usedforsecurity=False).digest()
    return bytes(block)


def is_sealed(block: bytes, md5_at: int) -> bool:
    """Whether a header carries the MD5 of its own bytes."""
    return seal(bytearray(block), md5_at) == block
