"""The end of a drill: stop, destroy, and look whether really nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from backup_standard import waiting
from backup_standard.drill import gateway, names, node_commands, preflight, protection
from backup_standard.drill.claims import Claim, Claims
from backup_standard.drill.guard import Guard, is_ours, try_config
from backup_standard.drill.ports import Reader, Shell, Writer
from backup_standard.drill.remains import Remains, Search
from backup_standard.errors import ApiError, OperatorError, TaskFailed

TASK_TIMEOUT = 300.0
"""Seconds for a stop or a destroy."""
LOCK_PATIENCE = 60.0
"""Seconds that a lock on the guest (clean-up of a stop, a cancelled restore) is waited for."""

RESTORE_LOCK = "create"
"""The lock in a guest's configuration while it is restored (upstream: PVE/API2/Qemu.pm create_vm)."""


def tear_down(api: Writer, guard: Guard, claims: Claims, claim: Claim, shell: Shell | None) -> Remains:
    """Remove everything of a claimed VMID and verify it gone. Never raises for what the site refuses: it is named."""
    steps: tuple[Callable[[], None], ...] = (
        partial(_end_tasks, api, claim),
        partial(_unlock, api, claim, guard=guard, shell=shell),
        partial(_stop, api, claim),
        partial(_destroy, api, claim),
        partial(_remove_gateway, claim, guard, shell),
        partial(protection.lift, api, claims, claim),
    )
    problems: list[str] = []
    for step in steps:
        try:
            step()
        except (OperatorError, waiting.NotReady) as problem:
            problems.append(str(problem))
    search = Search(api, shell, guard.ground.storage)
    found = search.of(claim)
    if found.volids and shell is not None:
        problems += _free(api, guard, claim, found.volids, shell)
        found = search.of(claim)
    return replace(found, problem="; ".join(dict.fromkeys(problems))) if found else found


def tear_down_all(
    api: Writer, guard: Guard, claims: Claims, standing: Sequence[Claim], shell: Shell | None
) -> list[Remains]:
    """Tear down each claim and release those of which nothing is left; returns what remains of each, and proofs."""
    torn = []
    for claim in standing:
        remains = tear_down(api, guard, claims, claim, shell)
        if not remains:
            claims.release(claim.vmid)
        torn.append(remains)
    return torn


def _free(api: Reader, guard: Guard, claim: Claim, volids: Sequence[str], shell: Shell) -> list[str]:
    """Remove volumes that outlived their guest, as root on the node; returns what is against it."""
    problems: list[str] = []
    try:
        if any(preflight.taken(api, claim.vmid)):
            return []
        for volid in volids:
            argv = node_commands.free(volid)
            guard.permit_command(argv)
            ran = shell(argv)
            if ran.rc != 0:
                problems.append(f"{' '.join(argv)} failed on the node: {(ran.stderr or ran.stdout).strip()}")
    except OperatorError as problem:
        problems.append(str(problem))
    return problems


def _remove_gateway(claim: Claim, guard: Guard, shell: Shell | None) -> None:
    if shell is not None:
        gateway.remove(claim.vmid, shell, guard)


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
