"""POST /nodes/{node}/qemu: make a virtual machine, or restore one from an archive.

Here are the checks that refuse at once; what happens in the task stands in :mod:`lab.pve.restore_task` and
:mod:`lab.pve.create`. Upstream: PVE/API2/Qemu.pm create_vm.
"""

from __future__ import annotations

from lab.pve import rights
from lab.pve.archive_access import locate
from lab.pve.call import ApiError, Call, die, param_error, perm_error
from lab.pve.create import create_worker
from lab.pve.guestconfig import Config, is_drive
from lab.pve.guestlocks import check_lock
from lab.pve.restore_task import Restore
from lab.pve.site import GuestRecord, Site

CONTROL = frozenset(
    {
        "node", "vmid", "archive", "storage", "force", "unique", "pool", "bwlimit", "live-restore", "start",
        "ha-managed", "import-working-storage",
    }
)  # fmt: skip
"""Parameters of the call that are not configuration keys."""


def create_vm(call: Call) -> object:
    """POST …/qemu."""
    _check_rights(call)
    return _restore(call) if "archive" in call.params else _create(call)


def overrides(call: Call) -> Config:
    """The configuration keys that the call carries."""
    return {key: value for key, value in call.params.items() if key not in CONTROL}


def _check_rights(call: Call) -> None:
    params, vmid, pool = call.params, int(call.params["vmid"]), call.params.get("pool")
    if pool is not None and pool not in call.site.pools:
        die(f"no such pool '{pool}'")
    if storage := params.get("storage"):
        rights.check_storage(call, storage)
    if not _may_allocate(call, vmid, pool):
        perm_error()
    if params.get("ha-managed"):
        call.check("/", "Sys.Console")
    if params.get("start"):
        rights.vm_perm(call, vmid, pool, "VM.PowerMgmt")
    for name in ("force", "unique", "live-restore"):
        if params.get(name) and "archive" not in params:
            param_error("archive", f"missing property - '{name}' requires this property")


def _may_allocate(call: Call, vmid: int, pool: str | None) -> bool:
    if call.check(f"/vms/{vmid}", "VM.Allocate", noerr=True):
        return True
    if pool is not None and call.check(f"/pool/{pool}", "VM.Allocate", noerr=True):
        return True
    overwrites = call.params.get("archive") and call.params.get("force") and vmid in call.site.guests
    return bool(overwrites) and call.check(f"/vms/{vmid}", "VM.Backup", noerr=True)


def _restore(call: Call) -> object:
    params, vmid = call.params, int(call.params["vmid"])
    given = overrides(call)
    for key in given:
        if is_drive(key) or key.startswith("unused") or key == "cdrom":
            param_error(key, "option conflicts with option 'archive'")
    rights.check_qemu_keys(call, vmid, params.get("pool"), given, ())
    if params["archive"] == "-":
        die("pipe requires cli environment")
    archive = locate(call, params["archive"])
    if params.get("live-restore"):
        die("live-restore is only compatible with backup images from a Proxmox Backup Server")
    _reserve(call.site, vmid, f"unable to restore VM {vmid} -", force=bool(params.get("force")))
    return call.site.tasks.start(call, "qmrestore", vmid, Restore(call, archive, given).run)


def _create(call: Call) -> object:
    params, vmid = call.params, int(call.params["vmid"])
    given = overrides(call)
    rights.check_qemu_keys(call, vmid, params.get("pool"), given, ())
    rights.check_bridges(call, [value for key, value in given.items() if key.startswith("net") and key[3:].isdigit()])
    for key, value in given.items():
        storage, colon, _ = str(value).partition(":")
        if is_drive(key) and colon and "media=cdrom" not in str(value):
            rights.check_storage(call, storage)
    _reserve(call.site, vmid, f"unable to create VM {vmid} -", force=False)
    return call.site.tasks.start(call, "qmcreate", vmid, create_worker(call, given))


def _reserve(site: Site, vmid: int, prefix: str, *, force: bool) -> None:
    try:
        with site.guest_locks.hold(vmid), site.lock:
            found = site.guests.get(vmid)
            if found and not (force and found.kind == "qemu"):
                noun = "VM" if found.kind == "qemu" else "CT"
                die(f"{noun} {vmid} already exists on node '{site.node}'")
            if found:
                check_lock(found)
            guest = site.guests.setdefault(vmid, GuestRecord(vmid, "qemu", site.node))
            guest.config["lock"] = "create"
    except ApiError as error:
        die(f"{prefix} {error.text}")
