"""The whole state of a lab's site, flat, so that two moments can be compared: production and everything beside it."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.labsite import LabSite

HISTORY = ("/var/log", "/proc", "/run/netns")
"""Where a node keeps what merely happened."""


def whole(lab: LabSite) -> dict[str, str]:
    """Every guest, volume, file, right, job and network device: what is it called, and what is in it."""
    site, node = lab.site, lab.hypervisor.node
    with site.lock:
        found: dict[str, Any] = {f"guest {vmid}": guest for vmid, guest in site.guests.items()}
        for kind in ("storages", "jobs", "pools", "ha_resources", "replication", "firewall"):
            found |= {f"{kind} {key}": value for key, value in getattr(site, kind).items()}
        for kind in ("vzdump_conf", "datacenter", "datacenter_firewall"):
            found[kind] = getattr(site, kind)
        access = site.access
        found |= {f"acl {number}": entry for number, entry in enumerate(access.acl)}
        found |= {"users": access.users, "groups": access.groups, "roles": sorted(access.roles)}
    found |= {f"volume {volid}": (disk.size, _sum(disk.pages)) for volid, disk in lab.hypervisor.disks.items()}
    found |= {f"running {vmid}": "yes" for vmid in lab.hypervisor.machines}
    found |= {f"still running: {task.type} {task.id}": task.upid for task in site.tasks.all() if task.endtime is None}
    for mount, filesystem in node.files.mounts.items():
        for path, entry in filesystem.entries.items():
            whole_path = f"{mount.rstrip('/')}{path}"
            if not whole_path.startswith(HISTORY):
                found[f"file {whole_path}"] = (entry.mode, hashlib.sha256(entry.data).hexdigest()[:16])
    network = node.host.network
    for space, links in network.namespaces.items():
        for link in links.values():
            found[f"device {space or 'node'}/{link.name}"] = (link.kind, link.up, link.master, link.addresses)
    return {key: repr(value) for key, value in found.items()}


def _sum(pages: dict[int, Any]) -> str:
    digest = hashlib.sha256()
    for number in sorted(pages):
        digest.update(number.to_bytes(8, "big") + bytes(pages[number]))
    return digest.hexdigest()[:16]


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What appeared, went, or changed, in words; empty when nothing did."""
    return [
        f"{key}: was {before.get(key, 'not there')[:200]}, is {after.get(key, 'not there')[:200]}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]
