"""What an inventory's sections must agree on among themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from backup_standard.inventory import groups
from backup_standard.inventory.document import Place
from backup_standard.inventory.schema import Inventory
from backup_standard.quantities import say_duration
from backup_standard.standard import NIGHTS, RPO

Problem = tuple[Place, str]


def contradictions(inventory: Inventory) -> Iterator[Problem]:
    """Every place where two sections contradict each other, or a threshold is weaker than the standard."""
    yield from _temporary_vmids(inventory)
    yield from _range(inventory)
    yield from _drills_have_ground(inventory)
    yield from groups.contradictions(inventory)
    yield from _weakened(inventory)
    yield from _attestations(inventory)


def _temporary_vmids(inventory: Inventory) -> Iterator[Problem]:
    taken: dict[int, int] = {}
    for vmid, guest in inventory.guests.items():
        temporary = guest.drill.vmid if guest.drill else None
        if temporary is None:
            continue
        place = ("guests", vmid, "drill", "vmid")
        if temporary in inventory.guests:
            yield place, f"{temporary} is a production guest of this inventory; choose a VMID that is free"
        elif temporary in taken:
            yield place, f"{temporary} is already the temporary VMID of guest {taken[temporary]}; choose another"
        taken.setdefault(temporary, vmid)


def _range(inventory: Inventory) -> Iterator[Problem]:
    if inventory.drill is None:
        return
    reserved = inventory.drill.reserved()
    inside = [str(vmid) for vmid in inventory.guests if vmid in reserved]
    if inside:
        yield (
            ("drill", "vmids"),
            f"the range holds production guests of this inventory ({', '.join(inside)}); drills delete what is in it",
        )


def _drills_have_ground(inventory: Inventory) -> Iterator[Problem]:
    drilled = [vmid for vmid, guest in inventory.guests.items() if guest.drill]
    if drilled and inventory.drill is None:
        yield (
            ("guests", drilled[0], "drill"),
            "a drill needs the section drill: with bridge, storage and vmids; add it at the top level",
        )


def _weakened(inventory: Inventory) -> Iterator[Problem]:
    waived = {waiver.rule for waiver in inventory.waivers}
    if inventory.policy.keep_nights < NIGHTS and "RET-01" not in waived:
        yield (
            ("policy", "keep_nights"),
            f"weaker than the standard's {NIGHTS} nights; remove it or add a waiver for RET-01",
        )
    objectives = [(("policy", "rpo"), inventory.policy.rpo)]
    objectives += [(("guests", vmid, "rpo"), guest.rpo) for vmid, guest in inventory.guests.items() if guest.rpo]  # type: ignore[misc]
    for place, rpo in objectives:
        if rpo > RPO and "VER-02" not in waived:
            yield place, f"weaker than the standard's {say_hours(RPO)}; remove it or add a waiver for VER-02"


def _attestations(inventory: Inventory) -> Iterator[Problem]:
    for place, one in enumerate(inventory.attestations):
        if one.until < one.date:
            yield ("attestations", place, "until"), "ends before it begins; until is the last day on which it counts"


def say_hours(span: dt.timedelta) -> str:
    """A duration of whole hours as the policy writes it (``26h``), else in two units."""
    hours, rest = divmod(int(span.total_seconds()), 3600)
    return f"{hours}h" if not rest else say_duration(span)
