"""Storages as such: enabled or not, active or not, their folders and their space.

Upstream: PVE/Storage.pm activate_storage, storage_info; PVE/Storage/DirPlugin.pm and Plugin.pm. A directory storage
without ``is_mountpoint`` makes its folders on whatever filesystem is there, which is the classic silent failure.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.hypervisor import HypervisorError
from lab.pve import volumes
from lab.pve.call import ApiError, die
from lab.pve.site import Site

Section = Mapping[str, object]

_SUBFOLDERS = {
    "backup": "dump",
    "images": "images",
    "rootdir": "private",
    "iso": "template/iso",
    "vztmpl": "template/cache",
    "snippets": "snippets",
    "import": "import",
}
_TRUE = {"1", "yes", "on", "true"}
_FALSE = {"0", "no", "off", "false", ""}


@dataclass(frozen=True)
class Space:
    """Bytes of a storage; all zero when it is not active."""

    total: int = 0
    used: int = 0
    avail: int = 0
    active: int = 0


def contents(section: Section) -> list[str]:
    """Give the kinds of content a storage is meant for."""
    return [kind for kind in re.split(r"[,\s]+", str(section.get("content", "images,rootdir"))) if kind]


def is_disabled(section: Section) -> bool:
    """Tell whether a storage is switched off."""
    return str(section.get("disable", 0)) in _TRUE


def folder(section: Section, kind: str) -> str:
    """Give the folder of a kind of content on a directory storage, ``content-dirs`` considered."""
    own = dict(part.split("=", 1) for part in str(section.get("content-dirs", "")).split(",") if "=" in part)
    return posixpath.join(str(section.get("path", "/")), own.get(kind, _SUBFOLDERS[kind]).lstrip("/"))


def mountpoint(section: Section) -> str | None:
    """Give the path that must be a mount point, or None when nothing is demanded."""
    value = str(section.get("is_mountpoint", ""))
    if value.lower() in _FALSE:
        return None
    return str(section.get("path")) if value.lower() in _TRUE else value


def is_here(site: Site, storage: str) -> bool:
    """Tell whether a storage is meant for this node."""
    nodes = [name for name in str(site.storages[storage].get("nodes", "")).split(",") if name]
    return not nodes or site.node in nodes


def check_enabled(site: Site, storage: str) -> Section:
    """Give the section of an enabled storage; 500 when it is unknown, disabled or not for this node."""
    section = site.storage(storage)
    if is_disabled(section):
        die(f"storage '{storage}' is disabled")
    if not is_here(site, storage):
        die(f"storage '{storage}' is not available on node '{site.node}'")
    return section


def activate(site: Site, storage: str) -> None:
    """Make a storage usable: its mount is checked before any folder is made; 500 says why it is not."""
    section = check_enabled(site, storage)
    if not volumes.on_files(site, storage):
        return
    wanted = mountpoint(section)
    if wanted and posixpath.normpath(wanted) not in site.hypervisor.node.mountpoints():
        die(
            f"unable to activate storage '{storage}' - directory is expected to be a mount point but is not mounted:"
            f" '{wanted}'"
        )
    if str(section.get("create-subdirs", section.get("mkdir", 1))) not in _FALSE:
        for kind in contents(section):
            if kind in _SUBFOLDERS:
                site.hypervisor.node.makedirs(folder(section, kind))


def space(site: Site, storage: str) -> Space:
    """Measure a storage; a storage that cannot be activated has no space."""
    try:
        activate(site, storage)
    except (ApiError, HypervisorError, OSError):
        return Space()
    section = site.storage(storage)
    if section["type"] == "lvm":
        return _volume_group(site, str(section["vgname"]))
    if not volumes.on_files(site, storage):
        return Space()
    try:
        usage = site.hypervisor.node.usage(str(section["path"]))
    except (HypervisorError, OSError):
        return Space()
    return Space(usage.total, usage.used, usage.avail, 1)


def _volume_group(site: Site, group: str) -> Space:
    """Measure a volume group on the node."""
    found = site.hypervisor.node.run(
        ["vgs", "--units", "b", "--nosuffix", "--reportformat", "json", "-o", "vg_name,vg_size,vg_free"]
    )
    if found.rc:
        return Space()
    for report in json.loads(found.stdout).get("report", []):
        for line in report.get("vg", []):
            if line["vg_name"] == group:
                total, free = int(line["vg_size"]), int(line["vg_free"])
                return Space(total, total - free, free, 1)
    return Space()


def check_backup_content(site: Site, storage: str) -> Section:
    """Give the section of a storage for backups; 500 when it is not meant for them."""
    section = site.storage(storage)
    if "backup" not in contents(section):
        die(f"can't use storage '{storage}' for backups - wrong content type")
    return section
