"""What the node's status daemon measures: load, memory, root filesystem."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from lab.pve.call import ApiError

if TYPE_CHECKING:
    from lab.pve.site import Site

PERIOD = 10.0
"""Seconds between two measurements, as upstream's pvestatd."""
PROC = ("/proc/loadavg", "/proc/uptime", "/proc/meminfo", "/proc/cpuinfo")


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
    sizes = re.findall(r"^(\w+):\s+(\d+) kB", site.hypervisor.meminfo() or text, re.MULTILINE)
    memory = {key: int(value) << 10 for key, value in sizes}
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
        "uptime": figures["uptime"],
        "maxcpu": figures["cpus"],
        "cpu": load,
        "maxmem": memory["MemTotal"],
        "mem": memory["MemTotal"] - memory.get("MemAvailable", 0),
        "maxdisk": figures["rootfs"]["total"],
        "disk": figures["rootfs"]["used"],
    }
