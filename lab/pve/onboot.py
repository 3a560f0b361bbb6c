"""What a booted node does: start the guests that are meant to run (upstream: PVE/API2/Nodes.pm startall)."""

from __future__ import annotations

from lab.pve import lxc, power
from lab.pve.call import Call
from lab.pve.site import GuestRecord, Site
from lab.pve.tasks import TaskError, TaskLog

BOOT_SECONDS = 120.0
"""How long one guest may take to be powered on."""


def start_all(site: Site) -> str:
    """Start every guest with ``onboot: 1`` in the order of their VMIDs; returns the UPID of the "startall" task."""

    def worker(log: TaskLog) -> None:
        with site.lock:
            waiting = [guest for _, guest in sorted(site.guests.items()) if _wanted(site, guest)]
        for guest in waiting:
            _start(site, guest, log)

    return site.tasks.start("root@pam", "startall", "", worker)


def _wanted(site: Site, guest: GuestRecord) -> bool:
    onboot = str(guest.config.get("onboot", 0)) == "1"
    return onboot and not guest.template and not site.hypervisor.is_running(guest.vmid)


def _start(site: Site, guest: GuestRecord, log: TaskLog) -> None:
    log(f"Starting {'VM' if guest.kind == 'qemu' else 'CT'} {guest.vmid}")
    handler = power.start if guest.kind == "qemu" else lxc.start
    path = f"/nodes/{site.node}/{guest.kind}/{guest.vmid}/status/start"
    route = f"POST /nodes/{{node}}/{guest.kind}/{{vmid}}/status/start"
    call = Call(site, "root@pam", "POST", path, {"node": site.node, "vmid": guest.vmid}, route=route)
    task = site.tasks.wait(str(handler(call)), BOOT_SECONDS)
    if task.status != "OK":
        message = f"start failed: {task.status}"
        raise TaskError(message)
