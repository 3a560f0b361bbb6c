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
        return STANDARD_NAME.fullmatch(self.filename) is None

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
