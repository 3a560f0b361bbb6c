"""Compression of archives: both ways, and a broken frame is found."""

import hashlib
import io
import re
import subprocess
from pathlib import Path

import pytest

from lab.archive import (
    ArchiveDamaged,
    compressor,
    decompressor,
)
from lab.hypervisor import HypervisorError
from tests.lab_unit.archive.test_vma import TWO


def packed(kind: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with compressor(out, kind) as stream:
        stream.write(data)
    return out.getvalue()


def unpacked(kind: str, data: bytes) -> bytes:
    return decompressor(io.BytesIO(data), kind, "/d/a.vma.zst").read(1 << 30)


@pytest.mark.parametrize("kind", ["zstd", "gzip", "0"])
def test_compression_goes_both_ways(kind: str) -> None:
    assert unpacked(kind, packed(kind, TWO)) == TWO


def test_the_zstd_frame_carries_a_checksum_and_pleases_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.zst").write_bytes(packed("zstd", TWO))

    listing = subprocess.run(["zstd", "-lv", tmp_path / "a.zst"], capture_output=True, text=True, check=True).stdout
    plain = subprocess.run(["zstd", "-dc", tmp_path / "a.zst"], capture_output=True, check=True).stdout

    assert re.search(r"Check: XXH64 \w{8}", listing)
    assert plain == TWO


NOISE = hashlib.shake_256(b"lab").digest(400_000)
BROKEN = {
    "zstd cut": ("zstd", packed("zstd", NOISE)[:-100], "Read error (39) : premature end"),
    "zstd checksum": ("zstd", packed("zstd", NOISE)[:-1] + b"?", "Restored data doesn't match checksum"),
    "zstd garbage behind": ("zstd", packed("zstd", NOISE) + b"garbage", "unsupported format"),
    "zstd not at all": ("zstd", NOISE, "unsupported format"),
    "zstd empty": ("zstd", b"", "unexpected end of file"),
    "gzip cut": ("gzip", packed("gzip", NOISE)[:-100], "premature end"),
    "gzip checksum": ("gzip", packed("gzip", NOISE)[:-8] + bytes(8), "incorrect data check"),
    "gzip not at all": ("gzip", NOISE, "not in gzip format"),
}


@pytest.mark.parametrize(("kind", "data", "text"), BROKEN.values(), ids=BROKEN)
def test_a_broken_frame_is_found(kind: str, data: bytes, text: str) -> None:
    with pytest.raises(ArchiveDamaged, match=re.escape(text)) as damage:
        unpacked(kind, data)

    assert "/d/a.vma.zst" in damage.value.decoder


def test_an_unknown_compression_is_refused() -> None:
    with pytest.raises(HypervisorError, match="does not compress with 'lzo'"):
        packed("lzo", b"")
    with pytest.raises(HypervisorError, match="does not read 'lzo'"):
        unpacked("lzo", b"")
