"""Volumes in memory and the archives made of them, which are real files of the node."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.archive import (
    ArchiveDamaged,
    ContainerReader,
    Totals,
    VmaReader,
    VmaWriter,
    compression_of,
    compressor,
    decompressor,
    write_container,
)
from lab.hypervisor import ArchiveHeader, HypervisorError, Progress, Written
from lab.memory_node import MemoryNode
from lab.scripted.volumes import PAGE, SparseDisk
from lab.waiting import pause


class Storehouse:
    """The volumes and archives of a :class:`~lab.memory.MemoryHypervisor`. ``capacity`` in bytes, for each storage.

    ``pace`` is a fault: seconds of delay at every step of an archive that is written or read.
    """

    def __init__(self, node: MemoryNode, capacity: int) -> None:
        self.node, self.capacity, self.pace = node, capacity, 0.0
        self.disks: dict[str, SparseDisk] = {}
        self._lock = threading.RLock()
        node.block.volumes = self._group

    def _in_use(self) -> set[str]:
        """Return the volumes of guests that are powered on."""
        return set()

    def _group(self, group: str) -> Mapping[str, int]:
        own = {volid: disk for volid, disk in self.disks.items() if volid.startswith(f"{group}:")}
        return {volid.partition(":")[2]: disk.size for volid, disk in own.items()}

    def allocate(self, volid: str, size: int, like: str | None = None) -> None:
        """Make a volume of zeros, or a copy of another of at least its size."""
        with self._lock:
            storage, _colon, name = volid.partition(":")
            if volid in self.disks:
                raise HypervisorError(f'Logical Volume "{name}" already exists in volume group "{storage}"')
            used = sum(disk.size for known, disk in self.disks.items() if known.startswith(f"{storage}:"))
            if used + size > self.capacity:
                extents = (self.capacity - used) >> 22, -(-size >> 22)
                raise HypervisorError(
                    f'Volume group "{storage}" has insufficient free space ({extents[0]} extents): '
                    f"{extents[1]} required."
                )
            self.disks[volid] = self._disk(like).copy(size) if like else SparseDisk(size)

    def _disk(self, volid: str) -> SparseDisk:
        disk = self.disks.get(volid)
        if disk is None:
            raise HypervisorError(f"no such logical volume {volid.replace(':', '/', 1)}")
        return disk

    def free(self, volid: str) -> None:
        """Remove a volume that no running guest uses."""
        with self._lock:
            self._disk(volid)
            if volid in self._in_use():
                raise HypervisorError(f"Logical volume {volid.replace(':', '/', 1)} in use.")
            del self.disks[volid]

    def rename(self, old: str, new: str) -> None:
        """Give a volume another name."""
        with self._lock:
            if new in self.disks:
                raise HypervisorError(f"volume '{new}' already exists")
            self._disk(old)
            self.disks[new] = self.disks.pop(old)

    def volumes(self) -> Mapping[str, int]:
        """Return size by name of all volumes."""
        return {volid: disk.size for volid, disk in self.disks.items()}

    def path(self, volid: str) -> str:
        """Return the volume's device, or its file for storages on folders."""
        storage, _colon, name = volid.partition(":")
        return f"/var/lib/vz/images/{name}" if "/" in name else f"/dev/{storage}/{name}"

    def _paced(self, progress: Progress) -> Progress:
        def step(done: int, whole: int) -> None:
            if self.pace:
                pause(self.pace)
            progress(done, whole)

        return step

    def write_archive(
        self, path: str, header: ArchiveHeader, volids: Mapping[str, str], compress: str, progress: Progress
    ) -> Written:
        """Write an archive; HypervisorError when the node's filesystem does not take it."""
        disks = {device: self._disk(volid) for device, volid in volids.items()}
        with _written(self.node, path) as out, compressor(out, compress) as stream:
            totals = VmaWriter(stream, header).write(disks, self._paced(progress))
        return Written(len(self.node.read(path)), totals.sparse_bytes)

    def _opened(self, path: str) -> io.BytesIO:
        try:
            return io.BytesIO(self.node.read(path))
        except OSError as error:
            raise HypervisorError(f"can't open file {path} - {error.strerror}") from error

    def _vma(self, path: str) -> VmaReader:
        return VmaReader(decompressor(self._opened(path), compression_of(path), path))

    def read_archive_header(self, path: str) -> ArchiveHeader:
        """Read the header alone; a damaged compressed stream is a header that cannot be read."""
        try:
            return self._vma(path).header
        except ArchiveDamaged as damage:
            damage.in_header = True
            raise

    def extract_archive(self, path: str, volids: Mapping[str, str], progress: Progress) -> Totals:
        """Write an archive's disks into volumes that are large enough and hold zeros."""
        reader = self._vma(path)
        disks = {device: self._disk(volid) for device, volid in volids.items()}
        for disk in reader.header.disks:
            if disk.device in disks and disks[disk.device].size < disk.size:
                raise HypervisorError(f"target for {disk.device} is too small: {disks[disk.device].size} < {disk.size}")
        return reader.extract(disks, self._paced(progress))

    def write_container_archive(self, path: str, volid: str, config: str, compress: str, progress: Progress) -> int:
        """Write a container's archive from its volume, which holds its root file system as a tar."""
        disk = self._disk(volid)
        with _written(self.node, path) as out, compressor(out, compress) as stream:
            write_container(stream, config, tar_of(disk), ctime=int(self.node.now()))
        progress(disk.size, disk.size)
        return len(self.node.read(path))

    def read_container_config(self, path: str) -> str:
        """Return the configuration in a container's archive."""
        return ContainerReader(decompressor(self._opened(path), compression_of(path), path)).config

    def extract_container_archive(self, path: str, volid: str, progress: Progress) -> None:
        """Write the root file system of a container's archive into a volume."""
        disk, out = self._disk(volid), io.BytesIO()
        ContainerReader(decompressor(self._opened(path), compression_of(path), path)).extract(out)
        if len(out.getvalue()) > disk.size:
            raise HypervisorError("tar: write error: No space left on device")
        disk.write_at(0, out.getvalue())
        progress(disk.size, disk.size)


def tar_of(disk: SparseDisk) -> io.BytesIO:
    """Return the tar on a container's volume; an empty one when nothing was written."""
    end = (max(disk.pages) + 1) * PAGE if disk.pages else 0
    return io.BytesIO(disk.read_at(0, end) if end else bytes(10240))


class _NodeFile(io.BytesIO):
    """A file of the node that is being written: it grows as long as its filesystem has room."""

    def __init__(self, node: MemoryNode, path: str) -> None:
        super().__init__()
        self._path = path
        self._filesystem = node.files.place(path)[1]

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Take data; OSError as the filesystem gives it."""
        self._filesystem.check_writable(self._path, self.tell() + len(data))
        return super().write(data)


@contextmanager
def _written(node: MemoryNode, path: str) -> Iterator[_NodeFile]:
    """A new file of the node. What was written when an error comes stays there, as after a failed backup."""
    try:
        node.write(path, b"")
        out = _NodeFile(node, path)
        try:
            yield out
        finally:
            node.files.entry(path).data = out.getvalue()
            node.files.entry(path).mtime = node.now()
    except OSError as error:
        raise HypervisorError(f"vma_queue_write: write error - {error.strerror}") from error
