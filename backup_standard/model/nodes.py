"""Nodes: version, clock and what is mounted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mount:
    """One entry of findmnt: source device, file system, options, and whether something mounts it at boot."""

    target: str
    source: str
    fstype: str
    options: str
    fsroot: str = "/"
    persistent_by: str | None = None


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
