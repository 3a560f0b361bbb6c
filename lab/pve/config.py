"""The configuration of a guest over the API: read it, see what is pending, change it.

Upstream: PVE/API2/Qemu.pm (vm_config, vm_pending, update_vm_api), PVE/API2/LXC/Config.pm.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping
from typing import Any

from lab.pve import configdrives, rights
from lab.pve.call import Call, die
from lab.pve.formats import split_list
from lab.pve.guestconfig import Config, Value, digest, is_drive, render_file, shown
from lab.pve.guestlocks import check_lock
from lab.pve.restoremerge import Fresh, complete_nic
from lab.pve.site import GuestRecord, Site
from lab.pve.tasks import TaskLog

_CONTROL = frozenset(
    {"node", "vmid", "delete", "revert", "digest", "skiplock", "force", "background_delay", "import-working-storage"}
)
_AT_ONCE = frozenset({"description", "lock", "name", "onboot", "protection", "startup", "tags", "vmstatestorage"})
"""Keys that a running guest takes without a restart; everything else waits as a pending change."""

NO_GENERATION = "00000000-0000-0000-0000-000000000000"


def fresh() -> Fresh:
    """New identities from the system's own randomness."""
    return Fresh(random.Random(secrets.randbits(64)))  # noqa: S311 - addresses and uuids, no secrets


def guest_of(call: Call) -> GuestRecord:
    """The guest a request is about, of the kind its path names."""
    return call.site.guest(call.params["vmid"], "lxc" if "/lxc" in (call.route or call.path) else "qemu")


def guest_digest(guest: GuestRecord) -> str:
    """The digest of a guest's configuration file."""
    return digest(render_file(guest.config, guest.pending, guest.snapshots))


def _visible(guest: GuestRecord, config: Mapping[str, Value]) -> dict[str, Any]:
    """Keys as the API shows them; raw settings of a container as one list of pairs."""
    visible: dict[str, Any] = {key: shown(key, value, guest.kind) for key, value in config.items()}
    if "cipassword" in visible:
        visible["cipassword"] = "**********"
    if raw := [[key, visible.pop(key)] for key in list(visible) if key.startswith("lxc.")]:
        visible["lxc"] = raw
    return visible


def pending_deletes(guest: GuestRecord) -> list[str]:
    """Keys that go away when the running guest is next stopped."""
    return split_list(str(guest.pending.get("delete", "")))


def effective(guest: GuestRecord) -> Config:
    """The configuration with its pending changes applied."""
    config = {key: value for key, value in guest.config.items() if key not in pending_deletes(guest)}
    return {**config, **{key: value for key, value in guest.pending.items() if key != "delete"}}


def apply_pending(site: Site, guest: GuestRecord) -> None:
    """Make pending changes current, as starting or having stopped does."""
    with site.lock:
        guest.config = effective(guest)
        guest.pending = {}


def get_config(call: Call) -> object:
    """GET …/config: with pending changes, or as it runs (``current``), or as a snapshot has it."""
    guest = guest_of(call)
    with call.site.lock:
        if name := call.params.get("snapshot"):
            if name not in guest.snapshots:
                die(f"snapshot '{name}' does not exist")
            return {**_visible(guest, guest.snapshots[name]), "digest": guest_digest(guest)}
        config = guest.config if call.params.get("current") else effective(guest)
        return {**_visible(guest, config), "digest": guest_digest(guest)}


def get_pending(call: Call) -> object:
    """GET …/pending: one entry a key, with the new value or the pending deletion beside the current one."""
    guest = guest_of(call)
    with call.site.lock:
        current = {**_visible(guest, guest.config), "digest": guest_digest(guest)}
        if "vmgenid" in current:
            current["vmgenid"] = NO_GENERATION
        waiting = {key: value for key, value in _visible(guest, guest.pending).items() if key != "delete"}
        entries: list[dict[str, Any]] = []
        for key in [*current, *(key for key in waiting if key not in current)]:
            entry: dict[str, Any] = {"key": key}
            if key in current:
                entry["value"] = current[key]
            if key in waiting:
                entry["pending"] = waiting[key]
            if key in pending_deletes(guest):
                entry["delete"] = 1
            entries.append(entry)
        return entries


def put_config(call: Call) -> object:
    """PUT …/config: change at once; answers nothing."""
    _checked_change(call)(lambda _line: None)
    return None


def post_config(call: Call) -> object:
    """POST …/config: the same as a task "qmconfig"."""
    change = _checked_change(call)

    def worker(log: TaskLog) -> None:
        change(log)

    return call.site.tasks.start(call, "qmconfig", call.params["vmid"], worker)


def _checked_change(call: Call) -> Any:
    guest = guest_of(call)
    rights.check_skiplock(call)
    values = {key: value for key, value in call.params.items() if key not in _CONTROL}
    delete = split_list(str(call.params.get("delete", "")))
    _check_rights(call, guest, values, delete)
    if "cdrom" in values:
        values["ide2"] = values.pop("cdrom")

    def change(log: Any) -> None:
        with call.site.guest_locks.hold(guest.vmid, kind=guest.kind):
            _change(call, guest, values, delete, log)

    return change


def _check_rights(call: Call, guest: GuestRecord, values: Mapping[str, Value], delete: list[str]) -> None:
    if guest.kind == "lxc":
        rights.check_lxc_keys(call, guest.vmid, guest.pool, [*values, *delete])
    else:
        rights.check_qemu_keys(call, guest.vmid, guest.pool, values, delete)
    nets = [key for key in [*values, *delete] if key.startswith("net") and key[3:].isdigit()]
    old = [guest.config[key] for key in nets if key in guest.config]
    rights.check_bridges(call, [*old, *(values[key] for key in nets if key in values)])


def _change(call: Call, guest: GuestRecord, values: Mapping[str, Value], delete: list[str], log: Any) -> None:
    site = call.site
    if (wanted := call.params.get("digest")) and wanted != guest_digest(guest):
        die("checksum mismatch (file change by other user?)")
    if not call.params.get("skiplock"):
        check_lock(guest)
    ready = {key: complete_nic(key, value, fresh()) if guest.kind == "qemu" else value for key, value in values.items()}
    drives = {key: value for key, value in ready.items() if is_drive(key) and guest.kind == "qemu"}
    for key, value in drives.items():
        ready[key] = configdrives.resolve(call, guest, key, str(value), log)
    with site.lock:
        for key in split_list(str(call.params.get("revert", ""))):
            guest.pending.pop(key, None)
        running = site.hypervisor.is_running(guest.vmid)
        for key in delete:
            _delete_key(site, guest, key, running=running, log=log)
        _set_keys(guest, ready, running=running)


def _delete_key(site: Site, guest: GuestRecord, key: str, *, running: bool, log: Any) -> None:
    guest.pending.pop(key, None)
    if key not in guest.config:
        return
    if running and key not in _AT_ONCE and not key.startswith("unused"):
        guest.pending["delete"] = ",".join(sorted({*pending_deletes(guest), key}))
        return
    configdrives.drop(site, guest, key, log)


def _set_keys(guest: GuestRecord, values: Mapping[str, Value], *, running: bool) -> None:
    for key, value in values.items():
        if running and key not in _AT_ONCE and str(guest.config.get(key)) != str(value):
            guest.pending[key] = value
        else:
            guest.config[key] = value
            guest.pending.pop(key, None)
        remaining = [name for name in pending_deletes(guest) if name != key]
        guest.pending.pop("delete", None)
        if remaining:
            guest.pending["delete"] = ",".join(remaining)
