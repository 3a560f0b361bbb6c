"""VMA archives: real ones are read to the last byte, own ones pass an independent check, damage is found."""

import hashlib
import io
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.archive import (
    ArchiveDamaged,
    BytesDisk,
    RawDisk,
    VmaReader,
    VmaWriter,
    compression_of,
    decompressor,
)
from lab.archive.layout import CLUSTER, EXTENT_HEADER, EXTENT_MD5, HEADER_MD5, seal
from lab.archive.vma_writer import pack_header
from lab.hypervisor import ArchiveDisk, ArchiveHeader

REAL = Path(__file__).parents[2] / "contract" / "archives"
SHA256 = {
    "drive-scsi0": "26eaf0d193b3b0d17834824acce1f56dbd175ce7d6e3585a2413b255a414606f",
    "drive-scsi1": "0eb90df0a8068696ce0406557f4666230abd0bbf6451d8db2e4bf3d71ceb0bf7",
}


def header_of(**sizes: int) -> ArchiveHeader:
    disks = [ArchiveDisk(f"drive-{name}", size) for name, size in sizes.items()]
    return ArchiveHeader(str(uuid.UUID(int=7)), 1_795_471_060, "name: x\n", None, disks)


def vma_of(**contents: bytes) -> bytes:
    out = io.BytesIO()
    header = header_of(**{name: len(data) for name, data in contents.items()})
    VmaWriter(out, header).write({f"drive-{name}": BytesDisk(data) for name, data in contents.items()})
    return out.getvalue()


def disks_of(vma: bytes) -> dict[str, bytes]:
    reader = VmaReader(io.BytesIO(vma))
    targets = {disk.device: BytesDisk(bytearray(disk.size)) for disk in reader.header.disks}
    reader.extract(targets)
    return {name: bytes(target.content) for name, target in targets.items()}


def independent(vma: bytes) -> dict[str, bytes]:
    """Rebuild the disks with code that shares nothing with the reader: slow, plain, from the format's description."""
    assert vma[:8] == b"VMA\0\0\0\0\1"
    size = int.from_bytes(vma[56:60])
    assert hashlib.md5(vma[:32] + bytes(16) + vma[48:size], usedforsecurity=False).digest() == vma[32:48]
    names, out, at, left = {}, {}, size, set()
    for number in range(1, 256):
        pointer, _, length = struct.unpack_from(">IIQ", vma, 4096 + 32 * number)
        if pointer:
            text = 12288 + pointer + 2
            names[number] = vma[text : vma.index(b"\0", text)].decode()
            out[number] = bytearray(-(-length // 65536) * 65536)
            left |= {(number, cluster) for cluster in range(len(out[number]) // 65536)}
    while at < len(vma):
        head, at = vma[at : at + 512], at + 512
        assert head[:6] == b"VMAE\0\0"
        assert head[8:24] == vma[8:24]
        assert hashlib.md5(head[:24] + bytes(16) + head[40:], usedforsecurity=False).digest() == head[24:40]
        begun = at
        for slot in range(59):
            mask, _, number, cluster = struct.unpack_from(">HBBI", head, 40 + 8 * slot)
            if number:
                left.remove((number, cluster))
            for bit in range(16):
                if mask >> bit & 1:
                    place = cluster * 65536 + bit * 4096
                    out[number][place : place + 4096] = vma[at : at + 4096]
                    at += 4096
        assert at - begun == 4096 * int.from_bytes(head[6:8])
    assert not left
    lengths = {number: struct.unpack_from(">IIQ", vma, 4096 + 32 * number)[2] for number in names}
    return {names[number]: bytes(out[number][: lengths[number]]) for number in names}


@pytest.mark.parametrize("path", sorted(REAL.glob("*.vma.*[tz]")), ids=lambda path: path.suffix)
def test_real_archives_give_the_disks_they_were_made_of(path: Path) -> None:
    with path.open("rb") as stream:
        reader = VmaReader(decompressor(stream, compression_of(path.name)))
        targets = {disk.device: BytesDisk(bytearray(disk.size)) for disk in reader.header.disks}
        totals = reader.extract(targets)

    assert {name: hashlib.sha256(disk.content).hexdigest() for name, disk in targets.items()} == SHA256
    assert reader.header.config.startswith("#fixture guest\n#with two disks\nboot: order=scsi0;net0\n")
    told = (REAL / "node-tools.txt").read_text()
    assert f"total bytes read {totals.bytes}, sparse bytes {totals.sparse_bytes} (59.3%)" in told
    assert f"space reduction due to 4K zero blocks {totals.zero_block_share:.3g}%" in told


def test_there_are_two_real_archives() -> None:
    assert len(list(REAL.glob("*.vma.*[tz]"))) == 2


def test_the_header_is_written_as_the_real_one_byte_for_byte() -> None:
    with (REAL / "vzdump-qemu-242-2026_11_23-21_57_39.vma.zst").open("rb") as stream:
        plain = decompressor(stream, "zstd").read(1 << 30)

    assert pack_header(VmaReader(io.BytesIO(plain)).header) == plain[:13312]


def test_rewriting_a_real_archive_stores_the_same_blocks() -> None:
    with (REAL / "vzdump-qemu-242-2026_11_23-21_57_39.vma.zst").open("rb") as stream:
        plain = decompressor(stream, "zstd").read(1 << 30)
    reader = VmaReader(io.BytesIO(plain))
    targets = {disk.device: BytesDisk(bytearray(disk.size)) for disk in reader.header.disks}
    totals = reader.extract(targets)

    out = io.BytesIO()

    assert VmaWriter(out, reader.header).write(targets) == totals
    assert independent(out.getvalue()) == independent(plain)


SOME = [bytes(4096), b"a" * 4096, b"\0" * 4095 + b"z", bytes(65536), b"tail", b"q" * 65536]
PIECES = st.lists(st.sampled_from(SOME), max_size=40)


@settings(deadline=None)
@given(PIECES, PIECES)
def test_what_is_written_is_read_back(first: list[bytes], second: list[bytes]) -> None:
    contents = {"drive-scsi0": b"".join(first), "drive-virtio1": b"".join(second)}
    vma = vma_of(scsi0=contents["drive-scsi0"], virtio1=contents["drive-virtio1"])

    assert disks_of(vma) == contents
    assert independent(vma) == contents


def test_a_sparse_file_is_read_and_written_at_its_offset(tmp_path: Path) -> None:
    size, offset = 300 * CLUSTER + 5, 1 << 20
    source, target = tmp_path / "a.raw", tmp_path / "b.raw"
    for path in (source, target):
        with path.open("wb") as file:
            file.truncate(offset + size)
    with RawDisk(source, size, offset=offset, writable=True) as disk:
        disk.write_at(100 * CLUSTER + 4096, b"data" * 5000)
        disk.write_at(size - 3, b"end")
    out = io.BytesIO()
    seen = []
    with RawDisk(source, size, offset=offset) as disk:
        VmaWriter(out, header_of(virtio0=size)).write({"drive-virtio0": disk}, lambda *step: seen.append(step))
    out.seek(0)
    with RawDisk(target, size, offset=offset, writable=True) as disk:
        VmaReader(out).extract({"drive-virtio0": disk})

    assert target.read_bytes() == source.read_bytes()
    assert len(out.getvalue()) < 12 * 4096
    assert seen[-1] == (size, size)
    assert seen == sorted(seen)
    assert len(seen) > 3


def test_a_guest_without_disks_gives_a_header_alone() -> None:
    assert disks_of(vma_of()) == {}
    assert len(vma_of()) == 12800


def test_a_disk_of_another_size_than_the_header_says_is_refused() -> None:
    with pytest.raises(ValueError, match="drive-scsi0 with 8192 bytes"):
        VmaWriter(io.BytesIO(), header_of(scsi0=8192)).write({"drive-scsi0": BytesDisk(b"x")})


TWO = vma_of(scsi0=b"a" * (70 * CLUSTER))
SECOND_EXTENT = 12800 + EXTENT_HEADER + 59 * CLUSTER


def resealed(vma: bytes, at: int, size: int, md5_at: int, change: Callable[[bytearray], None]) -> bytes:
    """Change a header and give it the right checksum again, so that only the deeper check can object."""
    block = bytearray(vma[at : at + size])
    change(block)
    return vma[:at] + seal(block, md5_at) + vma[at + size :]


def in_extent(offset: int, value: bytes) -> bytes:
    def change(block: bytearray) -> None:
        block[offset : offset + len(value)] = value

    return resealed(TWO, SECOND_EXTENT, EXTENT_HEADER, EXTENT_MD5, change)


def in_header(offset: int, value: bytes) -> bytes:
    def change(block: bytearray) -> None:
        block[offset : offset + len(value)] = value

    return resealed(TWO, 0, 12800, HEADER_MD5, change)


def flip(offset: int) -> bytes:
    return TWO[:offset] + bytes([TWO[offset] ^ 1]) + TWO[offset + 1 :]


DAMAGE = {
    "empty": (b"", "can't read vma header - got EOF"),
    "header cut": (TWO[:12500], "can't read vma header - got EOF"),
    "magic": (b"XMA" + TWO[3:], "not a vma file - wrong magic number"),
    "bit of header": (flip(5000), "wrong vma header chechsum"),
    "header size": (in_header(56, struct.pack(">I", 12801)), "wrong vma header size 12801"),
    "version": (in_header(4, struct.pack(">I", 2)), "wrong vma version 2"),
    "blob bounds": (in_header(52, struct.pack(">I", 900)), "wrong vma blob buffer bounds"),
    "blob pointer": (in_header(2044, struct.pack(">I", 499)), "wrong vma blob pointer"),
    "blob length": (in_header(12289, b"\xff\xff"), "wrong vma blob pointer"),
    "device size": (in_header(4096 + 32 + 8, b"\x7f"), "wrong vma device size"),
    "name": (in_header(12289, b"\x02\x00"), "wrong vma name - not terminated"),
    "extent checksum": (flip(SECOND_EXTENT + 100), "wrong vma extent header chechsum"),
    "extent magic": (in_extent(0, b"VMAX"), "wrong vma extent header magic number"),
    "extent uuid": (in_extent(8, b"other"), "wrong vma extent uuid"),
    "extent reserved": (in_extent(4, b"\0\1"), "reserved field is not zero"),
    "block count": (in_extent(6, b"\0\1"), r"wrong vma extent block count \(176 != 1\)"),
    "device": (in_extent(43, b"\x05"), "got wrong dev id 5"),
    "cluster outside": (in_extent(44, struct.pack(">I", 70)), "found cluster 70 outside of stream drive-scsi0"),
    "duplicate": (in_extent(44, struct.pack(">I", 3)), "found duplicated cluster 3 for stream drive-scsi0"),
    "cut inside an extent": (TWO[:-5000], r"short vma extent \(716408 < 721408\)"),
    "cut at an extent": (TWO[:SECOND_EXTENT], "detected missing cluster 59 for stream drive-scsi0"),
    "garbage behind": (TWO + b"x" * 512, "wrong vma extent header magic number"),
    "short garbage": (TWO + b"x", r"short vma extent header \(1 < 512\)"),
}


@pytest.mark.parametrize(("vma", "text"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_found(vma: bytes, text: str) -> None:
    with pytest.raises(ArchiveDamaged, match=text):
        disks_of(vma)


def test_damage_of_the_header_is_told_from_damage_of_the_data() -> None:
    with pytest.raises(ArchiveDamaged) as header:
        disks_of(flip(5000))
    with pytest.raises(ArchiveDamaged) as data:
        disks_of(TWO[:-1])

    assert header.value.in_header
    assert not data.value.in_header


def test_a_flipped_bit_of_uncompressed_data_is_not_noticed() -> None:
    assert disks_of(flip(SECOND_EXTENT + 5000)) != disks_of(TWO)
