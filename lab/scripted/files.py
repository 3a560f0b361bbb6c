"""Files and mounts in memory: what a path means depends on what is mounted, as on a real node."""

from __future__ import annotations

import errno
import os
import posixpath
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.hypervisor import FilesystemUsage

DEVICE_NUMBERS = iter(range(8 << 8, 1 << 20, 16))


@dataclass
class Entry:
    """A file or folder of a filesystem."""

    data: bytes = b""
    mode: int = 0o644
    mtime: float = 0.0
    ctime: float = 0.0
    uid: int = 0
    gid: int = 0
    folder: bool = False


@dataclass
class Filesystem:
    """A filesystem on a device: ``size`` in bytes; ``readonly``, ``broken`` (I/O errors) and ``full`` are faults."""

    source: str
    fstype: str = "ext4"
    size: int = 8 << 30
    serial: str = ""
    options: str = "rw,relatime"
    readonly: bool = False
    broken: bool = False
    full: bool = False
    entries: dict[str, Entry] = field(default_factory=lambda: {"/": Entry(folder=True, mode=0o755)})
    links: dict[str, str] = field(default_factory=dict)
    device: int = field(default_factory=lambda: next(DEVICE_NUMBERS))
    """Device number, as stat's %d prints it: major times 256 plus minor."""

    @property
    def used(self) -> int:
        """Bytes that the files take; hard links of the same content count once."""
        if self.full:
            return self.size
        return sum({id(entry.data): len(entry.data) for entry in list(self.entries.values())}.values())

    def check_writable(self, path: str, size: int = 0) -> None:
        """Raise the OSError that a write of ``size`` more bytes would meet."""
        for fault, code in ((self.broken, errno.EIO), (self.readonly, errno.EROFS)):
            if fault:
                raise OSError(code, os.strerror(code), path)
        if size and (self.full or self.used + size > self.size):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


class Files:
    """A tree of filesystems. Paths are absolute; missing ones raise FileNotFoundError, faults other OSErrors."""

    def __init__(self, root: Filesystem, clock: Callable[[], float] = time.time) -> None:
        self.mounts: dict[str, Filesystem] = {"/": root}
        self.dynamic: dict[str, Callable[[], bytes]] = {}
        self.clock = clock
        self.lock = threading.RLock()

    def mount(self, path: str, filesystem: Filesystem) -> None:
        """Mount a filesystem; the folder below is made when it is not there."""
        self.makedirs(path)
        self.mounts[path] = filesystem

    def unmount(self, path: str) -> Filesystem:
        """Take a filesystem away: its path becomes the folder below the mount."""
        return self.mounts.pop(path)

    def place(self, path: str) -> tuple[str, Filesystem, str]:
        """Return the mount point, the filesystem and the path inside it, links along the way followed."""
        path = self.resolve(path)
        point = max((point for point in list(self.mounts) if _inside(path, point)), key=len)
        return point, self.mounts[point], path if point == "/" else path[len(point) :] or "/"

    def resolve(self, path: str, depth: int = 0) -> str:
        """Follow every symbolic link of a path that leads somewhere."""
        if depth > 10:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        path = posixpath.normpath("/" + path.lstrip("/"))
        for point, filesystem in list(self.mounts.items()):
            for inner, target in filesystem.links.items():
                link = inner if point == "/" else point + inner
                if _inside(path, link):
                    return self.resolve(posixpath.join(posixpath.dirname(link), target) + path[len(link) :], depth + 1)
        return path

    def entry(self, path: str) -> Entry:
        """Return what lies at a path."""
        content = self.dynamic.get(path)
        if content:
            return Entry(content(), 0o444, self.clock(), self.clock())
        _point, filesystem, inner = self.place(path)
        if filesystem.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        found = filesystem.entries.get(inner)
        if found is None:
            raise _missing(path)
        return found

    def exists(self, path: str) -> bool:
        """Tell whether something lies at a path; folders of a broken disk are still known to the kernel."""
        _point, filesystem, inner = self.place(path)
        return path in self.dynamic or inner in filesystem.entries

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        found = self.entry(path)
        if found.folder:
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return found.data

    def write(self, path: str, data: bytes, mtime: float | None = None, mode: int = 0o644) -> None:
        """Make or replace a file in a folder that is there."""
        with self.lock:
            _point, filesystem, inner = self.place(path)
            filesystem.check_writable(path, len(data))
            folder = filesystem.entries.get(posixpath.dirname(inner))
            if folder is None or not folder.folder:
                raise _missing(path)
            now = self.clock()
            filesystem.entries[inner] = Entry(bytes(data), mode, now if mtime is None else mtime, now)

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        _point, filesystem, inner = self.place(path)
        filesystem.links[inner] = target

    def rename(self, old: str, new: str) -> None:
        """Rename a file within its filesystem."""
        with self.lock:
            found = self.entry(old)
            _point, filesystem, inner = self.place(old)
            _point, target, inside = self.place(new)
            if filesystem is not target:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), old)
            filesystem.check_writable(new)
            if posixpath.dirname(inside) not in filesystem.entries:
                raise _missing(new)
            filesystem.entries[inside] = found
            del filesystem.entries[inner]

    def unlink(self, path: str) -> None:
        """Remove a file."""
        with self.lock:
            self.read(path)
            _point, filesystem, inner = self.place(path)
            filesystem.check_writable(path)
            del filesystem.entries[inner]

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        with self.lock:
            if any(self.children(path)):
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
            _point, filesystem, inner = self.place(path)
            filesystem.check_writable(path)
            del filesystem.entries[inner]

    def makedirs(self, path: str) -> None:
        """Make a folder and those above it."""
        with self.lock:
            parts = posixpath.normpath(path).strip("/").split("/")
            for depth in range(1, len(parts) + 1):
                _point, filesystem, inner = self.place("/" + "/".join(parts[:depth]))
                if inner not in filesystem.entries:
                    filesystem.check_writable(path)
                    filesystem.entries[inner] = Entry(folder=True, mode=0o755, mtime=self.clock(), ctime=self.clock())

    def children(self, path: str) -> Iterator[tuple[str, Entry]]:
        """Give name and entry of everything in a folder."""
        if not self.entry(path).folder:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        _point, filesystem, inner = self.place(path)
        prefix = inner.rstrip("/") + "/"
        with self.lock:
            inside = [(name, entry) for name, entry in filesystem.entries.items() if name.startswith(prefix)]
        for name, entry in sorted(inside):
            rest = name[len(prefix) :]
            if rest and "/" not in rest:
                yield rest, entry

    def usage(self, path: str) -> FilesystemUsage:
        """Return the space of the filesystem that holds a path; ext4 keeps a twentieth for root."""
        point, filesystem, inner = self.place(path)
        if inner not in filesystem.entries:
            raise _missing(path)
        used = min(filesystem.used, filesystem.size)
        return FilesystemUsage(filesystem.size, used, max(0, filesystem.size - filesystem.size // 20 - used), point)


def _inside(path: str, folder: str) -> bool:
    return folder in {"/", path} or path.startswith(folder + "/")
