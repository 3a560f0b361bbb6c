"""Drive lines in a configuration change: new volumes, re-attached ones, CD-ROMs, and what removing a line leaves.

Upstream: PVE/API2/Qemu.pm create_disks, check_storage_access; PVE/QemuServer.pm vmconfig_delete_or_detach_drive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.pve import rights, volumes
from lab.pve.archive_access import arbitrary
from lab.pve.call import Call, die
from lab.pve.guestconfig import format_size, is_cdrom, is_drive, join_properties, split_properties
from lab.pve.guestlocks import check_protection

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site

GIB = 1 << 30


def resolve(call: Call, guest: GuestRecord, key: str, value: str, log: volumes.Log) -> str:
    """The line to store for a drive: "vmdata:4" makes a new volume of 4 GiB, anything else must exist."""
    properties = split_properties(value)
    volume = properties.get("file", "none")
    if is_cdrom(value) or volume == "none":
        return value
    if volume.startswith("/"):
        if not call.is_root:
            die(arbitrary(call.site))
        return value
    if re.fullmatch(r"\d+(\.\d+)?", volume.partition(":")[2]):
        return _new_volume(call, guest, key, properties, log)
    _attach(call.site, guest, volume)
    size = volumes.size_of(call.site, volume)
    return join_properties({**properties, "size": format_size(size)})


def _new_volume(call: Call, guest: GuestRecord, key: str, properties: dict[str, str], log: volumes.Log) -> str:
    storage, _, gigabytes = properties["file"].partition(":")
    rights.check_storage(call, storage)
    volumes.check_content(call.site, storage, "images")
    size = int(float(gigabytes) * GIB)
    if size <= 0:
        die(f"{key}: cannot create a disk without a size")
    volid = volumes.allocate(call.site, storage, guest.vmid, size, log, form=properties.pop("format", "raw"))
    line = join_properties({**properties, "file": volid, "size": format_size(size)})
    log(f"{key}: successfully created disk '{line}'")
    return line


def _attach(site: Site, guest: GuestRecord, volume: str) -> None:
    if volume not in site.hypervisor.volumes():
        die(f"volume '{volume}' does not exist")
    if volumes.owner(volume) != guest.vmid:
        die(f"volume '{volume}' belongs to another guest than {guest.vmid}")
    with site.lock:
        for key in [key for key, value in guest.config.items() if key.startswith("unused") and value == volume]:
            del guest.config[key]


def drop(site: Site, guest: GuestRecord, key: str, log: volumes.Log) -> None:
    """Take a line out: a drive's volume becomes unused, an unused volume is destroyed."""
    value = str(guest.config[key])
    volume = split_properties(value).get("file", "none")
    owned = volumes.owner(volume) == guest.vmid and volume in site.hypervisor.volumes()
    if key.startswith("unused"):
        check_protection(guest, f"can't remove unused disk '{key}'")
        del guest.config[key]
        if owned:
            volumes.remove(site, volume, log)
        return
    if is_drive(key) and owned and not is_cdrom(value):
        check_protection(guest, f"can't remove drive '{key}'")
        del guest.config[key]
        volumes.add_unused(site, guest, volume)
        return
    del guest.config[key]
