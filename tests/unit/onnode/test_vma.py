"""A VMA archive is whole, or the reader says where it is not."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests import archivemaking as make

REAL = Path(__file__).parents[2] / "contract" / "archives"
WHOLE = make.vma()
FIRST, SECOND, *_, LAST = make.extents(WHOLE)
SIZES = {"drive-virtio0": 80 * 65536 + 1000, "drive-scsi1": 70 * 65536 + 7}


def test_archives_of_real_proxmox_are_whole() -> None:
    for name, compression in (("39.vma.zst", "zstd"), ("44.vma.gz", "gzip")):
        data = (REAL / f"vzdump-qemu-242-2026_11_23-21_57_{name}").read_bytes()
        found = make.judge(data, "vma", compression)
        assert found["problem"] == ""
        assert found["intact"]
        assert found["checksummed"]
        assert found["disks"] == {"drive-scsi0": 2577408, "drive-scsi1": 1181696}
        assert found["sha256"] == hashlib.sha256(data).hexdigest()
        assert found["read"] == len(data)


@pytest.mark.parametrize("kind", ["none", "zstd", "gzip"])
def test_an_archive_by_an_independent_writer_is_whole(kind: str) -> None:
    found = make.judge(WHOLE if kind == "none" else make.packed(WHOLE, kind), "vma", kind)
    assert (found["intact"], found["problem"]) == (True, "")
    assert found["disks"] == SIZES
    assert found["checksummed"] is (kind != "none")


def test_an_archive_of_a_guest_without_disks_is_whole() -> None:
    assert make.judge(make.vma({}))["intact"]


def test_disks_of_one_byte_and_of_none() -> None:
    assert make.judge(make.vma({"virtio0": b"x", "scsi1": b""}))["intact"]


@pytest.mark.parametrize("kind", ["zstd", "gzip"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.99])
def test_every_flipped_bit_of_a_packed_archive_is_found(kind: str, share: float) -> None:
    data = make.packed(WHOLE, kind)
    found = make.judge(make.flipped(data, int(len(data) * share)), "vma", kind)
    assert not found["intact"]
    assert "byte " in found["problem"]


BAD = {
    "empty": (b"", "the file is empty"),
    "no archive": (b"<html>" * 3000, "byte 0 of the file: this is no VMA archive"),
    "cut in the header": (WHOLE[:5000], "ends at byte 5000 of the file, in the middle of its header"),
    "cut in the blobs": (WHOLE[:12290], "ends at byte 12290 of the file, in the middle of its header"),
    "flipped in the header": (make.flipped(WHOLE, 8), "byte 0 of the file: the header of .* its checksum"),
    "flipped in the configuration": (make.flipped(WHOLE, 12310), "the header of .* its checksum"),
    "flipped in an extent's header": (
        make.flipped(WHOLE, SECOND + 60), f"byte {SECOND} of the file: the header of an extent does not match",
    ),
    "cut between extents": (
        WHOLE[:SECOND], f"ends at byte {SECOND} of the file, and 22 of 81 clusters of drive-virtio0 are missing",
    ),
    "cut in an extent's header": (WHOLE[: SECOND + 100], f"ends at .*, in the header of the extent at byte {SECOND}"),
    "cut in an extent": (WHOLE[: SECOND - 4096], f"4096 bytes before the end of the extent at byte {FIRST}"),
    "trailing garbage": (WHOLE + b"garbage" * 99, f"byte {len(WHOLE)} of the file: trailing garbage"),
    "a byte too much": (WHOLE + b"\0", f"byte {len(WHOLE)} of the file: trailing garbage"),
    "an extent lost": (WHOLE[:FIRST] + WHOLE[SECOND:], "59 of 81 clusters .* the first at byte 0 of the disk"),
    "an extent twice": (WHOLE + WHOLE[LAST:], f"byte {len(WHOLE)} of the file: cluster .* comes a second time"),
    "garbage between": (WHOLE[:SECOND] + b"x" * 512 + WHOLE[SECOND:], f"byte {SECOND} of the file: this is no header"),
    "another version": (make.resealed(WHOLE, 0, make.put(4, ">I", 2)), "version 2 of VMA"),
    "a huge header": (make.flipped(WHOLE, 56), "claims a size of"),
    "blobs outside": (make.resealed(WHOLE, 0, make.put(52, ">I", 1 << 30)), "blobs lie outside"),
    "a name outside": (make.resealed(WHOLE, 0, make.put(2044, ">I", 1 << 30)), "points to a blob at"),
    "a blob too long": (make.resealed(WHOLE, 0, make.put(12289, "<H", 60000)), "is longer than"),
    "an unbelievable disk": (make.resealed(WHOLE, 0, make.put(4096 + 32 + 8, ">Q", 1 << 62)), "not believed"),
    "no configuration": (make.resealed(WHOLE, 0, make.put(2044, ">I", 0)), "holds no configuration of its guest"),
    "another archive's extent": (make.resealed(WHOLE, SECOND, make.put(8, ">Q", 99)), f"byte {SECOND} .* another"),
    "a wrong block count": (make.resealed(WHOLE, SECOND, make.put(6, ">H", 3)), "counts 3 blocks and describes"),
    "a cluster outside": (make.resealed(WHOLE, SECOND, make.put(44, ">I", 90)), "cluster 90 lies outside"),
    "an unknown disk": (make.resealed(WHOLE, SECOND, make.put(43, ">B", 9)), "a disk 9 that is not there"),
    "a disk too many": (make.vma(text=make.config("virtio0")), "holds disks .* does not name: drive-scsi1"),
    "a disk too few": (make.vma(text=make.config("virtio0", "scsi1", "scsi2")), "does not hold: drive-scsi2"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD.keys())
def test_damage_is_found_and_placed(data: bytes, message: str) -> None:
    found = make.judge(data)
    assert not found["intact"]
    assert re.search(message, found["problem"]), found["problem"]


def test_a_bit_flipped_in_unpacked_data_is_not_found_and_not_claimed_to_be() -> None:
    """The format has checksums for headers only: that is why the result says whether the data was checked."""
    found = make.judge(make.flipped(WHOLE, FIRST + 5000))
    assert found["intact"]
    assert found["checksummed"] is False


def test_hostile_names_are_escaped() -> None:
    name = "virtio0\x1b[31m<b>\n\u202e"
    found = make.judge(make.vma({name: b"x"}, text=make.config()))
    assert found["problem"].isprintable()
    assert "\\x1b[31m<b>\\n\\u202e" in found["problem"]
