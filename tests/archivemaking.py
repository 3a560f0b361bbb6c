"""Small archives, whole and damaged, and what the reader that is sent to nodes says of them."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import tarfile
import tempfile
import uuid
from collections.abc import Callable
from typing import Any

from backup_standard.onnode.main import read
from backup_standard.onnode.pace import Pace
from backup_standard.onnode.unpack import Source
from lab.archive import BytesDisk, VmaWriter, compressor, write_container
from lab.archive.layout import CLUSTER, EXTENT_MD5, HEADER_MD5, seal
from lab.hypervisor import ArchiveDisk, ArchiveHeader

PCT = "arch: amd64\nhostname: files\nrootfs: vmdata:vm-230-disk-0,size=1G\n"


def config(*names: str) -> str:
    """A configuration as vzdump puts it into an archive."""
    return "name: dns\n" + "".join(f"#qmdump#map:{name}:drive-{name}:vmdata:raw:\n" for name in names)


def noise(length: int, seed: bytes = b"noise") -> bytes:
    """Bytes that do not pack."""
    return hashlib.shake_256(seed).digest(length)


def disks() -> dict[str, bytes]:
    """Two disks, more than one extent: the first with data all over, the second nearly empty."""
    return {"virtio0": noise(80 * CLUSTER + 1000), "scsi1": bytes(70 * CLUSTER) + b"the end"}


def vma(contents: dict[str, bytes] | None = None, text: str | None = None) -> bytes:
    """A VMA archive of disks."""
    held = disks() if contents is None else contents
    header = ArchiveHeader(
        str(uuid.UUID(int=7)),
        1_795_471_060,
        config(*held) if text is None else text,
        None,
        [ArchiveDisk(f"drive-{name}", len(data)) for name, data in held.items()],
    )
    out = io.BytesIO()
    VmaWriter(out, header).write({f"drive-{name}": BytesDisk(data) for name, data in held.items()})
    return out.getvalue()


def extents(data: bytes) -> list[int]:
    """Where the extents of a VMA archive begin."""
    at = int.from_bytes(data[56:60], "big")
    found = []
    while at < len(data):
        found.append(at)
        at += 512 + 4096 * int.from_bytes(data[at + 6 : at + 8], "big")
    return found


def resealed(data: bytes, at: int, change: Callable[[bytearray], None]) -> bytes:
    """A VMA archive with a changed header (``at`` 0) or extent header, whose checksum is right again."""
    size, md5 = (int.from_bytes(data[56:60], "big"), HEADER_MD5) if at == 0 else (512, EXTENT_MD5)
    block = bytearray(data[at : at + size])
    change(block)
    return data[:at] + seal(block, md5) + data[at + size :]


def flipped(data: bytes, at: int) -> bytes:
    """The same with one bit changed."""
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def put(at: int, form: str, *values: int) -> Callable[[bytearray], None]:
    """A change of numbers in a block."""
    return lambda block: struct.pack_into(form, block, at, *values)


def packed(data: bytes, kind: str = "zstd") -> bytes:
    """Compressed as vzdump does."""
    out = io.BytesIO()
    with compressor(out, kind) as stream:
        stream.write(data)
    return out.getvalue()


def tree(form: int = tarfile.GNU_FORMAT) -> bytes:
    """A root file system as a tar, with a long name, a link and a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in (("./etc/hostname", b"files\n"), (f"./srv/{'long/' * 40}x", noise(3000))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        folder, link = tarfile.TarInfo("./srv/data"), tarfile.TarInfo("./srv/link")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "data"
        tar.addfile(folder)
        tar.addfile(link)
    return out.getvalue()


def container(text: str = PCT, root: bytes | None = None) -> bytes:
    """A container's archive."""
    out = io.BytesIO()
    write_container(out, text, io.BytesIO(tree() if root is None else root))
    return out.getvalue()


def judge(data: bytes, form: str = "vma", compression: str = "none", pace: Pace | None = None) -> dict[str, Any]:
    """What the reader says."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        source = Source(os.dup(file.fileno()), pace or Pace(1e12, 3600, "/nowhere", 40, 60), lambda _count: None)
        try:
            return read(form, compression, source) | {"sha256": source.sha256, "read": source.count}
        finally:
            os.close(source._descriptor)
