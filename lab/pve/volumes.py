"""Guest volumes: their names by storage type, making, removing and finding them, and the lines tools leave in logs.

Upstream: PVE/Storage/Plugin.pm find_free_diskname, PVE/Storage/LVMPlugin.pm, PVE/QemuServer.pm rescan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lab.pve.call import die

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site

Log = Callable[[str], None]
_FOLDERS = frozenset({"dir", "nfs", "cifs", "btrfs", "cephfs"})
_OWNER = re.compile(r"(?:^|/)(?:vm|base|subvol|basevol)-(\d+)-")
_QCOW2 = (
    "Formatting '{path}', fmt=qcow2 cluster_size=65536 extended_l2=off preallocation=metadata compression_type=zlib"
    " size={size} lazy_refcounts=off refcount_bits=16"
)

_EXTENDED = "cluster_size=131072 extended_l2=on"


def storage_of(volid: str) -> str:
    """The storage of "storage:volume"."""
    return volid.partition(":")[0]


def owner(volid: str) -> int | None:
    """The VMID a volume belongs to, read off its name."""
    found = _OWNER.search(volid.rpartition(":")[2].rpartition("/")[2])
    return int(found[1]) if found else None


def is_base(volid: str) -> bool:
    """Whether it is the read-only disk of a template."""
    return volid.rpartition(":")[2].rpartition("/")[2].startswith(("base-", "basevol-"))


def on_files(site: Site, storage: str) -> bool:
    """Whether the storage keeps volumes as files (with formats) rather than as block devices."""
    return site.storage(storage)["type"] in _FOLDERS


def check_content(site: Site, storage: str, content: str) -> None:
    """Refuse a storage that is unknown, disabled, or not meant for this content."""
    section = site.storage(storage)
    if section.get("disable"):
        die(f"storage '{storage}' is disabled")
    if content not in re.split(r"[,\s]+", str(section.get("content", ""))):
        die(f"Content type '{content}' is not available on storage '{storage}'")


def default_format(site: Site, storage: str, wanted: str = "") -> str:
    """The format a new volume gets: the wanted one where files are kept, else raw."""
    return wanted if on_files(site, storage) and wanted in {"raw", "qcow2", "vmdk"} else "raw"


def free_name(site: Site, storage: str, vmid: int, form: str, prefix: str = "vm") -> str:
    """The next free volume of a guest on a storage: "vmdata:vm-201-disk-0"."""
    taken = {
        int(found[1])
        for volid in site.hypervisor.volumes()
        if storage_of(volid) == storage and (found := re.search(rf"(?:vm|base|subvol)-{vmid}-disk-(\d+)", volid))
    }
    number = next(number for number in range(len(taken) + 1) if number not in taken)
    name = f"{prefix}-{vmid}-disk-{number}"
    return f"{storage}:{vmid}/{name}.{form}" if on_files(site, storage) else f"{storage}:{name}"


def allocate(
    site: Site, storage: str, vmid: int, size: int, log: Log, *, form: str = "", like: str | None = None
) -> str:
    """Make a volume and return its name; ``size`` in bytes, ``like`` a volume to copy."""
    form = default_format(site, storage, form)
    volid = free_name(site, storage, vmid, form)
    site.hypervisor.allocate(volid, size, like)
    log(_made(site, volid, size, form))
    return volid


def _made(site: Site, volid: str, size: int, form: str) -> str:
    path = site.hypervisor.path(volid)
    if not on_files(site, storage_of(volid)):
        return f'  Logical volume "{volid.partition(":")[2]}" created.'
    return (
        _QCOW2.format(path=path, size=size)
        if form == "qcow2"
        else f"Formatting '{path}', fmt={form} size={size} preallocation=off"
    )


def linked_line(path: str, size: int, base: str) -> str:
    """What qemu-img prints of a linked clone: a qcow2 file with a file to read from behind it."""
    text = _QCOW2.format(path=path, size=size).replace("cluster_size=65536 extended_l2=off", _EXTENDED)
    return text.replace(f"size={size}", f"size={size} backing_file=../{base} backing_fmt=qcow2")


def remove(site: Site, volid: str, log: Log) -> None:
    """Remove a volume; a base that linked clones use is refused."""
    if is_base(volid) and linked_clones(site, volid):
        die(f"base volume '{volid}' is still in use by linked cloned")
    if volid not in site.hypervisor.volumes():
        return
    site.hypervisor.free(volid)
    if not on_files(site, storage_of(volid)):
        log(f'  Logical volume "{volid.partition(":")[2]}" successfully removed.')


def undo(site: Site, vmid: int, made: Iterable[str]) -> None:
    """Free the volumes of a guest whose making failed, and forget the guest."""
    for volid in made:
        site.hypervisor.free(volid)
    with site.lock:
        site.guests.pop(vmid, None)


def linked_clones(site: Site, base: str) -> list[str]:
    """Volumes that are linked clones of a base volume."""
    return [volid for volid in site.hypervisor.volumes() if volid.startswith(f"{base}/")]


def make_base(site: Site, volid: str, log: Log) -> str:
    """Turn a disk into the read-only base of a template: its new name."""
    storage, _, volume = volid.partition(":")
    folder, slash, name = volume.rpartition("/")
    new = name.replace("vm-", "base-", 1)
    renamed = f"{storage}:{folder}{slash}{new}"
    site.hypervisor.rename(volid, renamed)
    if not on_files(site, storage):
        log(f'  Renamed "{name}" to "{new}" in volume group "{site.storage(storage).get("vgname", storage)}"')
    return renamed


def size_of(site: Site, volid: str, default: int = 0) -> int:
    """Bytes of a volume."""
    return site.hypervisor.volumes().get(volid, default)


def write_zeros(site: Site, storage: str) -> int:
    """1 where a fresh volume may hold old data, so that a restore must write zeros too (thick LVM)."""
    return int(site.storage(storage)["type"] == "lvm")


def referenced(guest: GuestRecord) -> set[str]:
    """Every volume that a guest's configuration or one of its snapshots names."""
    sections = [guest.config, guest.pending, *guest.snapshots.values()]
    values = [str(value).split(",", 1)[0] for section in sections for value in section.values()]
    return {value.removeprefix("volume=").removeprefix("file=") for value in values if ":" in value}


def rescan(site: Site, guest: GuestRecord) -> None:
    """Give every volume of this guest that nothing names an ``unusedN`` key."""
    known = referenced(guest)
    for volid in of_guest(site, guest.vmid):
        if volid not in known and storage_of(volid) in site.storages:
            add_unused(site, guest, volid)


def add_unused(site: Site, guest: GuestRecord, volid: str) -> None:
    """Name a volume under the first free ``unusedN`` key."""
    with site.lock:
        number = next(number for number in range(256) if f"unused{number}" not in guest.config)
        guest.config[f"unused{number}"] = volid


def of_guest(site: Site, vmid: int, *, snapshots: bool = False) -> list[str]:
    """All volumes that belong to a guest by name; with ``snapshots`` the kept contents of its snapshots instead."""
    return [
        volid for volid in sorted(site.hypervisor.volumes()) if owner(volid) == vmid and is_snapshot(volid) == snapshots
    ]


def snapshot_name(volid: str, snapshot: str) -> str:
    """The volume that keeps a disk's content as of a snapshot."""
    return f"{volid}@{snapshot}"


def is_snapshot(volid: str) -> bool:
    """Whether it is such a kept content and no volume of its own."""
    return "@" in volid
