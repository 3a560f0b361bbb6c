"""Archives: one backup of one guest, as a file on a storage."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

STANDARD_NAME = re.compile(
    r"vzdump-(qemu|lxc|openvz)-[1-9]\d{2,8}-\d{4}_\d{2}_\d{2}-\d{2}_\d{2}_\d{2}"
    r"(\.(tgz|(vma|tar)(\.(gz|lzo|zst|bz2))?))"
)
"""Upstream: PVE/Storage/Plugin.pm, names of archives on file-based storages."""
_SNAPSHOT = re.compile(r"[^:]+:backup/(vm|ct)/[1-9]\d{2,8}/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""Upstream: PVE/Storage/PBSPlugin.pm parse_volname, backups of guests on a Proxmox Backup Server."""


@dataclass(frozen=True)
class Archive:
    """``ctime`` is the start of the backup (epoch, from the file's name); ``size`` in bytes, None where not shown."""

    volid: str
    storage: str
    node: str
    vmid: int
    kind: str
    ctime: int
    size: int | None = None
    protected: bool = False
    notes: str = ""

    @property
    def filename(self) -> str:
        """The file's own name, without storage and folder."""
        return self.volid.rsplit("/", 1)[-1]

    @property
    def renamed(self) -> bool:
        """Whether the name is not one that vzdump gives: such a file's ``ctime`` is no backup's, nothing prunes it."""
        return STANDARD_NAME.fullmatch(self.filename) is None and _SNAPSHOT.fullmatch(self.volid) is None

    def is_of(self, vmid: int, kind: str) -> bool:
        """Whether it is a backup of that guest: the same VMID may have been another kind of guest before."""
        return (self.vmid, self.kind) == (vmid, kind) and not self.renamed

    @property
    def compression(self) -> str:
        """The compression by the name: zstd, gzip, lzo or none."""
        endings = {".zst": "zstd", ".gz": "gzip", ".tgz": "gzip", ".lzo": "lzo"}
        return next((name for ending, name in endings.items() if self.filename.endswith(ending)), "none")

    def age(self, now: dt.datetime) -> dt.timedelta:
        """How old it was at that moment."""
        return now - dt.datetime.fromtimestamp(self.ctime, tz=dt.UTC)

    def __str__(self) -> str:
        return f"archive {self.volid}"
