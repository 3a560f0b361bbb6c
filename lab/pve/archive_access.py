"""Find an archive for somebody who wants to restore it; each refusal in the real thing's words.

Upstream: PVE/API2/Qemu.pm parse_backup_archive, PVE/Storage.pm check_volume_access.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.pve import archives
from lab.pve.call import Call, die
from lab.pve.site import Site

_SUFFIX = re.compile(r"\.(?P<kind>vma|tar|tgz)(?:\.(?P<compression>zst|gz|lzo|bz2))?$")


def arbitrary(site: Site) -> str:
    """What a path in place of a volume is refused with; the real text names its source line."""
    line = site.release.arbitrary_path
    return f"Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line {line}."


@dataclass(frozen=True)
class Archive:
    """An archive as a restore sees it. ``kind`` is "vma" or "tar"; ``compression`` "zst", "gz", "lzo", "bz2" or ""."""

    volid: str
    path: str
    kind: str
    compression: str


def locate(call: Call, volid: str) -> Archive:
    """The archive of a volume id (or, for root@pam, of an absolute path)."""
    _, colon, name = volid.partition(":")
    if not colon or volid.startswith("/"):
        if not call.is_root:
            die(arbitrary(call.site))
        return _archive(volid, volid)
    if not name.startswith("backup/"):
        die(f"unable to parse volume ID '{volid}'" if not name else f"'{volid}' is not a backup volume")
    archives.check_access(call, volid)
    found = archives.find(call.site, volid)
    return _archive(volid, archives.path_of(call.site, found.volid))


def _archive(volid: str, path: str) -> Archive:
    found = _SUFFIX.search(path)
    if not found:
        die(f"ERROR: couldn't determine archive info from '{path}'")
    return Archive(volid, path, "vma" if found["kind"] == "vma" else "tar", found["compression"] or "")
