"""The lab's own site as the machinery is asked to set it up, from the seed of the control plane."""

from __future__ import annotations

from collections.abc import Sequence

from lab.pve import guestconfig, seed
from lab.settings import CONTAINER, GUESTS, MIB
from lab.vm.node import DatedLine
from lab.vm.plan import MadeArchive, PlannedGuest

PORTS = {"docker": 8080, "dns": 53, "monitoring": 9100}


def planned_guests() -> list[PlannedGuest]:
    """Return the site's guests."""
    found = []
    for guest in (*GUESTS, CONTAINER):
        config = {key: str(value) for key, value in seed.guest_config(guest).items()}
        drives = {"rootfs": guest.volume} if guest is CONTAINER else guestconfig.drives(seed.guest_config(guest))
        drive, volid = next(iter(drives.items()))
        found.append(
            PlannedGuest(
                guest.vmid,
                config,
                drive,
                volid,
                guest.disk_mib * MIB,
                seed.archived_config(guest),
                not guest.template,
                PORTS.get(guest.role),
                guest.address,
            )
        )
    return found


def archive_facts(archives: Sequence[MadeArchive]) -> dict[int, seed.ArchiveFacts]:
    """Return what the seed tells of the real archives."""
    return {made.vmid: seed.ArchiveFacts(made.size, made.stored, made.disk, made.uuid) for made in archives}


def dated_journal(now: int, facts: dict[int, seed.ArchiveFacts]) -> list[DatedLine]:
    """Return the journal of the site's past."""
    return [DatedLine(line.when, line.identifier, line.message, 6, line.pid) for line in seed.journal(now, facts)]
