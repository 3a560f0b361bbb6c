"""Nodes: version, clock and what is mounted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mount:
    """One entry of findmnt: source device, file system, options, and whether something mounts it at boot.

    ``flags`` are the options of the mount and of the file system itself, as the kernel holds them (what statvfs tells
    from): after an error a file system is read-only while its mount still says ``rw``.
    """

    target: str
    source: str
    fstype: str
    options: str
    fsroot: str = "/"
    persistent_by: str | None = None
    flags: str = ""

    @property
    def is_read_only(self) -> bool:
        """Whether the mount or the file system under it takes no writes."""
        words = {*self.options.split(","), *self.flags.split(",")}
        return not words.isdisjoint({"ro", "emergency_ro", "shutdown"})

    @property
    def device(self) -> str:
        """The source without the part in brackets that a bind mount or a subvolume adds."""
        return self.source.split("[", 1)[0]


@dataclass(frozen=True)
class Node:
    """One node of the site. ``skew`` is its clock minus ours, in seconds."""

    name: str
    online: bool
    version: str = ""
    timezone: str = ""
    now: int = 0
    skew: float = 0.0
    kernel: str = ""

    def __str__(self) -> str:
        return f"node {self.name}"
