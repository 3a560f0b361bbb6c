"""Guests and their configurations; those that are only named somewhere; the tasks that changed those that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backup_standard.collect import shapes
from backup_standard.collect.reader import Reader
from backup_standard.errors import ApiError
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Archive, BackupJob, Gap, Guest

Listed = Sequence[Mapping[str, Any]] | Gap
MARK = "VM.Audit"
"""What the need of a gap names that may hide guests."""


@dataclass(frozen=True)
class Guests:
    """What the site shows of its guests, and the gaps that are not about one guest alone."""

    seen: Mapping[int, Guest | Gap]
    gaps: tuple[Gap, ...] = ()


def list_guests(reader: Reader) -> Listed:
    """The entries of /cluster/resources; broken as a whole when one has no VMID, since it could be any guest's."""

    def read() -> Listed:
        listed = reader.rows("/cluster/resources", type="vm")
        return [{**raw, "vmid": int(raw["vmid"])} for raw in listed]

    return reader.attempt("the list of guests", read)


def read_guests(reader: Reader, inventory: Inventory, listed: Listed, online: Sequence[str]) -> Guests:
    """Each guest with its configuration. Without the list: a gap for each that the inventory names."""
    if isinstance(listed, Gap):
        everyone = replace(listed, need=MARK)
        return Guests({vmid: replace(listed, fact=f"guest {vmid}") for vmid in inventory.guests}, (everyone,))
    found: dict[int, Guest | Gap] = dict(reader.each(lambda raw: _guest(reader, raw, online), listed))
    unread = [guest.unread for guest in found.values() if isinstance(guest, Guest)]
    return Guests(found, tuple(gap for gap in unread if gap))


def _guest(reader: Reader, raw: Mapping[str, Any], online: Sequence[str]) -> tuple[int, Guest | Gap]:
    vmid: int = raw["vmid"]
    guest = reader.attempt(f"guest {vmid}", lambda: shapes.guest(raw, {}))
    if isinstance(guest, Gap):
        return vmid, guest
    fact = f"the configuration of guest {vmid}"
    if guest.node not in online:
        off = Gap(fact, f"node {guest.node} is offline", f"node {guest.node} online")
        return vmid, replace(guest, unread=off)
    path = f"/nodes/{guest.node}/{guest.kind}/{vmid}/config"
    configured = reader.attempt(fact, lambda: shapes.guest(raw, reader.record(path)))
    return vmid, replace(guest, unread=configured) if isinstance(configured, Gap) else configured


def watched(inventory: Inventory, guests: Mapping[int, Guest | Gap], online: Sequence[str]) -> dict[int, str]:
    """The guests whose changes matter to the policy's workflow, with their nodes."""
    found = {}
    for vmid, section in inventory.guests.items():
        guest = guests.get(vmid)
        if section.role in {"golden-template", "docker-host"} and isinstance(guest, Guest) and guest.node in online:
            found[vmid] = guest.node
    return found


def named_vmids(
    inventory: Inventory, jobs: Mapping[str, BackupJob] | Gap, archives: Mapping[str, tuple[Archive, ...] | Gap]
) -> set[int]:
    """Every VMID that the inventory, a job or an archive names."""
    named: set[int] = set(inventory.guests)
    for job in [] if isinstance(jobs, Gap) else jobs.values():
        named |= set(job.vmids)
    for found in archives.values():
        named |= set() if isinstance(found, Gap) else {archive.vmid for archive in found if archive.vmid}
    return named


def read_hidden(reader: Reader, absent: set[int]) -> dict[int, Gap]:
    """Those absent guests that do exist, or of which it could not be asked.

    ``nextid`` tells every user (upstream: "VM 100 already exists").
    """

    def look(vmid: int) -> tuple[int, Gap | None]:
        found = reader.attempt(f"whether guest {vmid} exists", lambda: _taken(reader, vmid))
        if isinstance(found, Gap) or not found:
            return vmid, found or None
        need = f"VM.Audit on /vms/{vmid}: {reader.pve.grant('VM.Audit', f'/vms/{vmid}')}"
        return vmid, Gap(f"guest {vmid}", "it exists, but the token may not see it", need)

    return {vmid: gap for vmid, gap in reader.each(look, sorted(absent)) if gap}


def _taken(reader: Reader, vmid: int) -> bool:
    try:
        free = reader.get("/cluster/nextid", vmid=vmid)
    except ApiError as problem:
        if "already exists" not in problem.parameters.get("vmid", ""):
            raise
        return True
    if str(free) != str(vmid):
        raise ValueError(f"{vmid} is expected, not {str(free)[:80]!r}")
    return False
