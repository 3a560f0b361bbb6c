"""The names of archives in a storage's ``dump`` folder, and what they tell.

The stamp in a name is local time of the node that ran the backup (upstream: PVE/Storage.pm archive_info,
PVE/Storage/Plugin.pm get_subdir_files).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

_COMPRESSION = {"zstd": "zst", "gzip": "gz", "lzo": "lzo", "1": "lzo"}
_ARCHIVE = re.compile(r"(?P<name>.+)\.(?P<format>tgz|(?:tar|vma)(?:\.(?:gz|lzo|zst|bz2))?)")
_STANDARD = re.compile(
    r"vzdump-(?P<type>qemu|lxc|openvz)-(?P<vmid>[1-9]\d{2,8})-"
    r"(?P<stamp>\d{4}_\d{2}_\d{2}-\d{2}_\d{2}_\d{2})\.(?:tgz|(?:tar|vma)(?:\.(?:gz|lzo|zst|bz2))?)",
)
_NAMED = re.compile(r"vzdump-(?P<type>qemu|lxc|openvz)-.+")
_STAMP = "%Y_%m_%d-%H_%M_%S"


@dataclass(frozen=True)
class ArchiveName:
    """What a file name in ``dump`` says. ``ctime`` is None when the name holds no valid moment."""

    file: str
    format: str
    type: str
    vmid: int | None
    ctime: int | None

    @property
    def standard(self) -> bool:
        """Whether pruning may touch it."""
        return self.ctime is not None

    @property
    def log(self) -> str:
        """The file name of the log that lies beside it."""
        return self.file.removesuffix("." + self.format) + ".log"


def read(file: str, zone: ZoneInfo) -> ArchiveName | None:
    """Read a file name; None when it is no archive's name (a log, notes, an unfinished ``.dat``)."""
    found = _ARCHIVE.fullmatch(file)
    if not found:
        return None
    form = found["format"]
    owner = re.search(r"-([1-9]\d{2,8})-[^/]+$", found["name"] + "." + form)
    vmid = int(owner[1]) if owner else None
    standard = _STANDARD.fullmatch(file)
    if standard:
        ctime = _moment(standard["stamp"], zone)
        return ArchiveName(file, form, standard["type"] if ctime is not None else "unknown", vmid, ctime)
    named = _NAMED.fullmatch(file)
    return ArchiveName(file, form, named["type"] if named else "unknown", vmid, None)


def _moment(stamp: str, zone: ZoneInfo) -> int | None:
    try:
        local = datetime.strptime(stamp, _STAMP)  # noqa: DTZ007 - the zone follows
    except ValueError:
        return None
    return int(local.replace(tzinfo=zone).timestamp())


def compose(kind: str, vmid: int, when: int, compress: str, zone: ZoneInfo) -> str:
    """Name the archive of a backup that starts at ``when`` (seconds since the epoch)."""
    suffix = _COMPRESSION.get(compress)
    stamp = datetime.fromtimestamp(when, zone).strftime(_STAMP)
    return f"vzdump-{kind}-{vmid}-{stamp}.{'vma' if kind == 'qemu' else 'tar'}{'.' + suffix if suffix else ''}"


def unfinished(file: str) -> str:
    """Name the file an archive grows in: the last extension gives way to ``.dat``."""
    return file.rsplit(".", 1)[0] + ".dat"


def log_of(path: str) -> str:
    """Give the log beside an archive's path."""
    found = _ARCHIVE.fullmatch(path)
    return (found["name"] if found else path) + ".log"
