"""Turn a virtual machine into a template: its disks become read-only base volumes.

Upstream: PVE/API2/Qemu.pm template, PVE/QemuServer.pm template_create. There is no way back: clearing the flag leaves
base volumes that a guest cannot start from (measured).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.pve import volumes
from lab.pve.call import Call, die
from lab.pve.config import guest_of
from lab.pve.guestconfig import drives, split_properties
from lab.pve.guestlocks import check_lock

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site
    from lab.pve.tasks import TaskLog


def template(call: Call) -> object:
    """POST …/qemu/{vmid}/template: task "qmtemplate"; the refusals come at once."""
    guest = guest_of(call)
    check_lock(guest)
    if guest.snapshots:
        die("unable to create template, because VM contains snapshots")
    if guest.template and "disk" not in call.params:
        die("you can't convert a template to a template")
    if call.site.hypervisor.is_running(guest.vmid):
        die("you can't convert a VM to template if VM is running")
    disk = call.params.get("disk")

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(guest.vmid, log):
            convert(call.site, guest, log, disk)

    return call.site.tasks.start(call, "qmtemplate", guest.vmid, worker)


def convert(site: Site, guest: GuestRecord, log: volumes.Log, disk: str | None = None) -> None:
    """Make every disk (or one) a base volume and set the flag."""
    for key, volid in drives(guest.config).items():
        if disk in {None, key} and not volumes.is_base(volid):
            base = volumes.make_base(site, volid, log)
            with site.lock:
                guest.config[key] = str(guest.config[key]).replace(
                    split_properties(str(guest.config[key]))["file"], base, 1
                )
    with site.lock:
        guest.config["template"] = 1
