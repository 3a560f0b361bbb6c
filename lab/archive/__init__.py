"""Guest archives as ``vzdump`` writes them: VMA for QEMU guests, tar for containers, each through a compressor.

Everything streams: an output needs only ``write(bytes)``, an input only ``read(n)``, so an archive can go through a
socket as well as into a file. A whole backup and a whole restore read::

    with compressor(out, "zstd") as stream:                      # ends the frame, leaves ``out`` open
        VmaWriter(stream, header).write({"drive-virtio0": RawDisk(path, size, offset=1 << 20)}, progress)

    with RawDisk(path, size, writable=True) as disk:             # the target must hold zeros where nothing is written
        reader = VmaReader(decompressor(inp, compression_of(name)))
        reader.extract({"drive-virtio0": disk}, progress)        # reader.header is known before

    write_container(stream, config, tar_of_root)                 # ./etc/vzdump/pct.conf first
    ContainerReader(decompressor(inp, compression_of(name))).config

Damage of any kind raises :class:`ArchiveDamaged`; its text is worded as the node's own tools word it.
"""

from __future__ import annotations

from lab.archive.compression import compression_of, compressor, decompressor
from lab.archive.containers import ContainerReader, write_container
from lab.archive.disks import BytesDisk, Disk, RawDisk
from lab.archive.layout import ArchiveDamaged, Totals
from lab.archive.vma_reader import VmaReader
from lab.archive.vma_writer import VmaWriter

__all__ = [
    "ArchiveDamaged",
    "BytesDisk",
    "ContainerReader",
    "Disk",
    "RawDisk",
    "Totals",
    "VmaReader",
    "VmaWriter",
    "compression_of",
    "compressor",
    "decompressor",
    "write_container",
]
