"""A backup task: the storage it needs, the one lock of the node, and the guests one after the other.

Upstream: PVE/VZDump.pm new, getlock, exec_backup. A guest that fails does not stop the others; the task then ends with
"job errors" and only its log tells why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.hypervisor import HypervisorError
from lab.pve import archives, retention, storages, vzdump_log
from lab.pve.backup_guest import GuestBackup, Target
from lab.pve.call import ApiError, Call
from lab.pve.site import Site
from lab.pve.tasks import TaskError, TaskLog

_ERROR, _INFO = 3, 6
_LOCK_TRY = 0.2


@dataclass(frozen=True)
class Plan:
    """What a task is to do: guests, options as given, the guests its log names, and who asked."""

    vmids: Sequence[int]
    options: Mapping[str, Any]
    named: Sequence[int]
    who: Call | str

    @property
    def daemon(self) -> str:
        """The process whose name the journal shows."""
        return "pvescheduler" if isinstance(self.who, str) else "pvedaemon"

    def may(self, vmid: int) -> bool:
        """Tell whether the caller may back this guest up; 403 when a named guest is refused."""
        if isinstance(self.who, str):
            return True
        return self.who.check(f"/vms/{vmid}", "VM.Backup", noerr=bool(self.options.get("all")))


class _Journalled:
    """Writes lines to the task's log and to the node's journal."""

    def __init__(self, site: Site, plan: Plan, log: TaskLog) -> None:
        self._site, self._plan, self.log = site, plan, log

    def __call__(self, line: str) -> None:
        self.log(line)
        self.journal(line)

    def anyway(self, line: str) -> None:
        """Write although the task may be cancelled."""
        self.log.quiet(line)
        self.journal(line)

    def journal(self, line: str) -> None:
        """Write to the journal alone."""
        priority = _ERROR if line.startswith("ERROR") else _INFO
        self._site.hypervisor.node.journal(self._plan.daemon, line, priority)


def run(site: Site, plan: Plan, log: TaskLog) -> None:
    """Do a whole backup task; TaskError when the storage, the lock or any guest failed."""
    target = _target(site, plan.options)
    loud = _Journalled(site, plan, log)
    _take_lock(site, loud, log)
    try:
        failed = _guests(site, plan, target, log, loud)
    finally:
        site.vzdump_lock.release()
    loud("INFO: Backup job finished with errors" if failed else "INFO: Backup job finished successfully")
    if failed:
        raise TaskError("job errors")


def _target(site: Site, options: Mapping[str, Any]) -> Target:
    """Find where archives go and what is pruned; all that is wrong with the storage is one text."""
    storage = str(options.get("storage") or site.vzdump_conf.get("storage") or "local")
    problems = []
    try:
        storages.activate(site, storage)
    except ApiError as error:
        problems.append(f"could not activate storage '{storage}': {error.text}")
    try:
        section = storages.check_backup_content(site, storage)
    except ApiError as error:
        problems.append(f"could not get storage information for '{storage}': {error.text}")
    if problems:
        raise TaskError("\n".join(problems))
    rules, limit = _retention(site, section, options)
    return Target(storage, storages.folder(section, "backup"), options, rules, limit)


def _retention(site: Site, section: storages.Section, options: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    """Give the rules to prune by and the limit without pruning: the first that says anything wins as a whole."""
    said = (retention.setting(one, site.major) for one in (options, section, site.vzdump_conf))
    rules = retention.parse(next(filter(None, said), "keep-all=1"))
    if retention.keeps_all(rules):
        return {}, 0
    if str(options.get("remove", site.vzdump_conf.get("remove", 1))) == "0":
        return {}, sum(rules.values())
    return rules, 0


def _take_lock(site: Site, loud: _Journalled, log: TaskLog) -> None:
    """Take the lock of which a node has one; a wait is told, and a cancelled task stops waiting."""
    if site.vzdump_lock.acquire(blocking=False):
        return
    loud("INFO: trying to get global lock - waiting...")
    until = time.monotonic() + 60 * int(site.vzdump_conf.get("lockwait", 180))
    while not site.vzdump_lock.acquire(timeout=_LOCK_TRY):
        log.check()
        if time.monotonic() > until:
            loud.anyway("ERROR: can't acquire lock '/var/run/vzdump.lock' - got timeout")
            raise TaskError("unexpected status")
    loud("INFO: got global lock")


def _guest(site: Site, vmid: int, plan: Plan, target: Target, loud: _Journalled) -> None:
    guest = site.guests.get(vmid)
    if guest is None:
        raise TaskError(f"unable to find VM '{vmid}'")
    if target.options.get("protected") and isinstance(plan.who, Call):
        archives.check_protected_limit(plan.who, target.storage, vmid, guest.kind)
    GuestBackup(site, guest, target, loud.log, loud).run()


def _guests(site: Site, plan: Plan, target: Target, log: TaskLog, loud: _Journalled) -> int:
    """Back the guests up and count the failures; a cancelled task stops at once."""
    loud(f"INFO: starting new backup job: {vzdump_log.command(plan.named, plan.options)}")
    allowed = [vmid for vmid in plan.vmids if vmid not in site.guests or plan.may(vmid)]
    failed = 0
    for vmid in allowed:
        try:
            _guest(site, vmid, plan, target, loud)
        except (ApiError, HypervisorError, OSError, TaskError) as error:
            failed += 1
            loud.anyway(f"ERROR: Backup of VM {vmid} failed - {error}")
            log.quiet(f"INFO: Failed at {vzdump_log.moment(site.now(), site.zone)}")
            if log.task.cancelled.is_set():
                loud.anyway(f"ERROR: Backup job failed - {error}")
                raise
    return failed
