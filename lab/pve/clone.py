"""Copies of virtual machines: full, or linked where the storage can do it.

Upstream: PVE/API2/Qemu.pm clone_vm. A clone always gets new addresses, uuid and generation id, and loses template flag,
snapshots, unused volumes and pending changes; the task's id is the source (recorded).
"""

from __future__ import annotations

import re

from lab.hypervisor import HypervisorError
from lab.pve import rights, volumes
from lab.pve.call import ApiError, Call, die, param_error
from lab.pve.config import fresh, guest_of
from lab.pve.guestconfig import Config, Nic, drives, split_properties
from lab.pve.guestlocks import check_lock
from lab.pve.site import GuestRecord
from lab.pve.tasks import TaskError, TaskLog
from lab.pve.vzdump_log import human

_LINKABLE = frozenset({"lvmthin", "zfspool", "rbd"})
_DROPPED = re.compile(r"(lock|parent|template|digest|unused\d+|snaptime|vmstate)")


def clone(call: Call) -> object:
    """POST …/clone."""
    source = guest_of(call)
    full = _wants_full(call, source)
    _check_rights(call, source, full=full)
    check_lock(source)
    if (snapshot := call.params.get("snapname")) and snapshot not in source.snapshots:
        die(f"snapshot '{snapshot}' does not exist")
    config = dict(source.snapshots.get(str(snapshot), source.config))
    _check_feature(call, config, full=full)
    newid = int(call.params["newid"])
    with call.site.lock:
        if newid in call.site.guests:
            die(f"unable to create VM {newid}: config file already exists")
        target = call.site.guests[newid] = GuestRecord(newid, "qemu", call.site.node, {"lock": "clone"})

    def worker(log: TaskLog) -> None:
        with call.site.guest_locks.hold(newid, log):
            _run(call, source, target, config, log, full=full)

    return call.site.tasks.start(call, "qmclone", source.vmid, worker)


def _wants_full(call: Call, source: GuestRecord) -> bool:
    full = bool(call.params.get("full", not source.template))
    if not source.template and not full and "full" in call.params:
        full = True
    if not full:
        for name in ("storage", "format"):
            if name in call.params:
                die(f"parameter '{name}' not allowed for linked clones")
    if (target := call.params.get("target")) and target != call.site.node:
        param_error("target", f"unknown node '{target}'")
    return full


def _check_rights(call: Call, source: GuestRecord, *, full: bool) -> None:
    if (pool := call.params.get("pool")) is not None and pool not in call.site.pools:
        die(f"no such pool '{pool}'")
    for volid in drives(source.config).values():
        storage = call.params.get("storage") if full else None
        rights.check_storage(call, storage or volumes.storage_of(volid))
    nets = [value for key, value in source.config.items() if re.fullmatch(r"net\d+", key)]
    rights.check_bridges(call, nets)


def _check_feature(call: Call, config: Config, *, full: bool) -> None:
    site = call.site
    for key, volid in drives(config).items():
        storage = volumes.storage_of(volid)
        kind = site.storage(storage)["type"]
        if not full and not (kind in _LINKABLE or (volumes.on_files(site, storage) and ".qcow2" in volid)):
            die(f"Linked clone feature for drive '{key}' is not available")
        if full and (target := call.params.get("storage")):
            volumes.check_content(site, target, "images")


def _run(call: Call, source: GuestRecord, target: GuestRecord, config: Config, log: TaskLog, *, full: bool) -> None:
    site = call.site
    if site.major >= 9:
        log(f"creating a clone of VM {source.vmid} with ID {target.vmid}")
    made: list[str] = []
    try:
        new = _identities(call, config)
        for key, volid in drives(config).items():
            make = _full if full else _linked
            copy = make(call, target.vmid, (key, volid), log)
            made.append(copy)
            new[key] = str(config[key]).replace(split_properties(str(config[key]))["file"], copy, 1)
    except (ApiError, TaskError, HypervisorError) as error:
        volumes.undo(site, target.vmid, made)
        raise TaskError(f"clone failed: {error}") from error
    with site.lock:
        target.config, target.pool = new, call.params.get("pool")
        if source.vmid in site.firewall:
            site.firewall[target.vmid] = site.firewall[source.vmid]


def _identities(call: Call, config: Config) -> Config:
    identity = fresh()
    new: Config = {key: value for key, value in config.items() if not _DROPPED.fullmatch(key)}
    for key, value in new.items():
        if re.fullmatch(r"net\d+", key):
            nic = Nic.parse(str(value))
            new[key] = str(Nic(nic.model, identity.mac(), nic.options))
    new["smbios1"] = f"uuid={identity.uuid()}"
    if new.get("vmgenid", "0") != "0":
        new["vmgenid"] = identity.uuid()
    default = f"Copy-of-{config['name']}" if "name" in config else f"Copy-of-VM-{call.params['vmid']}"
    new["name"] = call.params.get("name", default)
    if "description" in call.params:
        new["description"] = call.params["description"]
    return new


def _full(call: Call, newid: int, drive: tuple[str, str], log: TaskLog) -> str:
    site, (key, volid) = call.site, drive
    log(f"create full clone of drive {key} ({volid})")
    storage = call.params.get("storage") or volumes.storage_of(volid)
    form = call.params.get("format") or ("qcow2" if volid.endswith(".qcow2") else "raw")
    size = volumes.size_of(site, volid)
    copy = volumes.allocate(site, storage, newid, size, log, form=form, like=volid)
    if site.major >= 9:
        log(f"allocated target volume '{copy}'")
    for done in (0, size):
        percent = 100 * done / size if size else 100
        log(f"transferred {human(done, 1) if done else '0.0 B'} of {human(size)} ({percent:.2f}%)")
    return copy


def _linked(call: Call, newid: int, drive: tuple[str, str], log: TaskLog) -> str:
    site, (key, volid) = call.site, drive
    log(f"create linked clone of drive {key} ({volid})")
    storage, _, base = volid.partition(":")
    own = volumes.free_name(site, storage, newid, "qcow2").partition(":")[2]
    name = own.rpartition("/")[2]
    if volumes.on_files(site, storage):
        log(f"clone {base}: images, {name}, {newid} to {name} (base=../{base})")
    copy = f"{volid}/{own}"
    size = volumes.size_of(site, volid)
    site.hypervisor.allocate(copy, size, like=volid)
    if volumes.on_files(site, storage):
        log(volumes.linked_line(site.hypervisor.path(f"{storage}:{own}"), size, base))
    return copy
