"""Container archives: a tar that begins with ``./etc/vzdump/pct.conf`` and goes on with the root file system."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from typing import IO, cast

from lab.archive.layout import ArchiveDamaged
from lab.archive.vma_reader import Input
from lab.archive.vma_writer import Output

CONFIG_MEMBER = "./etc/vzdump/pct.conf"
FIREWALL_MEMBER = "./etc/vzdump/pct.fw"
END_BLOCKS = 1024


def write_container(out: Output, config: str, root: Input, *, firewall: str | None = None, ctime: int = 0) -> int:
    """Write a container archive: its configuration, then every member of the tar that ``root`` gives.

    Returns the bytes of files written. ``ctime`` dates the two configuration members (seconds since the epoch).
    """
    done = 0
    with tarfile.open(fileobj=cast("IO[bytes]", out), mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name, text in ((CONFIG_MEMBER, config), (FIREWALL_MEMBER, firewall)):
            if text is not None:
                data = text.encode()
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = len(data), ctime, 0o644
                tar.addfile(member, io.BytesIO(data))
        for member, content in members(root):
            tar.addfile(member, content)
            done += member.size
    return done


class _Watched:
    """An input that remembers how it ended: a whole tar ends in zero blocks."""

    def __init__(self, stream: Input) -> None:
        self._stream, self._tail = stream, b""

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._tail = (self._tail + data)[-END_BLOCKS:]
        return data

    def finish(self) -> None:
        """Read what is left, so that a compressor's checksum is seen too, and check the end."""
        while self.read(64 * 1024):
            pass
        if self._tail != bytes(END_BLOCKS):
            raise ArchiveDamaged("tar: Unexpected EOF in archive")


def members(stream: Input) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Every member of a tar stream with its content, in order. ArchiveDamaged when the tar is cut short or garbled."""
    watched = _Watched(stream)
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", watched), mode="r|") as tar:
            for member in tar:
                yield member, tar.extractfile(member) if member.isreg() else None
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveDamaged(_reason(error)) from error
    watched.finish()


def _reason(error: Exception) -> str:
    if isinstance(error, tarfile.ReadError) and "unexpected end" in str(error):
        return "tar: Unexpected EOF in archive"
    return "tar: This does not look like a tar archive"


class ContainerReader:
    """Reads one container archive: ``config`` and ``firewall`` at once, the root file system with :meth:`root`."""

    def __init__(self, stream: Input) -> None:
        self._members = members(stream)
        self.config, self.firewall, self._first = self._settings()

    def root(self) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """The members of the root file system in order; each one's content must be read before the next."""
        if self._first is not None:
            yield self._first
        yield from self._members

    def extract(self, out: Output) -> int:
        """Write the root file system as a tar of its own; returns the bytes of files."""
        done = 0
        with tarfile.open(fileobj=cast("IO[bytes]", out), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for member, content in self.root():
                tar.addfile(member, content)
                done += member.size
        return done

    def _settings(self) -> tuple[str, str | None, tuple[tarfile.TarInfo, IO[bytes] | None] | None]:
        texts: dict[str, str] = {}
        first = None
        for member, content in self._members:
            if member.name not in {CONFIG_MEMBER, FIREWALL_MEMBER} or content is None:
                first = (member, content)
                break
            texts[member.name] = content.read().decode("utf-8", "replace")
        if CONFIG_MEMBER not in texts:
            raise ArchiveDamaged("unable to find pct.conf in the archive", in_header=True)
        return texts[CONFIG_MEMBER], texts.get(FIREWALL_MEMBER), first
