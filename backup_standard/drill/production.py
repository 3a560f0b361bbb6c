"""Production as it was before a drill, and whether it is exactly so afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backup_standard.drill import guestconfig
from backup_standard.drill.guard import try_config
from backup_standard.drill.ports import Reader

Snapshot = dict[str, Any]
GONE = "gone"


def snapshot(api: Reader, vmids: Iterable[int]) -> Snapshot:
    """Configuration digest, power state and disk volumes of each guest, by VMID as text; GONE where there is none."""
    where = {int(item["vmid"]): item for item in api.get("/cluster/resources", type="vm") if "vmid" in item}
    return {str(vmid): _one(api, vmid, where.get(vmid)) for vmid in sorted(vmids)}


def _one(api: Reader, vmid: int, resource: Mapping[str, Any] | None) -> Any:
    if resource is None:
        return GONE
    config = try_config(api, str(resource["node"]), vmid, str(resource.get("type")))
    if config is None:
        return GONE
    return {
        "node": resource["node"],
        "status": resource.get("status"),
        "digest": config.get("digest"),
        "volumes": guestconfig.disks(guestconfig.texts(config)),
    }


def unseen(before: Snapshot) -> list[str]:
    """Guests of which nothing can be said, in words: deleted ones, and those the drill token may not see."""
    return [
        f"guest {vmid} stayed as it was: this token does not see it" for vmid, seen in before.items() if seen == GONE
    ]


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What changed, in words; empty when production is exactly as before."""
    return [
        f"guest {vmid} was {before.get(vmid, 'absent')} and is {after.get(vmid, 'absent')}"
        for vmid in sorted(before.keys() | after.keys(), key=int)
        if before.get(vmid) != after.get(vmid)
    ]
