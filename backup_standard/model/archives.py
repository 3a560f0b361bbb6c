"""Archives: one backup of one guest, as a file on a storage."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


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
    def compression(self) -> str:
        """The compression by the name: zstd, gzip, lzo or none."""
        endings = {".zst": "zstd", ".gz": "gzip", ".tgz": "gzip", ".lzo": "lzo"}
        return next((name for ending, name in endings.items() if self.filename.endswith(ending)), "none")

    def age(self, now: dt.datetime) -> dt.timedelta:
        """How old it was at that moment."""
        return now - dt.datetime.fromtimestamp(self.ctime, tz=dt.UTC)

    def __str__(self) -> str:
        return f"archive {self.volid}"
