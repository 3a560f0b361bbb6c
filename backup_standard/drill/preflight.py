"""Live checks right before a restore: the temporary VMID is free everywhere, there is room, no backup runs."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from backup_standard.collect import window
from backup_standard.drill import memory, names, volumes
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Reader, Shell
from backup_standard.errors import ApiError, Refused
from backup_standard.model import BackupJob
from backup_standard.quantities import say_size

_THICK = frozenset({"lvm", "iscsidirect", "iscsi"})


@dataclass(frozen=True)
class Surroundings:
    """What the facts of this run say of the site around a drill."""

    jobs: tuple[BackupJob, ...]
    timezone: str
    unknown: str = ""
    """Why the jobs, or when they run, are not known: then no drill may begin."""


def check(
    plan: DrillPlan, api: Reader, surroundings: Surroundings, shell: Shell | None, *, held: int = 0
) -> dict[str, Any]:
    """Prove that the drill may begin. Refused lists every objection; returns what was seen, for the record.

    ``held``: bytes of the node's memory that copies of this run have now and will give back.
    """
    if plan.refusal:
        raise Refused(plan.refusal)
    vmids = [vmid for vmid in (plan.temporary_vmid, plan.clone_vmid) if vmid]
    objections = [surroundings.unknown] if surroundings.unknown else []
    objections += [*_window(plan, api, surroundings), *_space(plan, api), *_memory(plan, api, held)]
    unproven: list[str] = []
    for vmid in vmids:
        objections += [*taken(api, vmid), *references(api, vmid), *_jobs_naming(surroundings.jobs, vmid)]
        sight = volumes.look(api, plan.node, vmid, held=[plan.storage], shell=shell)
        objections += [f"volume {volid} of VMID {vmid} exists" for volid in sight.found]
        objections += [*sight.objections(vmid), *_node_leftovers(shell, vmid, plan.node)]
        unproven += [f"that no volume of VMID {vmid} is left on {one}: {volumes.BLIND}" for one in sight.blind]
    if objections:
        raise Refused(
            "the drill may not begin: " + "; ".join(objections),
            next_step="backup-standard reap --inventory FILE --dry-run shows what earlier drills left behind",
        )
    return {"proven_free": vmids, **({"not_proven_free": unproven} if unproven else {})}


def taken(api: Reader, vmid: int) -> Iterator[str]:
    """Whether a guest has this VMID, anywhere in the cluster and also where it is hidden from the token."""
    resources = api.get("/cluster/resources", type="vm")
    for guest in resources:
        if guest.get("vmid") == vmid:
            yield f"VMID {vmid} is taken by {guest.get('name', 'a guest')!r} on {guest.get('node')}"
            return
    try:
        api.get("/cluster/nextid", vmid=vmid)
    except ApiError as answer:
        yield f"VMID {vmid} is taken ({answer.parameters.get('vmid', answer.text).strip()})"


def references(api: Reader, vmid: int) -> Iterator[str]:
    """High availability and replication entries that name a VMID; they would apply to the copy at once."""
    for resource in api.get("/cluster/ha/resources"):
        if str(resource.get("sid", "")).endswith(f":{vmid}"):
            yield f"high availability manages {resource['sid']}"
    for job in api.get("/cluster/replication"):
        if int(job.get("guest", 0)) == vmid:
            yield f"replication job {job.get('id')} names VMID {vmid}"


def node_leftovers(shell: Shell, vmid: int) -> list[str]:
    """Namespace, bridge and ports of a VMID's gateway that exist on the node."""
    listed = shell(("ip", "netns", "list")).stdout.splitlines()
    found = [f"network namespace {line.split()[0]}" for line in listed if line.split()[:1] == [names.namespace(vmid)]]
    links = shell(("ip", "-o", "link", "show")).stdout
    ours = (names.drill_bridge(vmid), names.gateway_port(vmid))
    devices = [port for port in ours if re.search(rf"^\d+: {port}[@:]", links, re.MULTILINE)]
    return found + [f"network device {port}" for port in devices]


def _node_leftovers(shell: Shell | None, vmid: int, node: str) -> list[str]:
    """What is left of a VMID on the node, as objections."""
    return [f"{left} exists on {node}" for left in node_leftovers(shell, vmid)] if shell else []


def _jobs_naming(jobs: Iterable[BackupJob], vmid: int) -> Iterator[str]:
    for job in jobs:
        if vmid in job.vmids:
            yield f"{job} names VMID {vmid} and would back the copy up"


def _window(plan: DrillPlan, api: Reader, surroundings: Surroundings) -> Iterator[str]:
    now = float(api.get(f"/nodes/{plan.node}/time")["time"])
    zone: dt.tzinfo = zoneinfo.ZoneInfo(surroundings.timezone)
    reason = window.conflict(surroundings.jobs, now=now, estimate=plan.estimate, say=zone)
    if reason:
        yield reason
    yield from window.running(api.get, plan.node)


def _memory(plan: DrillPlan, api: Reader, held: int) -> Iterator[str]:
    free = memory.available(api, plan.node) + held
    if plan.memory_bytes > free:
        yield f"{plan.node} has {say_size(free)} of memory available; the copy is given {say_size(plan.memory_bytes)}"


def _space(plan: DrillPlan, api: Reader) -> Iterator[str]:
    status = api.get(f"/nodes/{plan.node}/storage/{plan.storage}/status")
    if not status.get("active"):
        yield f"storage {plan.storage} is not active on {plan.node}"
        return
    content, what = ("rootdir", "containers") if plan.kind == "lxc" else ("images", "guest disks")
    if content not in str(status.get("content", "")).split(","):
        yield f"storage {plan.storage} does not hold {what} (content {status.get('content')})"
    copies = 2 if plan.clone_vmid and plan.template else 1
    thick = status.get("type") in _THICK
    needed = plan.disk_bytes * copies if thick else (plan.archive.size or 0 if plan.archive else 0)
    available = int(status.get("avail", 0))
    if available < needed:
        yield f"storage {plan.storage} has {say_size(available)} free; the copy needs {say_size(needed)}"
