"""Disks as the archive code sees them: a size, ranges that may hold data, reading and writing at an offset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self


class Disk(Protocol):
    """A disk of ``size`` bytes; every offset counts from its own beginning."""

    size: int

    def ranges(self) -> Iterator[tuple[int, int]]:
        """(start, end) of the parts that may hold data, ascending; all the rest is zeros."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes of the disk; shorter only at its end."""
        ...

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Put bytes into the disk; the caller keeps within ``size``."""
        ...


class BytesDisk:
    """A small disk in memory."""

    def __init__(self, content: bytes | bytearray) -> None:
        self.content, self.size = content, len(content)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The whole disk."""
        if self.size:
            yield 0, self.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Copy bytes out of the disk."""
        return bytes(self.content[offset : offset + length])

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Copy bytes into the disk, which must have been made of a bytearray."""
        if not isinstance(self.content, bytearray):
            raise TypeError("a disk made of bytes is read-only; make it of a bytearray")
        self.content[offset : offset + len(data)] = data


class RawDisk:
    """A disk that lies in a file, ``offset`` bytes from the file's beginning. A context manager."""

    def __init__(self, path: str | Path, size: int, *, offset: int = 0, writable: bool = False) -> None:
        self.size, self._offset = size, offset
        self._fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The parts that are no holes of the sparse file."""
        at, end = self._offset, self._offset + self.size
        while at < end:
            try:
                start = os.lseek(self._fd, at, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole remains
                return
            if start >= end:
                return
            at = min(os.lseek(self._fd, start, os.SEEK_HOLE), end)
            yield start - self._offset, at - self._offset

    def read_at(self, offset: int, length: int) -> bytes:
        """Read from the file."""
        return os.pread(self._fd, min(length, self.size - offset), self._offset + offset)

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of ``data`` to the file."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self._fd, view, self._offset + offset)
            view, offset = view[done:], offset + done
