"""Scheduled backup jobs and what they include."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IncludedVolume:
    """One volume of a guest in a job: ``key`` as scsi0, whether its data is in the backup."""

    vmid: int
    key: str
    volid: str
    included: bool


@dataclass(frozen=True)
class BackupJob:
    """A scheduled job. ``includes`` maps each VMID it really backs up to that guest's volumes.

    ``prune`` holds the job's own keep counts (empty: the job says nothing of retention), ``runs`` the planned
    times (epoch) asked of the site, all of them up to ``runs_until``; ``runs_source`` is who computed them.
    """

    id: str
    enabled: bool
    schedule: str
    storage: str | None
    mode: str
    compress: str | None
    prune: Mapping[str, int] | None
    remove: bool | None = None
    node: str | None = None
    selection: str = ""
    vmids: tuple[int, ...] = ()
    includes: Mapping[int, tuple[IncludedVolume, ...]] = field(default_factory=dict)
    ghosts: tuple[int, ...] = ()
    runs: tuple[int, ...] = ()
    runs_source: str = ""
    runs_until: int = 0
    raw: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_cron(self) -> bool:
        """Whether it stands in vzdump.cron: its id is a SHA-1 and a number (upstream: PVE/VZDump/Common.pm)."""
        return bool(re.fullmatch(r"[0-9a-f]{40}:\d+", self.id))

    def __str__(self) -> str:
        return f"job {self.id}"
