"""Power: start, stop, shut down, reset, reboot, suspend and resume a guest.

All are tasks, and most refusals stand in the task: a start of a guest that does not exist is accepted too, and fails
there (measured). Upstream: PVE/API2/Qemu.pm vm_start … vm_resume, PVE/QemuServer.pm vm_start_nolock.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.hypervisor import AgentError, AgentSilent, HypervisorError
from lab.pve import rights, volumes
from lab.pve.call import Call, die
from lab.pve.config import apply_pending, guest_of
from lab.pve.guestconfig import Nic, drives, split_properties
from lab.pve.guestlocks import check_lock
from lab.pve.tasks import TaskError, TaskLog
from lab.waiting import TimedOut, until

if TYPE_CHECKING:
    from lab.pve.site import GuestRecord, Site

Step = Callable[["Site", "GuestRecord", TaskLog], None]


def _task(call: Call, kind: str, step: Step) -> str:
    rights.check_skiplock(call)
    site, vmid = call.site, int(call.params["vmid"])

    def worker(log: TaskLog) -> None:
        guest = guest_of(call)
        with site.guest_locks.hold(vmid, log):
            if not call.params.get("skiplock"):
                check_lock(guest)
            step(site, guest, log)

    return site.tasks.start(call, kind, vmid, worker)


def start(call: Call) -> object:
    """POST …/status/start. A guest under HA is handed to its manager ("hastart")."""
    sid = f"vm:{call.params['vmid']}"
    if sid in call.site.ha_resources:
        return call.site.tasks.start(call, "hastart", call.params["vmid"], lambda log: _ha_start(call, sid, log))
    return _task_unlocked_backup(call, "qmstart", power_on)


def _ha_start(call: Call, sid: str, log: TaskLog) -> None:
    log(f"Requesting HA start for VM {call.params['vmid']}")
    with call.site.lock:
        call.site.ha_resources[sid]["state"] = "started"
    power_on(call.site, guest_of(call), log)


def _task_unlocked_backup(call: Call, kind: str, step: Step) -> str:
    rights.check_skiplock(call)
    site, vmid = call.site, int(call.params["vmid"])

    def worker(log: TaskLog) -> None:
        guest = guest_of(call)
        with site.guest_locks.hold(vmid, log):
            if guest.config.get("lock") != "backup" and not call.params.get("skiplock"):
                check_lock(guest)
            step(site, guest, log)

    return site.tasks.start(call, kind, vmid, worker)


def power_on(site: Site, guest: GuestRecord, log: TaskLog) -> None:
    """Start a virtual machine, with the refusals in upstream's order."""
    if guest.template:
        raise TaskError("you can't start a vm if it's a template")
    if site.hypervisor.is_running(guest.vmid):
        if guest.config.get("lock") == "backup":
            return
        raise TaskError(f"VM {guest.vmid} already running")
    apply_pending(site, guest)
    volids = drives(guest.config)
    _check_startable(site, guest, volids, log)
    try:
        site.hypervisor.start(guest.vmid, {key: str(value) for key, value in guest.config.items()}, volids)
    except HypervisorError as error:
        log(f"kvm: {error}")
        raise TaskError("start failed: QEMU exited with code 1") from error


def _check_startable(site: Site, guest: GuestRecord, volids: dict[str, str], log: TaskLog) -> None:
    _check_bridges(site, guest)
    for value in guest.config.values():
        cdrom = split_properties(str(value))
        if cdrom.get("media") == "cdrom" and ":" in cdrom.get("file", ""):
            _check_image(site, cdrom["file"])
    for volid in volids.values():
        _check_disk(site, volid, log)
    if not volids:
        log("kvm: Host doesn't support requested features")
        raise TaskError("start failed: QEMU exited with code 1")


def _check_bridges(site: Site, guest: GuestRecord) -> None:
    known = bridges(site)
    for key, value in guest.config.items():
        if key.startswith("net") and key[3:].isdigit():
            bridge = Nic.parse(str(value)).bridge
            if bridge and bridge not in known:
                raise TaskError(f"bridge '{bridge}' does not exist")


def _check_disk(site: Site, volid: str, log: TaskLog) -> None:
    if volid not in site.hypervisor.volumes():
        storage, _, name = volid.partition(":")
        if volumes.on_files(site, storage):
            raise TaskError(f"volume '{volid}' does not exist")
        raise TaskError(f"no such logical volume {site.storage(storage).get('vgname', storage)}/{name}")
    if volumes.is_base(volid):
        log(f"kvm: Could not open '{site.hypervisor.path(volid)}': Operation not permitted")
        raise TaskError("start failed: QEMU exited with code 1")


def _check_image(site: Site, volid: str) -> None:
    storage, _, name = volid.partition(":")
    section = site.storages.get(storage)
    if section is None:
        raise TaskError(f"storage '{storage}' does not exist")
    folder = f"{section.get('path', '')}/template/iso"
    try:
        present = any(f"iso/{entry.name}" == name for entry in site.hypervisor.node.listdir(folder))
    except FileNotFoundError:
        present = False
    if not present:
        raise TaskError(f"volume '{volid}' does not exist")


def bridges(site: Site) -> set[str]:
    """The node's bridges, as its kernel lists them."""
    listed = site.hypervisor.node.run(["ip", "-j", "link"])
    if listed.rc != 0:
        raise TaskError(f"cannot list the node's bridges: {listed.stderr.strip()}")
    return {str(link["ifname"]) for link in json.loads(listed.stdout)}


def stop(call: Call) -> object:
    """POST …/status/stop: cut the power; a stopped guest is fine."""
    return _task(call, "qmstop", power_off)


def power_off(site: Site, guest: GuestRecord, _log: TaskLog) -> None:
    """Stop a guest at once."""
    if site.hypervisor.is_running(guest.vmid):
        site.hypervisor.stop(guest.vmid)
    apply_pending(site, guest)


def shutdown(call: Call) -> object:
    """POST …/status/shutdown: ask the guest through its agent, else by ACPI, and wait."""
    timeout = float(call.params.get("timeout", 180))
    force = bool(call.params.get("forceStop"))
    return _task(call, "qmshutdown", lambda site, guest, log: shut_down(site, guest, log, timeout=timeout, force=force))


def shut_down(site: Site, guest: GuestRecord, log: TaskLog, *, timeout: float, force: bool = False) -> None:
    """Shut a guest down within ``timeout`` seconds; with ``force`` the power is cut after that."""
    vmid = guest.vmid
    if not site.hypervisor.is_running(vmid):
        return
    _ask_to_shut_down(site, guest, log)
    try:
        until(
            lambda: not site.hypervisor.is_running(vmid),
            error=lambda: "interrupted by signal" if log.task.cancelled.is_set() else None,
            timeout=timeout,
            what=f"the end of guest {vmid}",
            interval=0.02,
        )
    except TimedOut as error:
        log.check()
        if not force:
            raise TaskError("VM quit/powerdown failed - got timeout") from error
        log("VM quit/powerdown failed - terminating now with SIGTERM")
        site.hypervisor.stop(vmid)
    apply_pending(site, guest)


def _ask_to_shut_down(site: Site, guest: GuestRecord, log: TaskLog) -> None:
    if not (agent_enabled(guest) and _agent_shuts_down(site, guest, log)):
        site.hypervisor.monitor(guest.vmid, "system_powerdown")


def _agent_shuts_down(site: Site, guest: GuestRecord, log: TaskLog) -> bool:
    ask, patience = site.hypervisor.agent, site.patience.agent
    try:
        ask(guest.vmid, "guest-ping", {}, patience)
    except (AgentSilent, AgentError):
        log(f"QEMU Guest Agent is not running - VM {guest.vmid} qga command 'guest-ping' failed - got timeout")
        return False
    try:
        with contextlib.suppress(AgentSilent):  # an agent that obeys does not answer
            ask(guest.vmid, "guest-shutdown", {}, patience)
    except AgentError as error:
        log(f"VM {guest.vmid} qga command 'guest-shutdown' failed - {error.desc}")
        return False
    return True


def agent_enabled(guest: GuestRecord) -> bool:
    """Whether the configuration switches the guest agent on."""
    value = split_properties(str(guest.config.get("agent", "0")), "enabled").get("enabled", "0")
    return value in {"1", "on", "yes", "true"}


def _need_running(site: Site, guest: GuestRecord) -> None:
    if not site.hypervisor.is_running(guest.vmid):
        die(f"VM {guest.vmid} not running")


def reset(call: Call) -> object:
    """POST …/status/reset."""

    def step(site: Site, guest: GuestRecord, _log: TaskLog) -> None:
        _need_running(site, guest)
        site.hypervisor.reset(guest.vmid)

    return _task(call, "qmreset", step)


def reboot(call: Call) -> object:
    """POST …/status/reboot: shut down, apply pending changes, start again."""
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        die(f"VM {guest.vmid} not running")
    timeout = float(call.params.get("timeout", 180))

    def step(site: Site, guest: GuestRecord, log: TaskLog) -> None:
        shut_down(site, guest, log, timeout=timeout)
        power_on(site, guest, log)

    return _task(call, "qmreboot", step)


def suspend(call: Call) -> object:
    """POST …/status/suspend: pause the processors (``todisk`` is not served: the lab cannot save a guest's memory)."""
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        die(f"VM {guest.vmid} not running")
    if call.params.get("todisk"):
        die("Cannot suspend VM to disk in this lab")

    def step(site: Site, guest: GuestRecord, _log: TaskLog) -> None:
        _need_running(site, guest)
        site.hypervisor.monitor(guest.vmid, "stop")

    return _task(call, "qmsuspend", step)


def resume(call: Call) -> object:
    """POST …/status/resume."""
    guest = guest_of(call)
    if not call.site.hypervisor.is_running(guest.vmid):
        die(f"VM {guest.vmid} not running")

    def step(site: Site, guest: GuestRecord, _log: TaskLog) -> None:
        _need_running(site, guest)
        site.hypervisor.monitor(guest.vmid, "cont")

    return _task(call, "qmresume", step)
