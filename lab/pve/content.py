"""Routes of a storage's content: listing, one volume's attributes, notes and protection, removal.

Upstream: PVE/API2/Storage/Content.pm. A listing leaves out every volume the caller may not read, without a word:
an auditor with Datastore.Audit alone gets an empty list of backups and status 200.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.hypervisor import FileStat
from lab.pve import archives, storages, volumes
from lab.pve.call import ApiError, Call, die
from lab.pve.site import Site
from lab.pve.tasks import TaskLog

_BLOCK = 4096
_FORMATS = {"iso": "iso", "vztmpl": "tgz", "snippets": "snippet", "import": "raw"}
_SUFFIXES = {
    "iso": (".iso", ".img"),
    "vztmpl": (".tar.gz", ".tar.xz", ".tar.zst", ".tgz"),
    "import": (".ova", ".ovf", ".qcow2", ".raw", ".vmdk"),
    "snippets": ("",),
}


def listing(call: Call) -> object:
    """GET /nodes/{node}/storage/{storage}/content."""
    site, storage = call.site, str(call.params["storage"])
    section = site.storage(storage)
    storages.activate(site, storage)
    wanted = call.params.get("content")
    found = []
    for kind in storages.contents(section):
        if wanted in {None, kind}:
            found += [
                item for item in _items(site, storage, kind, call.params.get("vmid")) if _readable(call, kind, item)
            ]
    return found


def _items(site: Site, storage: str, kind: str, vmid: int | None) -> Iterator[dict[str, object]]:
    if kind == "backup":
        yield from (archive.item() for archive in archives.listing(site, storage, vmid))
    elif kind in {"images", "rootdir"}:
        yield from _disks(site, storage, kind, vmid)
    elif kind in _FORMATS and vmid is None:
        for stat in _files(site, storages.folder(site.storage(storage), kind)):
            if stat.name.endswith(_SUFFIXES[kind]):
                yield {
                    "volid": f"{storage}:{kind}/{stat.name}",
                    "content": kind,
                    "format": _FORMATS[kind],
                    "size": stat.size,
                    "ctime": int(stat.ctime),
                }


def _files(site: Site, path: str) -> list[FileStat]:
    try:
        return site.hypervisor.node.listdir(path)
    except FileNotFoundError:
        return []


def _disks(site: Site, storage: str, kind: str, vmid: int | None) -> Iterator[dict[str, object]]:
    on_files = volumes.on_files(site, storage)
    for volid, size in sorted(site.hypervisor.volumes().items()):
        owner = volumes.owner(volid)
        guest = site.guests.get(owner) if owner is not None else None
        belongs = "rootdir" if guest is not None and guest.kind == "lxc" else "images"
        if volid.startswith(f"{storage}:") and belongs == kind and vmid in {None, owner}:
            form = volid.rsplit(".", 1)[-1] if on_files and "." in volid else "raw"
            item = {"volid": volid, "content": kind, "format": form, "size": size, "vmid": owner}
            yield {**item, "parent": None, "used": size} if on_files else item


def _readable(call: Call, kind: str, item: dict[str, object]) -> bool:
    """Tell whether the caller may read a listed volume."""
    try:
        check_read(call, str(item["volid"]), kind)
    except ApiError:
        return False
    return True


def check_read(call: Call, volid: str, kind: str) -> None:
    """Refuse (403) a volume the caller may not read (upstream: PVE/Storage.pm check_volume_access)."""
    if kind == "backup":
        archives.check_access(call, volid)
        return
    path = f"/storage/{volid.partition(':')[0]}"
    if call.check(path, "Datastore.Allocate", noerr=True):
        return
    if kind in {"iso", "vztmpl", "import"}:
        call.check(path, "Datastore.AllocateSpace", "Datastore.Audit", any=True)
    elif kind in {"images", "rootdir"}:
        call.check(path, "Datastore.Audit")
        call.check(f"/vms/{volumes.owner(volid)}", "VM.Config.Disk")
    else:
        die(f"missing privileges to access {volid}")


def _volid(call: Call) -> tuple[str, str]:
    """Give the volume of a request as a full volid, and its kind of content."""
    storage, volume = str(call.params["storage"]), str(call.params["volume"])
    if ":" in volume:
        named, _, volume = volume.partition(":")
        if named != storage:
            raise ApiError.param({"storage": f"storage ID missmatch ({named} != {storage}"})
    kind = volume.split("/", 1)[0] if "/" in volume else "images"
    return f"{storage}:{volume}", kind if kind in {"backup", *_FORMATS} else "images"


def attributes(call: Call) -> object:
    """GET …/content/{volume}: notes in full; size is that of the blocks on disk, so it differs from the listing."""
    volid, kind = _volid(call)
    check_read(call, volid, kind)
    if kind != "backup":
        return _plain_attributes(call.site, volid, kind)
    archive = archives.find(call.site, volid)
    blocks = -(-archive.size // _BLOCK) * _BLOCK
    found: dict[str, object] = {
        "path": archives.path_of(call.site, volid),
        "size": blocks,
        "used": blocks,
        "format": "raw",
        "protected": int(archive.protected),
    }
    if archive.notes:
        found["notes"] = archive.notes
    return found


def _plain_attributes(site: Site, volid: str, kind: str) -> object:
    if kind in _FORMATS:
        storage, _, volume = volid.partition(":")
        place = storages.folder(site.storage(storage), kind)
        for stat in _files(site, place):
            if stat.name == volume.split("/", 1)[1]:
                return {"path": f"{place}/{stat.name}", "size": stat.size, "used": stat.size, "format": "raw"}
    elif (size := site.hypervisor.volumes().get(volid)) is not None:
        return {"path": site.hypervisor.path(volid), "size": size, "used": size, "format": "raw"}
    raise ApiError(500, f"volume_size_info on '{volid}' failed")


def set_attributes(call: Call) -> object:
    """PUT …/content/{volume}: notes and protection of an archive."""
    volid, kind = _volid(call)
    check_read(call, volid, kind)
    if kind != "backup":
        die(f"updating attribute 'notes' is not supported for '{volid}'")
    archive = archives.find(call.site, volid)
    if "notes" in call.params:
        archives.set_notes(call.site, archive, str(call.params["notes"]))
    if "protected" in call.params:
        if call.params["protected"] and not archive.protected:
            archives.check_protected_limit(call, archive.storage, archive.name.vmid, archive.name.type)
        archives.set_protected(call.site, archive, protected=bool(call.params["protected"]))
    return None


def remove(call: Call) -> object:
    """DELETE …/content/{volume}: a task; a protected archive makes the task fail, not the request."""
    volid, kind = _volid(call)
    site, storage = call.site, volid.partition(":")[0]
    site.storage(storage)
    owner = archives.owner_of(site, volid) if kind == "backup" else volumes.owner(volid)
    if kind == "backup" and owner is not None:
        call.check(f"/storage/{storage}", "Datastore.AllocateSpace")
        call.check(f"/vms/{owner}", "VM.Backup")
    else:
        call.check(f"/storage/{storage}", "Datastore.Allocate")

    def work(log: TaskLog) -> None:
        if kind == "backup":
            archives.remove(site, archives.find(site, volid))
        else:
            _check_unused(site, volid, owner)
            volumes.remove(site, volid, log)
        log(f"Removed volume '{volid}'")

    ident = storage if owner is None else f"{owner}@{storage}"
    upid = site.tasks.start(call, "imgdel", ident, work)
    if call.params.get("delay"):
        try:
            done = site.tasks.wait(upid, float(call.params["delay"]))
        except TimeoutError:
            return upid
        return None if done.status == "OK" else upid
    return upid


def _check_unused(site: Site, volid: str, owner: int | None) -> None:
    """Refuse to remove a disk that its guest still uses."""
    guest = site.guests.get(owner) if owner is not None else None
    if guest is not None and volid in volumes.referenced(guest):
        die(f"Cannot remove image, a guest with VMID '{owner}' exists!")
