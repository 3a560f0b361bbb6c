"""Lists of guests and the present state of one.

Upstream: PVE/API2/Qemu.pm vmlist, vm_status; PVE/QemuServer.pm vmstatus; PVE/API2/LXC.pm vmlist; key sets as recorded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.hypervisor import HypervisorError
from lab.pve.call import Call
from lab.pve.config import guest_of
from lab.pve.figures import guest_figures
from lab.pve.guestconfig import drives
from lab.pve.power import agent_enabled

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site

QEMU_VERSION = "10.2.2"
MACHINE = "pc-i440fx-10.2+pve0"
SUPPORT = (
    "pbs-dirty-bitmap",
    "pbs-dirty-bitmap-migration",
    "pbs-dirty-bitmap-savevm",
    "pbs-masterkey",
    "query-bitmap-info",
    "backup-max-workers",
)
_PRESSURE = ("cpusome", "cpufull", "memorysome", "memoryfull", "iosome", "iofull")
_NOT_LISTED = ("maxcpu", "diskread", "diskwrite", "template")
_STAT = re.compile(r"^([a-z]+\d+|drive-[a-z]+\d+)\s*[(:].*?rd_bytes=(\d+).*?wr_bytes=(\d+)", re.MULTILINE)


def list_qemu(call: Call) -> object:
    """GET /nodes/{node}/qemu: the virtual machines the caller may audit."""
    return [_qemu(call.site, guest, full=bool(call.params.get("full"))) for guest in _visible(call, "qemu")]


def list_lxc(call: Call) -> object:
    """GET /nodes/{node}/lxc: the containers the caller may audit."""
    return [lxc_status(call.site, guest) for guest in _visible(call, "lxc")]


def _visible(call: Call, kind: str) -> list[GuestRecord]:
    with call.site.lock:
        guests = [guest for _, guest in sorted(call.site.guests.items()) if guest.kind == kind]
    return [guest for guest in guests if call.check(f"/vms/{guest.vmid}", "VM.Audit", noerr=True)]


def qemu_index(call: Call) -> object:
    """GET …/qemu/{vmid}/status: the power operations, as recorded."""
    guest_of(call)
    return [{"subdir": name} for name in ("current", "start", "stop", "reset", "shutdown", "suspend", "reboot")]


def qemu_current(call: Call) -> object:
    """GET …/qemu/{vmid}/status/current."""
    guest, site = guest_of(call), call.site
    shown = _qemu(site, guest, full=True)
    managed = site.ha_resources.get(f"vm:{guest.vmid}")
    shown["ha"] = {"managed": 1, **managed} if managed is not None else {"managed": 0}
    if agent_enabled(guest):
        shown["agent"] = 1
    return shown


def _base(site: Site, guest: GuestRecord) -> dict[str, Any]:
    figures = guest_figures(site, guest)
    shown = {key: value for key, value in figures.items() if key not in _NOT_LISTED}
    shown["cpus"] = figures["maxcpu"]
    if guest.template:
        shown["template"] = 1
    return shown


def _qemu(site: Site, guest: GuestRecord, *, full: bool) -> dict[str, Any]:
    shown = _base(site, guest)
    if any(re.fullmatch(r"serial\d", key) for key in guest.config):
        shown["serial"] = 1
    running = shown["status"] == "running"
    if running:
        shown["pid"] = site.hypervisor.pid(guest.vmid)
        if site.major >= 9:
            shown |= {f"pressure{name}": 0 for name in _PRESSURE}
    if full:
        shown["qmpstatus"] = qmp_status(site, guest) if running else "stopped"
        if running:
            shown |= _live(site, guest, shown["maxmem"])
    _in_backup(site, guest, shown, full=full)
    return shown


def qmp_status(site: Site, guest: GuestRecord) -> str:
    """The run state as the machine monitor gives it: running, paused, prelaunch …."""
    try:
        answer = site.hypervisor.monitor(guest.vmid, "info status")
    except HypervisorError:
        return "stopped"
    found = re.search(r"VM status: (\w+)(?: \(([\w-]+)\))?", answer)
    return (found[2] or found[1]) if found else "running"


def _in_backup(site: Site, guest: GuestRecord, shown: dict[str, Any], *, full: bool) -> None:
    """Show a stopped guest as running while a backup reads its disks, as recorded."""
    if guest.vmid in site.prelaunch and shown["status"] == "stopped":
        shown["status"] = "running"
        if full:
            shown["qmpstatus"] = "prelaunch"


def _live(site: Site, guest: GuestRecord, memory: int) -> dict[str, Any]:
    block = _block_statistics(site, guest)
    taps = [f"tap{guest.vmid}i{key[3:]}" for key in guest.config if re.fullmatch(r"net\d+", key)]
    return {
        "running-machine": MACHINE,
        "running-qemu": QEMU_VERSION,
        "proxmox-support": {**dict.fromkeys(SUPPORT, True), "pbs-library-version": "stub-0.0.0"},
        "balloon": memory,
        "ballooninfo": {"actual": memory, "max_mem": memory},
        "blockstat": block,
        "diskread": sum(entry["rd_bytes"] for entry in block.values()),
        "diskwrite": sum(entry["wr_bytes"] for entry in block.values()),
        "nics": {tap: {"netin": 0, "netout": 0} for tap in taps},
    }


def _block_statistics(site: Site, guest: GuestRecord) -> dict[str, dict[str, int]]:
    found = {key: {"rd_bytes": 0, "wr_bytes": 0} for key in drives(guest.config)}
    try:
        text = site.hypervisor.monitor(guest.vmid, "info blockstats")
    except HypervisorError:
        return found
    for name, read, written in _STAT.findall(text):
        key = name.removeprefix("drive-")
        if key in found:
            found[key] = {"rd_bytes": int(read), "wr_bytes": int(written)}
    return found


def lxc_status(site: Site, guest: GuestRecord) -> dict[str, Any]:
    """The state of a container (derived from upstream's PVE/LXC.pm vmstatus, not recorded)."""
    figures = _base(site, guest)
    swap = int(guest.config.get("swap", 512)) << 20
    more: dict[str, Any] = {"type": "lxc", "swap": 0, "maxswap": swap, "diskread": 0, "diskwrite": 0}
    if figures["status"] == "running":
        more["pid"] = site.hypervisor.pid(guest.vmid)
    return {**figures, **more}
