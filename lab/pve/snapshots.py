"""Snapshots of guests: list, make, roll back, delete.

Upstream: PVE/AbstractConfig.pm snapshot_create, snapshot_delete, snapshot_rollback. Templates refuse them, and so does
a guest with a raw disk on a storage without the feature (thick LVM, raw files); both stand in the task.
"""

from __future__ import annotations

from lab.pve import volumes
from lab.pve.call import Call, die
from lab.pve.config import guest_digest, guest_of
from lab.pve.guestconfig import Config, drives, shown
from lab.pve.guestlocks import check_lock
from lab.pve.site import GuestRecord, Site
from lab.pve.tasks import TaskError, TaskLog

_TASKS = {
    "qemu": ("qmsnapshot", "qmrollback", "qmdelsnapshot"),
    "lxc": ("vzsnapshot", "vzrollback", "vzdelsnapshot"),
}
_OWN = frozenset({"snaptime", "parent", "description", "vmstate", "lock"})


def list_snapshots(call: Call) -> object:
    """GET …/snapshot: the snapshots and, last, "current" with the digest."""
    guest = guest_of(call)
    with call.site.lock:
        entries = [_entry(guest, name, section) for name, section in sorted(guest.snapshots.items())]
        current: dict[str, object] = {
            "name": "current",
            "description": "You are here!",
            "running": int(call.site.hypervisor.is_running(guest.vmid)),
            "digest": guest_digest(guest),
        }
        if "parent" in guest.config:
            current["parent"] = guest.config["parent"]
    return [*entries, current]


def _entry(guest: GuestRecord, name: str, section: Config) -> dict[str, object]:
    entry: dict[str, object] = {"name": name, "snaptime": section.get("snaptime", 0)}
    entry["description"] = section.get("description", "")
    if guest.kind == "qemu":
        entry["vmstate"] = int("vmstate" in section)
    if "parent" in section:
        entry["parent"] = section["parent"]
    return entry


def index(call: Call) -> object:
    """GET …/snapshot/{snapname}."""
    _find(call)
    return [{"cmd": "rollback"}, {"cmd": "config"}]


def get_config(call: Call) -> object:
    """GET …/snapshot/{snapname}/config."""
    guest, name = _find(call)
    return {key: shown(key, value, guest.kind) for key, value in guest.snapshots[name].items()}


def _find(call: Call) -> tuple[GuestRecord, str]:
    guest, name = guest_of(call), str(call.params["snapname"])
    if name not in guest.snapshots:
        die(f"snapshot '{name}' does not exist")
    return guest, name


def has_feature(site: Site, guest: GuestRecord, feature: str) -> bool:
    """Whether every disk's storage can do it: snapshot and linked clone need qcow2 files (or thin volumes)."""
    if feature == "copy":
        return True
    for volid in drives(guest.config).values():
        storage = volumes.storage_of(volid)
        thin = site.storage(storage)["type"] in {"lvmthin", "zfspool", "rbd"}
        if not thin and not (volumes.on_files(site, storage) and volid.endswith(".qcow2")):
            return False
    return guest.template if feature == "clone" else True


def feature(call: Call) -> object:
    """GET …/feature."""
    guest = guest_of(call)
    able = has_feature(call.site, guest, str(call.params["feature"]))
    return {"hasFeature": int(able), "nodes": [call.site.node]}


def create(call: Call) -> object:
    """POST …/snapshot."""
    guest, name = guest_of(call), str(call.params["snapname"])
    if name in {"current", "pending"}:
        die(f"unable to use snapshot name '{name}' (reserved name)")

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(guest.vmid, log, guest.kind):
            _create(call, guest, name)

    return call.site.tasks.start(call, _TASKS[guest.kind][0], guest.vmid, worker)


def _create(call: Call, guest: GuestRecord, name: str) -> None:
    site = call.site
    if guest.template:
        raise TaskError("you can't take a snapshot if it's a template")
    check_lock(guest)
    if name in guest.snapshots:
        raise TaskError(f"snapshot name '{name}' already used")
    if not has_feature(site, guest, "snapshot"):
        raise TaskError("snapshot feature is not available")
    if call.params.get("vmstate") and site.hypervisor.is_running(guest.vmid):
        raise TaskError("the lab does not save the memory of a guest")
    for volid in drives(guest.config).values():
        site.hypervisor.allocate(volumes.snapshot_name(volid, name), volumes.size_of(site, volid), like=volid)
    with site.lock:
        section: Config = {key: value for key, value in guest.config.items() if key not in _OWN}
        section["snaptime"] = site.now()
        if "parent" in guest.config:
            section["parent"] = guest.config["parent"]
        if "description" in call.params:
            section["description"] = call.params["description"]
        guest.snapshots[name] = section
        guest.config["parent"] = name


def rollback(call: Call) -> object:
    """POST …/snapshot/{snapname}/rollback: stops a running guest."""
    guest, name = guest_of(call), str(call.params["snapname"])

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(guest.vmid, log, guest.kind):
            _rollback(call.site, guest, name)

    return call.site.tasks.start(call, _TASKS[guest.kind][1], guest.vmid, worker)


def _rollback(site: Site, guest: GuestRecord, name: str) -> None:
    if guest.template:
        raise TaskError("you can't rollback if vm is a template")
    check_lock(guest)
    if name not in guest.snapshots:
        raise TaskError(f"snapshot '{name}' does not exist")
    if site.hypervisor.is_running(guest.vmid):
        site.hypervisor.stop(guest.vmid)
    for volid in drives(guest.snapshots[name]).values():
        kept = volumes.snapshot_name(volid, name)
        site.hypervisor.free(volid)
        site.hypervisor.allocate(volid, volumes.size_of(site, kept), like=kept)
    with site.lock:
        section = {key: value for key, value in guest.snapshots[name].items() if key not in _OWN}
        description = guest.config.get("description")
        guest.config = {**section, "parent": name}
        if description is not None:
            guest.config["description"] = description


def delete(call: Call) -> object:
    """DELETE …/snapshot/{snapname}."""
    guest, name = guest_of(call), str(call.params["snapname"])

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(guest.vmid, log, guest.kind):
            _delete(call.site, guest, name)

    return call.site.tasks.start(call, _TASKS[guest.kind][2], guest.vmid, worker)


def _delete(site: Site, guest: GuestRecord, name: str) -> None:
    check_lock(guest)
    if name not in guest.snapshots:
        raise TaskError(f"snapshot '{name}' does not exist")
    for volid in drives(guest.snapshots[name]).values():
        site.hypervisor.free(volumes.snapshot_name(volid, name))
    with site.lock:
        parent = guest.snapshots.pop(name).get("parent")
        for section in (guest.config, *guest.snapshots.values()):
            if section.get("parent") == name:
                section.pop("parent")
                if parent is not None:
                    section["parent"] = parent
