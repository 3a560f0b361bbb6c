"""What is known of an archive's content: that it was read from end to end, or that a drill restored it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ArchiveReading:
    """One reading of an archive on its node, from end to end or until damage was met.

    ``size`` is that of the file when the reading began, ``read`` how much was read, in bytes. ``problem`` is empty
    where the archive is whole; ``checksummed`` tells whether its data carries checksums (all were right). ``disks``
    maps the disks in it to bytes, ``members`` counts those of a container's archive; it took ``seconds``.
    """

    volid: str
    node: str
    ctime: int
    size: int
    read: int
    at: dt.datetime
    seconds: float = 0.0
    sha256: str = ""
    problem: str = ""
    checksummed: bool = False
    disks: Mapping[str, int] = field(default_factory=dict)
    members: int = 0


@dataclass(frozen=True)
class DrilledArchive:
    """An archive of which a drill has passed: the very file, by name, time and size."""

    vmid: int
    volid: str
    node: str
    ctime: int
    size: int
    run: str
    finished: str
