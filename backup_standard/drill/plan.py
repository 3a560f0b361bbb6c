"""Which guests are drilled, from which archive, into which VMID: decided from facts, before anything is touched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backup_standard.drill import guestconfig
from backup_standard.drill.choices import NEWEST, USUAL, Choices
from backup_standard.drill.membership import Membership, joined
from backup_standard.drill.names import Reserved
from backup_standard.inventory.drills import DrillOfGuest
from backup_standard.inventory.schema import GuestSection, Inventory
from backup_standard.model import Archive, Facts, Gap, Guest, GuestKind
from backup_standard.model.dumps import DumpFolder
from backup_standard.quantities import say_size
from backup_standard.standard import RPO

ASSUMED_SPEED = 30e6
"""Bytes a second for the estimate of a restore, where none was measured: a modest disk."""
ASSUMED_CHECKS = dt.timedelta(minutes=5)
"""What login, network, services and teardown take together at most, for the estimate."""
_FIRST_OVERRIDES = (7, 2)
"""The first release that restores a virtual machine with other settings than the archive's (qemu-server 7.2-1)."""


@dataclass(frozen=True)
class DrillPlan:
    """One drill as planned. ``refusal`` is not empty when it cannot be done, and says why.

    ``protect``: the archive is to be protected from pruning meanwhile.
    """

    vmid: int
    name: str
    role: str
    kind: str
    node: str
    temporary_vmid: int
    archive: Archive | None
    disk_bytes: int
    storage: str
    bridge: str
    pool: str | None
    settings: DrillOfGuest
    rto: dt.timedelta | None = None
    rpo: dt.timedelta = RPO
    template: bool = False
    clone_vmid: int | None = None
    refusal: str = ""
    group: Membership | None = None
    point: str = NEWEST
    is_newest: bool = True
    memory_bytes: int = 0
    protect: bool = False

    @property
    def volid(self) -> str:
        """The archive as Proxmox names it, "" without one."""
        return self.archive.volid if self.archive else ""

    @property
    def estimate(self) -> dt.timedelta:
        """How long the drill may take."""
        restore = dt.timedelta(seconds=self.disk_bytes / ASSUMED_SPEED)
        return restore + self.settings.boot_timeout + ASSUMED_CHECKS

    def __str__(self) -> str:
        archive = self.archive.filename if self.archive else "no archive"
        point = "" if self.is_newest else f", the {self.point} restore point"
        return f"guest {self.vmid} ({self.name}) → {self.temporary_vmid} on {self.node} from {archive}{point}"


@dataclass(frozen=True)
class NotCovered:
    """A mandatory guest that is not drilled, and why."""

    vmid: int
    name: str
    reason: str

    def __str__(self) -> str:
        return f"guest {self.vmid} ({self.name}): {self.reason}"


@dataclass(frozen=True)
class Plan:
    """All drills of a run, and the mandatory guests left out."""

    drills: tuple[DrillPlan, ...]
    not_covered: tuple[NotCovered, ...]

    def of(self, vmid: int) -> DrillPlan:
        """The drill of one guest; KeyError when there is none."""
        return {drill.vmid: drill for drill in self.drills}[vmid]

    def lines(self) -> list[str]:
        """The plan as an operator reads it."""
        return [
            *(
                f"drill  {drill} ({_volume(drill)}){f': {drill.refusal}' if drill.refusal else ''}"
                for drill in self.drills
            ),
            *(f"not yet covered  {guest}" for guest in self.not_covered),
        ]


def plan_drills(inventory: Inventory, facts: Facts, choices: Choices = USUAL) -> Plan:
    """Plan the drill of every mandatory guest whose kind and role can be drilled; list the others with the reason."""
    drills: list[DrillPlan] = []
    left_out: list[NotCovered] = []
    reserved = Reserved.of(inventory)
    free = (vmid for vmid in reserved.from_range() if vmid not in facts.guests)
    for vmid, section in sorted(inventory.mandatory().items()):
        guest = facts.guests.get(vmid)
        reason = _left_out(inventory, section, guest)
        name = section.name or (guest.name if isinstance(guest, Guest) else str(vmid))
        if reason or not isinstance(guest, Guest) or section.drill is None or inventory.drill is None:
            left_out.append(NotCovered(vmid, name, reason))
            continue
        temporary = reserved.by_guest.get(vmid) or next(free, 0)
        clone = next(free, None) if guest.template else None
        drills.append(_drill(inventory, guest, facts, choices, vmids=(temporary, clone)))
    return Plan(joined(inventory.groups, drills), tuple(left_out))


def _left_out(inventory: Inventory, section: GuestSection, guest: Guest | Gap | None) -> str:
    if guest is None:
        return "it does not exist on the site, so nothing was restored"
    if isinstance(guest, Gap):
        return f"it could not be read: {guest.reason}"
    if section.drill is None:
        return f"the inventory does not say how (guests.{guest.vmid}.drill)"
    return "" if inventory.drill else "the inventory has no drill section (isolated bridge, storage, reserved VMIDs)"


def _drill(
    inventory: Inventory, guest: Guest, facts: Facts, choices: Choices, *, vmids: tuple[int, int | None]
) -> DrillPlan:
    temporary, clone = vmids
    section, ground = inventory.guests[guest.vmid], inventory.drill
    assert section.drill is not None
    assert ground is not None
    newest = newest_archive(facts, inventory.policy.storage, guest)
    archive = chosen_archive(facts, inventory.policy.storage, guest, choices)
    refusal = ""
    if archive is None:
        refusal = f"there is no archive of {guest} on {inventory.policy.storage} that {guest.node} can read"
    elif not temporary:
        refusal = f"no VMID of the range {ground.vmids} is free"
    elif guest.kind is GuestKind.QEMU and (facts.release_on(guest.node) or _FIRST_OVERRIDES) < _FIRST_OVERRIDES:
        refusal = f"{guest.node} is older than Proxmox VE 7.2, whose restore can take other settings than the archive's"
    return DrillPlan(
        vmid=guest.vmid, name=guest.name, role=section.role, kind=str(guest.kind), node=guest.node,
        temporary_vmid=temporary, archive=archive, disk_bytes=guestconfig.disk_bytes(guest.config),
        storage=ground.storage, bridge=ground.bridge, pool=ground.pool, settings=section.drill, rto=section.rto,
        rpo=section.rpo or inventory.policy.rpo,
        template=guest.template, clone_vmid=clone, refusal=refusal, point=choices.said(), is_newest=archive == newest,
        memory_bytes=guestconfig.memory_bytes(guest.config), protect=ground.protect_archive,
    )  # fmt: skip


def newest_archive(facts: Facts, storage: str, guest: Guest) -> Archive | None:
    """The newest archive of a guest on the backup storage, as its node sees it."""
    return chosen_archive(facts, storage, guest, USUAL)


def chosen_archive(facts: Facts, storage: str, guest: Guest, choices: Choices) -> Archive | None:
    """The archive of a guest on the backup storage that an operator chose to restore, as its node sees it."""
    seen = facts.archives.get(f"{guest.node}/{storage}")
    archives: Iterable[Archive] = seen if isinstance(seen, tuple) else ()
    found = choices.point([archive for archive in archives if archive.is_of(guest.vmid, guest.kind)])
    return _with_size(found, facts.dumps.get(f"{guest.node}/{storage}")) if found else None


def _with_size(archive: Archive, dump: DumpFolder | Gap | None) -> Archive:
    """The archive with its size from the node's file system, where the API did not show it."""
    file = dump.by_name.get(archive.filename) if isinstance(dump, DumpFolder) else None
    return replace(archive, size=file.size) if archive.size is None and file else archive


def _volume(drill: DrillPlan) -> str:
    return f"{say_size(drill.disk_bytes)} of disks" if drill.disk_bytes else "size of its disks unknown"
