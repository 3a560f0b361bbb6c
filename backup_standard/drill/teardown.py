"""The end of a drill: stop, destroy, and look whether really nothing is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backup_standard import waiting
from backup_standard.drill import gateway, names, node_commands, preflight
from backup_standard.drill.claims import Claim, Claims
from backup_standard.drill.guard import Guard, is_ours, try_config
from backup_standard.drill.ports import Reader, Shell, Writer
from backup_standard.errors import ApiError, MissingPrivilege, OperatorError, TaskFailed

TASK_TIMEOUT = 300.0
"""Seconds for a stop or a destroy."""
LOCK_PATIENCE = 60.0
"""Seconds that a lock on the guest (clean-up of a stop, a cancelled restore) is waited for."""

RESTORE_LOCK = "create"
"""The lock in a guest's configuration while it is restored (upstream: PVE/API2/Qemu.pm create_vm)."""


@dataclass(frozen=True)
class Remains:
    """What is left of a temporary guest; empty when all of it is gone."""

    vmid: int
    left: tuple[str, ...]
    problem: str = ""

    def __bool__(self) -> bool:
        return bool(self.left)

    def __str__(self) -> str:
        return f"VMID {self.vmid}: {'; '.join([*self.left, *([self.problem] if self.problem else [])])}"


def tear_down(api: Writer, guard: Guard, claim: Claim, shell: Shell | None) -> Remains:
    """Remove everything of a claimed VMID and verify it gone. Never raises for what the site refuses: it is named."""
    problems: list[str] = []
    for step in (_end_tasks, partial(_unlock, guard=guard, shell=shell), _stop, _destroy):
        try:
            step(api, claim)
        except (OperatorError, waiting.NotReady) as problem:
            problems.append(str(problem))
    if shell is not None:
        try:
            gateway.remove(claim.vmid, shell, guard)
        except OperatorError as problem:
            problems.append(str(problem))
    left = remains(api, claim.node, claim.vmid, shell, claim.kind)
    return Remains(claim.vmid, tuple(left), "; ".join(problems) if left else "")


def tear_down_all(
    api: Writer, guard: Guard, claims: Claims, standing: Sequence[Claim], shell: Shell | None
) -> list[Remains]:
    """Tear down each claim and release those of which nothing is left; returns what remains of the others."""
    kept = []
    for claim in standing:
        remains_of = tear_down(api, guard, claim, shell)
        if remains_of:
            kept.append(remains_of)
        else:
            claims.release(claim.vmid)
    return kept


def remains(api: Reader, node: str, vmid: int, shell: Shell | None, kind: str = "qemu") -> list[str]:
    """Everything of a VMID that is still there: guest, volumes, firewall file, references, gateway."""
    try:
        left = [*preflight.taken(api, vmid), *preflight.references(api, vmid), *_job_references(api, vmid)]
        left += [f"volume {volid}" for volid in preflight.volumes(api, node, vmid)]
        left += _firewall(api, names.guest_path(kind, node, vmid))
    except OperatorError as problem:
        return [f"whether anything is left could not be seen: {problem}"]
    return left + (preflight.node_leftovers(shell, vmid) if shell else [])


def _end_tasks(api: Writer, claim: Claim) -> None:
    for upid in claim.upids:
        task = f"/nodes/{claim.node}/tasks/{upid}"
        try:
            if api.get(f"{task}/status").get("status") != "running":
                continue
        except ApiError:
            continue
        api.write("DELETE", task)
        try:
            api.wait_task(upid, timeout=LOCK_PATIENCE)
        except TaskFailed:
            continue


def _unlock(api: Writer, claim: Claim, *, guard: Guard, shell: Shell | None) -> None:
    """Take away the lock of a restore that vanished with its node or was killed: root on the node may, no token."""
    config = try_config(api, claim.node, claim.vmid, claim.kind)
    if shell is None or config is None or config.get("lock") != RESTORE_LOCK:
        return
    active = api.get(f"/nodes/{claim.node}/tasks", source="active", vmid=claim.vmid)
    if any(not task.get("endtime") for task in active) or not is_ours(config, claim, stub_allowed=True):
        return
    argv = node_commands.unlock(claim.vmid, claim.kind)
    guard.permit_command(argv)
    shell(argv)


def _stop(api: Writer, claim: Claim) -> None:
    path = _path(claim)
    if try_config(api, claim.node, claim.vmid, claim.kind) is None:
        return
    if api.get(f"{path}/status/current").get("status") != "stopped":
        _unlocked(api, path)
        api.wait_task(str(api.write("POST", f"{path}/status/stop")), timeout=TASK_TIMEOUT)


def _destroy(api: Writer, claim: Claim) -> None:
    path = _path(claim)
    if try_config(api, claim.node, claim.vmid, claim.kind) is None:
        return
    _unlocked(api, path)
    config = api.get(f"{path}/config")
    if str(config.get("protection", "0")) == "1":
        api.write("PUT", f"{path}/config", {"protection": 0})
    end: dict[str, Any] = {"purge": 1, "destroy-unreferenced-disks": 1}
    api.wait_task(str(api.write("DELETE", path, end)), timeout=TASK_TIMEOUT)


def _path(claim: Claim) -> str:
    return names.guest_path(claim.kind, claim.node, claim.vmid)


def _unlocked(api: Reader, path: str) -> None:
    tool = "pct" if "/lxc/" in path else "qm"
    waiting.until(
        lambda: str(api.get(f"{path}/config").get("lock", "")),
        ready=lambda lock: not lock,
        timeout=LOCK_PATIENCE,
        what=f"the lock of {path} is released (on the node: {tool} unlock {path.rsplit('/', 1)[-1]})",
    )


def _job_references(api: Reader, vmid: int) -> list[str]:
    try:
        jobs = api.get("/cluster/backup")
    except MissingPrivilege:
        return []
    return [f"job {job['id']} names it" for job in jobs if str(vmid) in str(job.get("vmid", "")).split(",")]


def _firewall(api: Reader, path: str) -> list[str]:
    """Rules of a firewall file that outlived its guest. Upstream answers for any VMID, from the file alone."""
    try:
        rules = api.get(f"{path}/firewall/rules")
    except (MissingPrivilege, ApiError):
        return []
    return [f"{len(rules)} firewall rule(s)"] if rules else []
