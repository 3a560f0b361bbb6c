"""An empty guest in the drill's pool, made first, so that a restore into it never leaves the pool.

A restore joins its pool only at its end: the stub that a failed one leaves would stand outside, where a token with
rights on the pool alone can neither see nor delete it (upstream: PVE/API2/Qemu.pm create_vm, restorefn; rights on
/vms/VMID are no way out, for they are dropped with every guest: PVE/AccessControl.pm remove_vm_access). An empty guest
joins its pool when it is made, and a restore over it (``force``) leaves pools alone. A failed restore of a container
removes the container itself, so containers need none (upstream: PVE/API2/LXC.pm create_vm).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backup_standard.drill.claims import Claims
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Writer

TIMEOUT = 120.0
"""Seconds for making it."""

EMPTY_KEYS = frozenset(
    {
        "boot", "cores", "description", "digest", "memory", "meta", "name", "numa", "onboot", "ostype", "scsihw",
        "smbios1", "sockets", "tags", "vmgenid",
    }
)  # fmt: skip
"""What the configuration of a guest without disks, cards and devices may say (upstream: PVE/API2/Qemu.pm, createfn)."""

MADE_BY = "qmcreate"
"""The type of the task that makes one."""


def is_wanted(plan: DrillPlan) -> bool:
    """Whether a drill makes one."""
    return bool(plan.pool) and plan.kind == "qemu"


def is_empty(config: Mapping[str, Any]) -> bool:
    """Whether a configuration holds nothing that a restore over it could destroy."""
    return set(config) <= EMPTY_KEYS


def params_of(plan: DrillPlan, overrides: Mapping[str, str]) -> dict[str, Any]:
    """The call that makes it: named, marked and tagged as the copy will be, and nothing else."""
    marks = {key: overrides[key] for key in ("name", "description", "tags", "onboot")}
    return {"vmid": plan.temporary_vmid, "pool": plan.pool, **marks}


def make(api: Writer, claims: Claims, plan: DrillPlan, overrides: Mapping[str, str]) -> str:
    """Make it and wait; returns its task. TaskFailed, or what the API refuses; the caller's teardown removes it."""
    upid = str(api.write("POST", f"/nodes/{plan.node}/qemu", params_of(plan, overrides)))
    claims.add_task(plan.temporary_vmid, upid)
    api.wait_task(upid, timeout=TIMEOUT)
    return upid
