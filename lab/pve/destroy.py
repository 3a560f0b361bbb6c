"""Destroy a guest: DELETE …/qemu/{vmid} and …/lxc/{vmid}, with what purging takes along.

Upstream: PVE/API2/Qemu.pm destroy_vm, PVE/API2/LXC.pm destroy_vm, PVE/API2/VZDump.pm remove_vmid_from_backup_jobs.
The refusals for running and protected guests come at once (measured); a lock is met in the task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.hypervisor import HypervisorError
from lab.pve import jobs, rights, storages, volumes
from lab.pve.call import ApiError, Call, die
from lab.pve.config import guest_of
from lab.pve.guestlocks import check_lock, check_protection

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site
    from lab.pve.tasks import TaskLog

_WORDS = {"qemu": ("VM", "vm", "qmdestroy"), "lxc": ("CT", "ct", "vzdestroy")}


def destroy(call: Call) -> object:
    """DELETE …/{vmid}: task "qmdestroy" or "vzdestroy"."""
    guest = guest_of(call)
    _refuse(call, guest)

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(guest.vmid, log, guest.kind):
            _refuse(call, guest)
            if not call.params.get("skiplock"):
                check_lock(guest)
            _destroy(call, guest, log)

    return call.site.tasks.start(call, _WORDS[guest.kind][2], guest.vmid, worker)


def _refuse(call: Call, guest: GuestRecord) -> None:
    site, (noun, prefix, _) = call.site, _WORDS[guest.kind]
    rights.check_skiplock(call)
    check_protection(guest, f"can't remove {noun} {guest.vmid}")
    if not call.params.get("purge"):
        if f"{prefix}:{guest.vmid}" in site.ha_resources:
            die(f"unable to remove {noun} {guest.vmid} - used in HA resources and purge parameter not set.")
        if left := replication_jobs(site, guest.vmid):
            die(f"There is a replication job '{left[0]}' for guest '{guest.vmid}' - Please remove that first.")
    if site.hypervisor.is_running(guest.vmid) and not (guest.kind == "lxc" and call.params.get("force")):
        die(f"{noun} {guest.vmid} is running" + (" - destroy failed" if guest.kind == "qemu" else ""))


def replication_jobs(site: Site, vmid: int) -> list[str]:
    """The replication jobs of a guest; their ids are "VMID-NUMBER"."""
    with site.lock:
        return sorted(job for job in site.replication if job.partition("-")[0] == str(vmid))


def _destroy(call: Call, guest: GuestRecord, log: TaskLog) -> None:
    site = call.site
    if site.hypervisor.is_running(guest.vmid):
        site.hypervisor.stop(guest.vmid)
    _remove_volumes(site, guest, log, unreferenced=bool(call.params.get("destroy-unreferenced-disks")))
    if guest.kind == "lxc":
        site.hypervisor.forget_container(guest.vmid)
    noun = _WORDS[guest.kind][0]
    if call.params.get("purge"):
        log(f"purging {noun} {guest.vmid} from related configurations..")
        if purge(site, guest):
            log(f"NOTE: removed {noun} {guest.vmid} from HA resource configuration.")
    with site.lock:
        site.firewall.pop(guest.vmid, None)
        site.access.forget_guest(guest.vmid)
        site.guests.pop(guest.vmid, None)


def _remove_volumes(site: Site, guest: GuestRecord, log: TaskLog, *, unreferenced: bool) -> None:
    """Remove what the configuration names, then what else has the guest's VMID on storages that are on.

    A volume that cannot be removed is a line in a virtual machine's log, and the task goes on to its OK; a container's
    ends there (upstream: PVE/QemuServer.pm destroy_vm, PVE/LXC.pm destroy_lxc_container; not recorded).
    """
    owned = [volid for volid in sorted(volumes.referenced(guest)) if volumes.owner(volid) == guest.vmid]
    for volid in owned:
        if volumes.is_base(volid) and volumes.linked_clones(site, volid):
            die(f"base volume '{volid}' is still in use by linked cloned")
    for volid in owned:
        if why := _removed(site, volid, log):
            if guest.kind == "lxc":
                die(why)
            log(f"Could not remove disk '{volid}', check manually: {why}")
    if unreferenced:
        _remove_unreferenced(site, guest, log)
    for volid in volumes.of_guest(site, guest.vmid, snapshots=True):
        site.hypervisor.free(volid)


def _remove_unreferenced(site: Site, guest: GuestRecord, log: TaskLog) -> None:
    for volid in volumes.of_guest(site, guest.vmid):
        if not storages.is_disabled(site.storage(volumes.storage_of(volid))) and (why := _removed(site, volid, log)):
            log(why)


def _removed(site: Site, volid: str, log: TaskLog) -> str:
    """Remove a volume; return why it could not be."""
    try:
        storages.check_enabled(site, volumes.storage_of(volid))
        volumes.remove(site, volid, log)
    except ApiError as error:
        return error.text
    except HypervisorError as error:
        return f"lvremove '{volid.replace(':', '/', 1)}' error:   {error}"
    return ""


def purge(site: Site, guest: GuestRecord) -> bool:
    """Take a guest out of backup jobs, replication and HA; a job of this guest alone goes with it (measured).

    Tells whether HA managed it.
    """
    with site.lock:
        jobs.forget_guest(site, guest.vmid)
        for job_id in replication_jobs(site, guest.vmid):
            del site.replication[job_id]
        return site.ha_resources.pop(f"{_WORDS[guest.kind][1]}:{guest.vmid}", None) is not None
