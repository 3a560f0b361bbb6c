"""Lays the site's past and configuration on the node: names, notes, logs and dates, in one stream.

The archives lie on the backup disk already. Every night of the history is one more name (hard link) of its guest's
archive, so that two weeks of nights cost the space of one.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from lab.vm.cold import STORE
from lab.vm.machinery import Machinery
from lab.vm.node import DatedLine


class LaidFile(Protocol):
    """A file to lay; times are seconds since the epoch."""

    @property
    def path(self) -> str:
        """Absolute path on the node."""
        ...

    @property
    def mtime(self) -> float:
        """When it was last written."""
        ...

    @property
    def data(self) -> bytes:
        """Its content, unless it is an archive."""
        ...

    @property
    def archive(self) -> int | None:
        """The guest whose archive it is."""
        ...


def members(files: Iterable[LaidFile]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield the members of the stream: plain files, and hard links to the archives in their store."""
    for file in files:
        member = tarfile.TarInfo(file.path.lstrip("/"))
        member.mtime, member.mode = int(file.mtime), 0o644
        if file.archive is None:
            member.size = len(file.data)
        else:
            member.type, member.linkname = tarfile.LNKTYPE, f"{STORE}/{file.archive}".lstrip("/")
        yield member, file.data


def as_tar(files: Iterable[LaidFile]) -> bytes:
    """Return the files as a tar to unpack at the root of the node's file system."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in members(files):
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def lay(machinery: Machinery, files: Sequence[LaidFile], journal: Iterable[DatedLine]) -> None:
    """Lay files and journal lines on the node, and take the archives' own names away."""
    with machinery.courier.put(argv=["tar", "-C", "/", "--no-same-owner", "-xpf", "-"]) as sink:
        sink.write(as_tar(files))
    dates = {
        file.archive: (file.mtime, file.path) for file in sorted(files, key=lambda file: file.mtime) if file.archive
    }
    for mtime, path in dates.values():
        machinery.check(["touch", "-d", f"@{mtime:.0f}", path], f"date {path}")
    machinery.check(["rm", "-r", STORE], "remove the archives' first names")
    machinery.hypervisor.node.import_journal(journal)
