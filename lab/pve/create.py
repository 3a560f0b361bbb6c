"""The task that makes a virtual machine from nothing.

Upstream: PVE/API2/Qemu.pm create_vm (createfn), create_disks.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.hypervisor import HypervisorError
from lab.pve import configdrives, volumes
from lab.pve.call import ApiError, Call
from lab.pve.config import fresh
from lab.pve.guestconfig import Config, drives, is_drive
from lab.pve.guestlocks import clear_lock
from lab.pve.power import power_on
from lab.pve.restoremerge import complete_nic
from lab.pve.site import GuestRecord
from lab.pve.tasks import TaskError, TaskLog


def create_worker(call: Call, given: Config) -> Callable[[TaskLog], None]:
    """The worker that makes the guest with these keys."""

    def worker(log: TaskLog) -> None:
        site, vmid = call.site, int(call.params["vmid"])
        with site.guest_locks.hold(vmid, log):
            guest = site.guest(vmid, "qemu")
            try:
                config = _new_config(call, guest, given, log)
            except (ApiError, TaskError, HypervisorError) as error:
                _undo(call, guest, log)
                raise TaskError(f"unable to create VM {vmid} - {error}") from error
            with site.lock:
                guest.config, guest.pool = config, call.params.get("pool") or guest.pool
            if call.params.get("start"):
                log("Execute autostart")
                power_on(site, guest, log)

    return worker


def _new_config(call: Call, guest: GuestRecord, given: Config, log: TaskLog) -> Config:
    identity = fresh()
    config: Config = {key: complete_nic(key, value, identity) for key, value in given.items()}
    if "cdrom" in config:
        config["ide2"] = config.pop("cdrom")
    for key in [key for key in config if is_drive(key)]:
        config[key] = configdrives.resolve(call, guest, key, str(config[key]), log)
        guest.config[key] = config[key]
    config.setdefault("boot", _boot_order(config))
    config.setdefault("smbios1", f"uuid={identity.uuid()}")
    config.setdefault("vmgenid", identity.uuid())
    if config["vmgenid"] == "1":
        config["vmgenid"] = identity.uuid()
    config.setdefault("meta", f"creation-qemu={call.site.release.qemu},ctime={call.site.now()}")
    return config


def _boot_order(config: Config) -> str:
    disks = sorted(key for key in drives(config) if not key.startswith(("efidisk", "tpmstate")))
    devices = disks[:1] + sorted(key for key, value in config.items() if is_drive(key) and "media=cdrom" in str(value))
    devices += sorted(key for key in config if key.startswith("net") and key[3:].isdigit())[:1]
    return f"order={';'.join(devices)}" if devices else " "


def _undo(call: Call, guest: GuestRecord, log: TaskLog) -> None:
    site = call.site
    for volid in drives(guest.config).values():
        if volumes.owner(volid) == guest.vmid:
            volumes.remove(site, volid, log.quiet)
    clear_lock(site, guest, "create")
    with site.lock:
        site.guests.pop(guest.vmid, None)
