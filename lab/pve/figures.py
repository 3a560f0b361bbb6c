"""The figures of guests and storages as lists show them."""

from __future__ import annotations

import re
from typing import Any

from lab.pve import storages
from lab.pve.site import GuestRecord, Site

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def size_bytes(text: str) -> int:
    """A size such as "32G" in bytes; 0 when it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    return int(float(found[1]) * UNITS[found[2]]) if found else 0


def first_disk_size(guest: GuestRecord) -> int:
    """Size in bytes of the boot disk (or root filesystem) as the configuration tells it."""
    boot = re.findall(r"(?:order=|;)([a-z]+\d+)", str(guest.config.get("boot", "")))
    keys = [*boot, *guest.config] if guest.kind == "qemu" else ["rootfs"]
    for key in keys:
        value = str(guest.config.get(key, ""))
        if re.fullmatch(r"(ide|sata|scsi|virtio)\d+|rootfs", key) and "media=cdrom" not in value:
            found = re.search(r"(?:^|,)size=([^,]+)", value)
            if found:
                return size_bytes(found[1])
    return 0


def guest_figures(site: Site, guest: GuestRecord) -> dict[str, Any]:
    """The figures of a guest in lists. CPU use and traffic are not measured in the lab: they are 0."""
    running = site.hypervisor.is_running(guest.vmid)
    memory = int(guest.config.get("memory", 512)) << 20
    cores = int(guest.config.get("cores", 1)) * int(guest.config.get("sockets", 1))
    shown: dict[str, Any] = {
        "vmid": guest.vmid,
        "name": guest.name,
        "status": "running" if running else "stopped",
        "uptime": site.hypervisor.uptime(guest.vmid) if running else 0,
        "cpu": 0,
        "maxcpu": cores,
        "mem": memory // 3 if running else 0,
        "maxmem": memory,
        "disk": 0,
        "maxdisk": first_disk_size(guest),
        "netin": 0,
        "netout": 0,
        "diskread": 0,
        "diskwrite": 0,
        "template": int(guest.template),
    }
    if site.major >= 9:
        shown["memhost"] = shown["mem"]
    for key in ("tags", "lock"):
        if key in guest.config:
            shown[key] = guest.config[key]
    return shown


def guest_resource(site: Site, guest: GuestRecord) -> dict[str, Any]:
    """A guest as GET /cluster/resources and a pool's member list show it."""
    shown = {**guest_figures(site, guest), "id": f"{guest.kind}/{guest.vmid}", "type": guest.kind, "node": guest.node}
    if guest.pool:
        shown["pool"] = guest.pool
    if (managed := site.ha_resources.get(f"{'vm' if guest.kind == 'qemu' else 'ct'}:{guest.vmid}")) is not None:
        shown["hastate"] = managed.get("state", "started")
    return shown


def storage_resource(site: Site, name: str) -> dict[str, Any]:
    """A storage as GET /cluster/resources shows it; space only while it is available."""
    section = site.storages[name]
    shown: dict[str, Any] = {
        "id": f"storage/{site.node}/{name}",
        "type": "storage",
        "storage": name,
        "node": site.node,
        "status": "unknown",
        "plugintype": section["type"],
        "shared": int(section.get("shared", 0)),
        "content": section.get("content", ""),
    }
    space = storages.space(site, name)
    if space.active:
        shown |= {"status": "available", "disk": space.used, "maxdisk": space.total}
    return shown
