"""Archives on a storage: what lies in its ``dump`` folder, who may see it, and how it is removed.

Archives are files on the node and nothing else: whatever is asked is answered from the folder as it is now.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from lab.hypervisor import FileStat
from lab.pve import archive_names
from lab.pve.archive_names import ArchiveName
from lab.pve.call import ApiError, Call, die
from lab.pve.site import Site
from lab.pve.storages import activate, folder

Log = Callable[[str], object]
_MAX_PROTECTED = 5


@dataclass(frozen=True)
class Archive:
    """One archive. ``ctime`` is the moment in its name, else the file's own; ``notes`` holds all lines."""

    storage: str
    name: ArchiveName
    size: int
    ctime: int
    mtime: float
    protected: bool
    notes: str

    @property
    def volid(self) -> str:
        """Name it as "storage:backup/FILE"."""
        return f"{self.storage}:backup/{self.name.file}"

    def item(self) -> dict[str, object]:
        """Give the line of a content listing: only the first line of notes, ``protected`` only when it is."""
        found: dict[str, object] = {
            "volid": self.volid,
            "content": "backup",
            "format": self.name.format,
            "size": self.size,
            "ctime": self.ctime,
            "subtype": self.name.type,
        }
        if self.name.vmid is not None:
            found["vmid"] = self.name.vmid
        if first := self.notes.split("\n", 1)[0]:
            found["notes"] = first
        if self.protected:
            found["protected"] = 1
        return found


def dump_folder(site: Site, storage: str) -> str:
    """Give the folder of a storage's archives on the node."""
    return folder(site.storage(storage), "backup")


def listing(site: Site, storage: str, vmid: int | None = None) -> list[Archive]:
    """List the archives of an active storage by name; with ``vmid`` those whose name holds it."""
    path = dump_folder(site, storage)
    try:
        files = {stat.name: stat for stat in site.hypervisor.node.listdir(path)}
    except FileNotFoundError:
        return []
    found = []
    for file in sorted(files):
        name = archive_names.read(file, site.zone)
        if name is not None and (vmid is None or f"-{vmid}-" in file):
            found.append(_archive(site, storage, name, files))
    return found


def _archive(site: Site, storage: str, name: ArchiveName, files: dict[str, FileStat]) -> Archive:
    stat = files[name.file]
    ctime = int(stat.ctime) if name.ctime is None else name.ctime
    notes = files.get(f"{name.file}.notes")
    text = _notes(site, f"{dump_folder(site, storage)}/{notes.name}", notes) if notes else ""
    return Archive(storage, name, stat.size, ctime, stat.mtime, f"{name.file}.protected" in files, text)


def _notes(site: Site, path: str, stat: FileStat) -> str:
    """Read notes; unchanged files are read once."""
    stamp = (stat.mtime, stat.size)
    cached = site.notes.get(path)
    if cached is None or cached[0] != stamp:
        try:
            text = site.hypervisor.node.read(path).decode("utf-8", "replace").rstrip("\n")
        except FileNotFoundError:
            return ""
        cached = site.notes[path] = (stamp, text)
    return cached[1]


def find(site: Site, volid: str) -> Archive:
    """Find one archive by its volid, activating its storage; 500 when it is not there."""
    storage, _, volume = volid.partition(":")
    site.storage(storage)
    activate(site, storage)
    file = volume.removeprefix("backup/")
    for archive in listing(site, storage):
        if archive.name.file == file:
            return archive
    raise ApiError(500, f"volume '{volid}' does not exist")


def path_of(site: Site, volid: str) -> str:
    """Give an archive's path on the node."""
    storage, _, volume = volid.partition(":")
    return posixpath.join(dump_folder(site, storage), volume.removeprefix("backup/"))


def owner_of(site: Site, volid: str) -> int | None:
    """Give the guest an archive's name tells."""
    name = archive_names.read(volid.rpartition("/")[2], site.zone)
    return name.vmid if name else None


def check_access(call: Call, volid: str) -> None:
    """Refuse (403) an archive the caller may not read (upstream: PVE/Storage.pm check_volume_access).

    Either Datastore.Allocate on the storage, or Datastore.AllocateSpace on it and VM.Backup on the guest.
    """
    storage = volid.partition(":")[0]
    if call.check(f"/storage/{storage}", "Datastore.Allocate", noerr=True):
        return
    vmid = owner_of(call.site, volid)
    if vmid is None:
        die(f"missing privileges to access {volid}")
    call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
    call.check(f"/vms/{vmid}", "VM.Backup")


def remove(site: Site, archive: Archive) -> None:
    """Remove an archive with its log and notes; a protected one is refused."""
    path = path_of(site, archive.volid)
    if archive.protected:
        die(f"cannot remove protected archive '{path}'")
    node = site.hypervisor.node
    node.unlink(path)
    for sidecar in (f"{path}.notes", posixpath.join(posixpath.dirname(path), archive.name.log)):
        try:
            node.unlink(sidecar)
        except FileNotFoundError:
            continue


def set_notes(site: Site, archive: Archive, notes: str) -> None:
    """Write an archive's notes; empty notes remove the file."""
    path = path_of(site, archive.volid) + ".notes"
    if notes:
        site.hypervisor.node.write(path, notes.encode())
    elif archive.notes:
        site.hypervisor.node.unlink(path)
    site.notes.pop(path, None)


def check_protected_limit(call: Call, storage: str, vmid: int | None, kind: str) -> None:
    """Refuse one more protected archive of a guest (upstream: PVE/Storage.pm get_max_protected_backups; not recorded).

    The storage's own limit counts, or five for a caller without Datastore.Allocate; -1 is no limit.
    """
    free = call.check(f"/storage/{storage}", "Datastore.Allocate", noerr=True)
    limit = int(call.site.storage(storage).get("max-protected-backups", -1 if free else _MAX_PROTECTED))
    mine = [one for one in listing(call.site, storage, vmid) if one.protected and one.name.type == kind]
    if -1 < limit <= len(mine):
        die(f"The number of protected backups per guest is limited to {limit} on storage '{storage}'")


def set_protected(site: Site, archive: Archive, *, protected: bool) -> None:
    """Protect an archive from removal, or no longer."""
    path = path_of(site, archive.volid) + ".protected"
    if protected and not archive.protected:
        site.hypervisor.node.write(path, b"")
    elif archive.protected and not protected:
        site.hypervisor.node.unlink(path)
