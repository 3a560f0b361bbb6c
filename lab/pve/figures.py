"""What status daemons measure: the node's load and space, and the figures of guests and storages in lists."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from lab.hypervisor import HypervisorError
from lab.pve.call import ApiError

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
PERIOD = 10.0
"""Seconds between two measurements of the node, as upstream's pvestatd."""
PROC = ("/proc/loadavg", "/proc/uptime", "/proc/meminfo", "/proc/cpuinfo")


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
        "vmid": guest.vmid, "name": guest.name, "status": "running" if running else "stopped",
        "uptime": site.hypervisor.uptime(guest.vmid) if running else 0, "cpu": 0, "maxcpu": cores,
        "mem": memory // 3 if running else 0, "maxmem": memory, "disk": 0, "maxdisk": first_disk_size(guest),
        "netin": 0, "netout": 0, "diskread": 0, "diskwrite": 0, "template": int(guest.template),
    }  # fmt: skip
    if site.version != "8.4":
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
        "id": f"storage/{site.node}/{name}", "type": "storage", "storage": name, "node": site.node, "status": "unknown",
        "plugintype": section["type"], "shared": int(section.get("shared", 0)), "content": section.get("content", ""),
    }  # fmt: skip
    if not section.get("disable") and (space := _space(site, section)):
        shown |= {"status": "available", "disk": space[1], "maxdisk": space[0]}
    return shown


def _space(site: Site, section: dict[str, Any]) -> tuple[int, int] | None:
    path = section.get("path")
    node = site.hypervisor.node
    if path is None:
        return volume_group_space(site, str(section.get("vgname", "")))
    marker = str(section.get("is_mountpoint", "0"))
    wanted = path if marker == "1" else marker if marker.startswith("/") else None
    if wanted and wanted not in node.mountpoints():
        return None
    try:
        usage = node.usage(path)
    except (OSError, HypervisorError):
        return None
    return usage.total, usage.used


def volume_group_space(site: Site, name: str) -> tuple[int, int] | None:
    """Total and used bytes of a volume group; None when the node has none of that name."""
    argv = ["vgs", "--noheadings", "--units", "b", "--nosuffix", "--separator", ":", "-o", "vg_size,vg_free", name]
    result = site.hypervisor.node.run(argv)
    fields = result.stdout.strip().split(":")
    if result.rc or len(fields) != 2:
        return None
    total, free = (int(float(field)) for field in fields)
    return total, total - free


class NodeFigures:
    """The node's load, memory and root filesystem, measured at most every ten seconds."""

    def __init__(self, site: Site) -> None:
        """Nothing measured yet."""
        self._site = site
        self._taken = -PERIOD
        self._last: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The last measurement, or a new one when it is old."""
        if time.monotonic() - self._taken >= PERIOD:
            self._last = measure(self._site)
            self._taken = time.monotonic()
        return self._last


def measure(site: Site) -> dict[str, Any]:
    """Ask the node itself."""
    result = site.hypervisor.node.run(["cat", *PROC])
    if result.rc:
        raise ApiError(500, f"unable to read the node's figures: {result.stderr.strip()}")
    text = result.stdout
    lines = text.splitlines()
    memory = {key: int(value) << 10 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    cpu = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", text, re.MULTILINE))
    root = site.hypervisor.node.usage("/")
    return {
        "loadavg": lines[0].split()[:3],
        "uptime": int(float(lines[1].split()[0])),
        "memory": memory,
        "cpus": len(re.findall(r"^processor\s*:", text, re.MULTILINE)),
        "cpuinfo": cpu,
        "rootfs": {"total": root.total, "used": root.used, "avail": root.avail, "free": root.total - root.used},
    }


def node_resource(figures: dict[str, Any]) -> dict[str, Any]:
    """The node's figures as lists show them."""
    memory = figures["memory"]
    load = min(float(figures["loadavg"][0]) / max(figures["cpus"], 1), 1.0)
    return {
        "uptime": figures["uptime"], "maxcpu": figures["cpus"], "cpu": load,
        "maxmem": memory["MemTotal"], "mem": memory["MemTotal"] - memory.get("MemAvailable", 0),
        "maxdisk": figures["rootfs"]["total"], "disk": figures["rootfs"]["used"],
    }  # fmt: skip
