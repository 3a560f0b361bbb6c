"""Whether the drill token holds what a drill will ask for: seen before anything is made, so nothing is left half-way.

The privileges are those of the documented role (:data:`backup_standard.standard.privileges.DRILL_ROLES`), of which a
drill needs what its guest makes necessary. What a drill can do without (a picture of the screen) is not asked for here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backup_standard.drill import boot, guestconfig
from backup_standard.drill.neutralise import Neutralised
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Reader
from backup_standard.errors import Refused
from backup_standard.standard.privileges import Release, release_of

_ZONE = "/sdn/zones/localnetwork"
_SDN: Release = (8, 0)
"""The first release that asks for rights on a bridge."""
_AGENT: Release = (9, 0)
"""The first release with privileges for the guest agent alone."""


@dataclass(frozen=True)
class Need:
    """One privilege on one path, and what for."""

    path: str
    privilege: str
    why: str

    def __str__(self) -> str:
        return f"{self.privilege} on {self.path} ({self.why})"


def require(api: Reader, plan: DrillPlan, archived: Mapping[str, str], decided: Neutralised) -> None:
    """Refused with every privilege that the token lacks for this drill."""
    lacking = missing(api, plan, archived, decided)
    if lacking:
        raise Refused(
            f"the drill token lacks {'; '.join(map(str, lacking))}",
            next_step="backup-standard standard --drill-token --inventory FILE prints the commands that grant it",
        )


def missing(api: Reader, plan: DrillPlan, archived: Mapping[str, str], decided: Neutralised) -> list[Need]:
    """What the token lacks for this drill; asks only for the token's own rights, which it may always."""
    release = release_of(str(api.get("/version")["version"]))
    needs = list(needed(plan, archived, decided, release))
    held: dict[str, Mapping[str, Any]] = {}
    for path in dict.fromkeys(need.path for need in needs):
        held[path] = dict(api.get("/access/permissions", path=path)).get(path) or {}
    return [need for need in needs if need.privilege not in held[need.path]]


def needed(plan: DrillPlan, archived: Mapping[str, str], decided: Neutralised, release: Release) -> Iterator[Need]:
    """Every privilege that this drill will be asked for."""
    copy = f"/pool/{plan.pool}" if plan.pool else f"/vms/{plan.temporary_vmid}"
    yield Need("/", "Sys.Audit", "to see tasks, high availability and the node's bridges")
    reading = "read and protect" if plan.protect else "read"
    yield Need(f"/vms/{plan.vmid}", "VM.Backup", f"to {reading} the guest's archives")
    yield Need(f"/vms/{plan.vmid}", "VM.Audit", "to show that the guest stays as it was")
    if plan.archive:
        yield Need(f"/storage/{plan.archive.storage}", "Datastore.AllocateSpace", f"to {reading} archives")
    yield Need(f"/storage/{plan.storage}", "Datastore.AllocateSpace", "to make the copy's disks")
    yield Need(f"/storage/{plan.storage}", "Datastore.Audit", "to see its free space and what is left on it")
    if release >= _SDN:
        yield Need(f"{_ZONE}/{plan.bridge}", "SDN.Use", "to put the copy on the isolated bridge")
    for privilege, why in (*_ALWAYS.items(), *_by_setting(decided, plan.kind), *_by_agent(archived, plan, release)):
        yield Need(copy, privilege, why)


_ALWAYS = {
    "VM.Allocate": "to make and delete the copy",
    "VM.Audit": "to look at the copy",
    "VM.PowerMgmt": "to start and stop the copy",
    "VM.Config.Options": "to name and tag the copy",
    "VM.Config.Network": "to move its network cards to the isolated bridge",
}


def _by_setting(decided: Neutralised, kind: str) -> Iterator[tuple[str, str]]:
    """What the changed settings ask for beyond the usual (upstream: PVE/API2/Qemu.pm, PVE/LXC.pm)."""
    changed = [*decided.overrides, *decided.afterwards]
    if "watchdog" in changed:
        yield "VM.Config.HWType", "to remove the watchdog"
    if any(value.endswith("media=cdrom") for value in decided.afterwards.values()):
        yield "VM.Config.CDROM", "to take media out of its drives"
    if kind == "lxc" and any(map(guestconfig.is_mount, changed)):
        yield "VM.Config.Disk", "to make its mounts new volumes"


def _by_agent(archived: Mapping[str, str], plan: DrillPlan, release: Release) -> Iterator[tuple[str, str]]:
    if plan.kind != "qemu" or not boot.has_agent(dict(archived)):
        return
    if release >= _AGENT:
        yield "VM.GuestAgent.Unrestricted", "to ask the guest's agent and run commands by it"
    else:
        yield "VM.Monitor", "to ask the guest's agent and run commands by it"
