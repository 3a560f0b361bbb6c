"""The data of a virtual machine's backup: disks, freeze, archive.

Upstream: PVE/VZDump/QemuServer.pm. A running guest stands still (frozen by its agent, else paused) until the
hypervisor tells its first progress: from then on the archive is written from a copy of that moment.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.hypervisor import AgentError, AgentSilent, ArchiveDisk, ArchiveHeader, HypervisorError
from lab.pve import archive_names, coverage, guestconfig, power, volumes, vzdump_log
from lab.pve.site import GuestRecord, Site
from lab.pve.tasks import TaskError

if TYPE_CHECKING:
    from lab.pve.backup_guest import GuestBackup

_FREEZE_TIMEOUT = 600.0
_THAW_TIMEOUT = 180.0
_STOP_TIMEOUT = 600.0


def copy(backup: GuestBackup) -> int:
    """Write the archive of a virtual machine: its size in bytes."""
    mode = str(backup.target.options.get("mode", "snapshot")) if backup.running else "stop"
    disks, about = _describe(backup)
    how = [f"INFO: backup mode: {mode}", "INFO: ionice priority: 7"]
    for line in [*about, *how] if mode == "snapshot" else [*how, *about]:
        backup.say(line)
    if mode == "stop" and backup.running:
        backup.say("INFO: stopping virtual guest")
        power.shut_down(backup.site, backup.guest, backup.log, timeout=_STOP_TIMEOUT, force=True)
    backup.say(f"INFO: creating vzdump archive '{backup.archive}'")
    return _disks(backup, mode, disks) if disks else _diskless(backup)


def _describe(backup: GuestBackup) -> tuple[dict[str, str], list[str]]:
    """Give the disks to copy (``drive-scsi0`` → volume) and the lines that tell about them."""
    sizes = backup.site.hypervisor.volumes()
    disks: dict[str, str] = {}
    lines = [f"INFO: VM Name: {backup.guest.name}"]
    for one in coverage.volumes(backup.guest):
        if one.included:
            size = vzdump_log.disk_size(sizes.get(one.name, 0))
            lines.append(f"INFO: include disk '{one.key}' '{one.name}' {size}")
            disks[f"drive-{one.key}"] = one.name
        else:
            lines.append(f"INFO: exclude disk '{one.key}' '{one.name}' ({one.reason})")
    lines += [
        f"INFO: skip unused drive '{value}' (not included into backup)"
        for key, value in sorted(backup.guest.config.items())
        if key.startswith("unused")
    ]
    return disks, lines


def archived_config(site: Site, guest: GuestRecord, disks: Mapping[str, str]) -> str:
    """Give the configuration as the archive carries it: no lock, no sections, and a map of the disks."""
    kept = {
        key: value
        for key, value in guest.config.items()
        if key not in {"lock", "parent"} and not key.startswith("unused")
    }
    text = guestconfig.render(kept)
    for device, volid in disks.items():
        storage = volumes.storage_of(volid)
        form = volid.rsplit(".", 1)[-1] if storage in site.storages and volumes.on_files(site, storage) else "raw"
        text += f"#qmdump#map:{device.removeprefix('drive-')}:{device}:{storage}:{form}:\n"
    return text


def _header(backup: GuestBackup, disks: Mapping[str, str]) -> ArchiveHeader:
    sizes = backup.site.hypervisor.volumes()
    return ArchiveHeader(
        str(uuid.uuid4()),
        backup.start,
        archived_config(backup.site, backup.guest, disks),
        backup.site.firewall.get(backup.guest.vmid),
        [ArchiveDisk(device, sizes.get(volid, 0)) for device, volid in disks.items()],
    )


def _diskless(backup: GuestBackup) -> int:
    """Write the archive of a guest without disks: its configuration alone."""
    unfinished = archive_names.unfinished(backup.archive)
    folder = archive_names.log_of(backup.archive).removesuffix(".log") + ".tmp"
    backup.say("INFO: backup contains no disks")
    backup.say("INFO: starting diskless backup")
    backup.say(f"INFO: /usr/bin/vma create -v -c {folder}/qemu-server.conf exec:zstd --threads=1 > {unfinished}")
    return backup.written(
        lambda path, progress: backup.site.hypervisor.write_archive(
            path, _header(backup, {}), {}, backup.target.compress, progress
        ),
        lambda _done, _total: backup.log.check(),
    ).size


def _disks(backup: GuestBackup, mode: str, disks: Mapping[str, str]) -> int:
    header, lines = _header(backup, disks), backup.progress()
    total = sum(disk.size for disk in header.disks)
    still = _Standstill(backup, mode, header.uuid)

    def progress(done: int, whole: int) -> None:
        still.release()
        lines(done, whole)

    try:
        still.begin()
        done = backup.written(
            lambda path, tell: backup.site.hypervisor.write_archive(path, header, disks, backup.target.compress, tell),
            progress,
        )
        still.release()
        took = max(backup.site.now() - lines.began, 1)
        lines.line(total, total, took)
        if done.zeros:
            backup.say(vzdump_log.sparse(done.zeros, total))
        backup.say(vzdump_log.transferred(total, took))
        if mode == "stop" and not backup.running:
            backup.say("INFO: stopping kvm after backup task")
    except (HypervisorError, OSError, TaskError) as error:
        raise _aborted(backup, mode, error) from error
    finally:
        still.end()
    return done.size


def _aborted(backup: GuestBackup, mode: str, error: Exception) -> Exception:
    """Tell of a failed copy as recorded and give what to raise; a full disk reads as a broken pipe."""
    cause: Exception = error
    if "No space left on device" in str(error):
        if backup.target.compress == "zstd":
            backup.say_anyway("zstd: error 70 : Write error : cannot write block : No space left on device ")
        cause = TaskError("vma_queue_write: write error - Broken pipe")
    backup.say_anyway(f"ERROR: {cause}")
    backup.say_anyway("INFO: aborting backup job")
    backup.say_anyway(
        "INFO: resuming VM again" if backup.running and mode != "stop" else "INFO: stopping kvm after backup task"
    )
    return cause


class _Standstill:
    """Keeps a guest's disks still until the hypervisor has its copy of them: frozen, paused or switched off."""

    def __init__(self, backup: GuestBackup, mode: str, task: str) -> None:
        self._backup, self._mode, self._task = backup, mode, task
        self._released = self._frozen = self._paused = False

    def begin(self) -> None:
        """Bring the guest to a standstill."""
        backup, vmid = self._backup, self._backup.guest.vmid
        if self._mode == "stop":
            backup.say("INFO: starting kvm to execute backup task")
            backup.site.prelaunch.add(vmid)
        elif self._mode == "snapshot":
            self._frozen = _freeze(backup)
        if self._mode != "stop" and not self._frozen:
            backup.site.hypervisor.monitor(vmid, "stop")
            self._paused = True
        if backup.site.major >= 9:
            backup.say("INFO: starting backup via QMP command")

    def release(self) -> None:
        """Let the guest go on and tell about it, once."""
        if self._released:
            return
        self._released = True
        backup, was_frozen = self._backup, self._frozen
        self._go_on()
        if was_frozen:
            backup.say("INFO: issuing guest-agent 'fs-thaw' command")
        backup.say(f"INFO: started backup task '{self._task}'")
        if backup.running:
            waited = f" after {max(backup.site.now() - backup.start, 1)} seconds" if self._mode == "stop" else ""
            backup.say(f"INFO: resuming VM again{waited}")

    def _go_on(self) -> None:
        backup, vmid = self._backup, self._backup.guest.vmid
        if self._frozen:
            self._frozen = False
            _thaw(backup)
        if self._paused:
            self._paused = False
            backup.site.hypervisor.monitor(vmid, "cont")

    def end(self) -> None:
        """Leave the guest as it was before, whatever happened."""
        backup = self._backup
        self._go_on()
        backup.site.prelaunch.discard(backup.guest.vmid)
        if self._mode == "stop" and backup.running:
            power.power_on(backup.site, backup.guest, backup.log)


def _freeze(backup: GuestBackup) -> bool:
    """Freeze the guest's filesystems and tell whether it worked; an agent that cannot does not fail the backup."""
    guest, hypervisor = backup.guest, backup.site.hypervisor
    if not power.agent_enabled(guest):
        return False
    old = backup.site.major < 9
    skipping = "INFO: skipping guest-agent 'fs-freeze', " if old else "INFO: skipping guest filesystem freeze - "
    agent = guestconfig.split_properties(str(guest.config["agent"]), "enabled")
    if agent.get("freeze-fs-on-backup", "1") == "0":
        backup.say(f"{skipping}disabled in VM options")
        return False
    try:
        hypervisor.agent(guest.vmid, "guest-ping", {}, backup.site.patience.agent)
    except (AgentSilent, AgentError):
        backup.say(f"{skipping}agent configured but not running?")
        return False
    backup.say("INFO: issuing guest-agent 'fs-freeze' command")
    try:
        hypervisor.agent(guest.vmid, "guest-fsfreeze-freeze", {}, _FREEZE_TIMEOUT)
    except AgentSilent:
        backup.say(f"ERROR: VM {guest.vmid} qga command 'guest-fsfreeze-freeze' failed - got timeout")
        return False
    except AgentError as error:
        backup.say(f"ERROR: VM {guest.vmid} qga command 'guest-fsfreeze-freeze' failed - {error.desc}")
        return False
    return True


def _thaw(backup: GuestBackup) -> None:
    vmid = backup.guest.vmid
    try:
        backup.site.hypervisor.agent(vmid, "guest-fsfreeze-thaw", {}, _THAW_TIMEOUT)
    except AgentSilent:
        backup.say_anyway(f"ERROR: VM {vmid} qga command 'guest-fsfreeze-thaw' failed - got timeout")
    except AgentError as error:
        backup.say_anyway(f"ERROR: VM {vmid} qga command 'guest-fsfreeze-thaw' failed - {error.desc}")
