"""The nine archives of VM 200 that were damaged by hand, each in its own way."""

from __future__ import annotations

import hashlib
import io

from lab.archive import compressor
from lab.memory import MemoryHypervisor
from lab.pve.site import Site
from lab.scripted.image import MAGIC
from tests.contract.recorded_site import add_archive
from tests.contract.recorded_state import DUMP

DAY = "vzdump-qemu-200-2026_01_01-00_00"


def _zstd(data: bytes) -> bytes:
    out = io.BytesIO()
    with compressor(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue()


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _noise(length: int) -> bytes:
    return hashlib.shake_256(b"random bytes").digest(length)


def damaged_archives(site: Site, hypervisor: MemoryHypervisor) -> None:
    """Lay them into the dump folder."""
    node = hypervisor.node
    hypervisor.disks["local:200/vm-200-disk-0.raw"].write_at(1 << 20, _noise(2 << 20))
    whole = node.read(add_archive(site, hypervisor, f"{DAY}_08.vma"))
    packed = _zstd(whole)
    cut = len(packed) * 6 // 10
    contents = {
        "01.vma.zst": packed[:cut] + b"\xff" * (0 if site.version == "8.4" else len(packed) - cut),
        "02.vma.zst": _flipped(packed, len(packed) // 2),
        "03.vma.zst": b"",
        "04.vma.zst": _noise(5000),
        "05.vma": _flipped(whole, whole.index(MAGIC) + len(MAGIC) + 20),
        "06.vma.zst": _zstd(_flipped(whole, 100)),
        "07.vma.zst": _zstd(whole[: whole.index(MAGIC) + 70_000]),
        "09.vma.gz": packed,
    }
    for ending, data in contents.items():
        node.write(f"{DUMP}/{DAY}_{ending}", data)
