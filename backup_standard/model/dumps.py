"""The folder of a storage that holds the archives, as the node's own file system shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

UNFINISHED = (".dat", ".tmp")
"""Endings of what a backup writes while it runs (upstream: PVE/VZDump.pm); they stay behind when it is killed."""


@dataclass(frozen=True)
class DumpFile:
    """One entry of the folder: ``size`` in bytes, ``mtime`` in epoch seconds, ``device`` as stat's device number.

    ``head`` holds the first four bytes in hexadecimal and ``tail`` the last lines of a log; both are read only of the
    newest archive of each guest and of the log beside it, and are empty else.
    """

    name: str
    size: int
    mtime: int
    device: int
    folder: bool = False
    head: str = ""
    tail: tuple[str, ...] = ()

    @property
    def is_unfinished(self) -> bool:
        """Whether it is what a running backup writes, or a killed one left."""
        return self.name.endswith(UNFINISHED)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class DumpFolder:
    """The folder and everything directly in it; ``device`` is that of the storage's own path."""

    path: str
    device: int
    files: tuple[DumpFile, ...] = field(default=())

    @cached_property
    def by_name(self) -> dict[str, DumpFile]:
        """Its entries by name."""
        return {file.name: file for file in self.files}


def log_name(archive: str) -> str:
    """The name of the log beside an archive (upstream: the archive's name without its extension, and .log)."""
    for ending in (".tgz", ".vma", ".tar"):
        before, found, _ = archive.rpartition(ending)
        if found:
            return f"{before}.log"
    return f"{archive}.log"


def newest_of_each(names: Sequence[str]) -> list[str]:
    """Of archives' file names the newest of each guest: the time in the name decides."""
    newest: dict[tuple[str, ...], str] = {}
    for name in sorted(names):
        newest[tuple(name.split("-")[1:3])] = name
    return list(newest.values())
