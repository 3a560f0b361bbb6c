"""Containers: make, restore, start, stop, look at their network cards.

Derived from upstream's source (PVE/API2/LXC.pm, PVE/LXC/Create.pm) and the API schema; nothing here was recorded. Two
differences from virtual machines matter to a drill: a failed restore leaves nothing behind, and with ``unique`` the
archived network cards win over the ones given in the call.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

from lab.pve import rights
from lab.pve.archive_access import locate
from lab.pve.call import Call, die, param_error, perm_error
from lab.pve.config import apply_pending, guest_of
from lab.pve.guestconfig import Config, split_properties
from lab.pve.guestlocks import check_lock
from lab.pve.guests import lxc_status
from lab.pve.lxc_restore import ContainerRestore
from lab.pve.power import bridges
from lab.pve.site import GuestRecord
from lab.pve.tasks import TaskError, TaskLog

CONTROL = frozenset(
    {
        "node", "vmid", "ostemplate", "restore", "force", "unique", "storage", "password", "ssh-public-keys", "pool",
        "bwlimit", "start", "ignore-unpack-errors", "ha-managed",
    }
)  # fmt: skip


def create(call: Call) -> object:
    """POST /nodes/{node}/lxc: restore a container from an archive. Making one from an image is not served."""
    params, vmid, pool = call.params, int(call.params["vmid"]), call.params.get("pool")
    given = {key: value for key, value in params.items() if key not in CONTROL}
    storage = str(params.get("storage", "local"))
    _check_rights(call, vmid, pool, given, storage)
    if not params.get("restore"):
        die("the lab makes containers from backups only (restore=1)")
    archive = locate(call, str(params["ostemplate"]))
    _reserve(call, vmid)
    restore = ContainerRestore(call, archive, given, storage)

    def worker(log: TaskLog) -> None:
        restore.run(log)
        if params.get("start"):
            power_on(call, call.site.guest(vmid, "lxc"), log)

    return call.site.tasks.start(call, "vzrestore", vmid, worker)


def _check_rights(call: Call, vmid: int, pool: str | None, given: Config, storage: str) -> None:
    if pool is not None and pool not in call.site.pools:
        die(f"no such pool '{pool}'")
    allowed = call.check(f"/vms/{vmid}", "VM.Allocate", noerr=True) or (
        pool is not None and call.check(f"/pool/{pool}", "VM.Allocate", noerr=True)
    )
    if not allowed:
        perm_error()
    rights.check_lxc_keys(call, vmid, pool, [key for key in given if key not in {"unprivileged", "ostype", "arch"}])
    rights.check_storage(call, storage)
    content = re.split(r"[,\s]+", str(call.site.storage(storage).get("content", "")))
    if "rootdir" not in content:
        param_error("storage", f"storage '{storage}' does not support container directories")


def _reserve(call: Call, vmid: int) -> None:
    site = call.site
    with site.lock:
        found = site.guests.get(vmid)
        if found and not (call.params.get("force") and found.kind == "lxc"):
            noun = "VM" if found.kind == "qemu" else "CT"
            die(f"unable to restore CT {vmid} - {noun} {vmid} already exists on node '{site.node}'")
        if found:
            check_lock(found)
        if site.hypervisor.is_running(vmid):
            die(f"unable to restore CT {vmid} - container is running")
        site.guests.setdefault(vmid, GuestRecord(vmid, "lxc", site.node)).config["lock"] = "create"


def current(call: Call) -> object:
    """GET …/lxc/{vmid}/status/current."""
    guest = guest_of(call)
    managed = call.site.ha_resources.get(f"ct:{guest.vmid}")
    ha = {"managed": 1, **managed} if managed is not None else {"managed": 0}
    return {**lxc_status(call.site, guest), "ha": ha}


def power_on(call: Call, guest: GuestRecord, _log: TaskLog) -> None:
    """Start a container."""
    site = call.site
    if guest.template:
        raise TaskError("you can't start a CT if it's a template")
    if site.hypervisor.is_running(guest.vmid):
        raise TaskError(f"CT {guest.vmid} already running")
    apply_pending(site, guest)
    known = bridges(site)
    for key, value in guest.config.items():
        bridge = split_properties(str(value), "name").get("bridge") if re.fullmatch(r"net\d+", key) else None
        if bridge and bridge not in known:
            raise TaskError(f"bridge '{bridge}' does not exist")
    root = split_properties(str(guest.config.get("rootfs", "")), "volume").get("volume", "")
    site.hypervisor.start(guest.vmid, {key: str(value) for key, value in guest.config.items()}, {"rootfs": root})


def _task(call: Call, kind: str, step: Any) -> str:
    guest = guest_of(call)
    rights.check_skiplock(call)

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(guest.vmid, log, "lxc"):
            if not call.params.get("skiplock"):
                check_lock(guest)
            step(call, guest, log)

    return call.site.tasks.start(call, kind, guest.vmid, worker)


def start(call: Call) -> object:
    """POST …/status/start; a running container is refused at once."""
    guest = guest_of(call)
    if call.site.hypervisor.is_running(guest.vmid):
        die(f"CT {guest.vmid} already running")
    return _task(call, "vzstart", power_on)


def stop(call: Call) -> object:
    """POST …/status/stop; a stopped container is refused at once."""
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        die(f"CT {guest.vmid} not running")
    return _task(call, "vzstop", _power_off)


def shutdown(call: Call) -> object:
    """POST …/status/shutdown: the lab stops the container's init, which ends it in order."""
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        die(f"CT {guest.vmid} not running")
    return _task(call, "vzshutdown", _power_off)


def _power_off(call: Call, guest: GuestRecord, _log: TaskLog) -> None:
    if call.site.hypervisor.is_running(guest.vmid):
        call.site.hypervisor.stop(guest.vmid)
    apply_pending(call.site, guest)


def interfaces(call: Call) -> object:
    """GET …/interfaces: the container's cards, listed by the node's ``ip`` in its network; null while it is stopped.

    Upstream: PVE/LXC.pm get_interfaces.
    """
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        return None
    result = call.site.hypervisor.container_interfaces(guest.vmid)
    if result.rc != 0:
        die(f"unable to list interfaces of CT {guest.vmid}: {result.stderr.strip()}")
    return [_from_json(link) for link in json.loads(result.stdout)]


def _from_json(link: dict[str, Any]) -> dict[str, object]:
    addresses = [f"{info['local']}/{info['prefixlen']}" for info in link.get("addr_info", [])]
    return _entry(str(link["ifname"]), str(link.get("address", "")), addresses)


def _entry(name: str, mac: str, addresses: list[str]) -> dict[str, object]:
    entry: dict[str, object] = {"name": name, "hwaddr": mac, "hardware-address": mac}
    parsed = [ipaddress.ip_interface(address) for address in addresses]
    for address in parsed:
        entry.setdefault("inet" if address.version == 4 else "inet6", str(address))
    entry["ip-addresses"] = [
        {"ip-address": str(address.ip), "ip-address-type": "inet" if address.version == 4 else "inet6",
         "prefix": address.network.prefixlen} for address in parsed
    ]  # fmt: skip
    return entry
