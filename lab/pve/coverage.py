"""What backup jobs cover: the guests a job selects, their volumes, and the guests no job selects.

Upstream: PVE/VZDump.pm get_included_guests, PVE/QemuConfig.pm get_backup_volumes, PVE/LXC/Config.pm,
PVE/API2/Cluster/BackupInfo.pm. Guests the caller may not audit are left out without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.pve import cronjobs
from lab.pve.call import Call
from lab.pve.formats import split_list
from lab.pve.guestconfig import is_cdrom, is_drive, split_properties
from lab.pve.jobs import get_job
from lab.pve.site import GuestRecord, Site


@dataclass(frozen=True)
class Volume:
    """One drive or mount point of a guest, and whether a backup takes it."""

    key: str
    name: str
    included: bool
    reason: str


def selection(site: Site, job: Mapping[str, Any]) -> list[int]:
    """Give the VMIDs a job selects now, unknown ones of its list too; guests of another node drop out silently."""
    with site.lock:
        if job.get("pool"):
            chosen = {vmid for vmid, guest in site.guests.items() if guest.pool == job["pool"]}
        elif job.get("vmid"):
            chosen = {int(vmid) for vmid in split_list(str(job["vmid"]))}
        else:
            chosen = set(site.guests) - {int(vmid) for vmid in split_list(str(job.get("exclude", "")))}
        node = job.get("node")
        return sorted(vmid for vmid in chosen if not node or vmid not in site.guests or site.guests[vmid].node == node)


def volumes(guest: GuestRecord) -> list[Volume]:
    """Give the volumes of a guest; CD-ROM drives and unused disks do not count as such."""
    return _qemu(guest.config) if guest.kind == "qemu" else _lxc(guest.config)


def _qemu(config: Mapping[str, object]) -> list[Volume]:
    found = []
    for key in sorted(config):
        value = str(config[key])
        if not is_drive(key) or key.startswith("unused") or is_cdrom(value):
            continue
        drive = split_properties(value)
        if key.startswith("efidisk") and config.get("bios") != "ovmf":
            found.append(Volume(key, drive["file"], included=False, reason="efidisk but no OVMF BIOS"))
            continue
        taken = drive.get("backup", "1") not in {"0", "no", "off"}
        reason = "backup=no" if "backup" in drive else "backup=yes"
        found.append(Volume(key, drive["file"], included=taken, reason=reason))
    return found


def _lxc(config: Mapping[str, object]) -> list[Volume]:
    """Take the root filesystem always, mount points only when they ask for it (derived from upstream's source)."""
    found = []
    for key in sorted(config, key=lambda name: (name != "rootfs", name)):
        if key != "rootfs" and not (key.startswith("mp") and key[2:].isdigit()):
            continue
        mount = split_properties(str(config[key]), "volume")
        name = mount["volume"]
        if key == "rootfs":
            found.append(Volume(key, name, included=True, reason="rootfs"))
        elif name.startswith("/"):
            found.append(Volume(key, name, included=False, reason="not a volume"))
        else:
            taken = mount.get("backup", "0") in {"1", "yes", "on"}
            found.append(Volume(key, name, included=taken, reason="enabled" if taken else "disabled"))
    return found


def _audited(call: Call, vmid: int) -> bool:
    return call.check(f"/vms/{vmid}", "VM.Audit", noerr=True)


def included_volumes(call: Call) -> object:
    """GET /cluster/backup/{id}/included_volumes."""
    site = call.site
    job = get_job(site, str(call.params["id"]))
    children: list[dict[str, object]] = []
    for vmid in selection(site, job):
        if not _audited(call, vmid):
            continue
        guest = site.guests.get(vmid)
        if guest is None:
            children.append({"id": vmid, "type": "unknown", "leaf": 1})
            continue
        parts = [
            {
                "id": f"{vmid}:{one.key}",
                "name": one.name,
                "included": int(one.included),
                "reason": one.reason,
                "leaf": 1,
            }
            for one in volumes(guest)
        ]
        children.append({"id": vmid, "type": guest.kind, "name": guest.name, "leaf": int(not parts), "children": parts})
    return {"children": children}


def not_backed_up(call: Call) -> object:
    """GET /cluster/backup-info/not-backed-up: disabled jobs count as coverage, as on the real thing."""
    site = call.site
    with site.lock:
        known = [*cronjobs.of(site).values(), *site.jobs.values()]
        covered = {vmid for job in known for vmid in selection(site, job)}
        return [
            {"vmid": vmid, "type": guest.kind, "name": guest.name}
            for vmid, guest in sorted(site.guests.items())
            if vmid not in covered and _audited(call, vmid)
        ]
