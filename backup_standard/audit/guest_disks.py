"""Which storages of a node hold guest disks, by the configurations of the guests that live there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from backup_standard.audit.coverage import gap_needing
from backup_standard.model import Facts, Gap, Guest

_DRIVE = re.compile(r"(?:ide|sata|scsi|virtio|efidisk|tpmstate|unused|mp)\d+|rootfs|vmstate")


@dataclass(frozen=True)
class GuestDisks:
    """The disks of every guest on one node: templates, stopped guests and unused disks included."""

    node: str
    facts: Facts

    @cached_property
    def by_storage(self) -> Mapping[str, tuple[str, ...]]:
        """For each storage the disks on it, as ``VM 200 (web) scsi0``."""
        found: dict[str, list[str]] = defaultdict(list)
        for disk, place in self._disks:
            storage, colon, _ = place.partition(":")
            if colon and not place.startswith("/"):
                found[storage].append(disk)
        return {storage: tuple(disks) for storage, disks in sorted(found.items())}

    @cached_property
    def raw(self) -> Mapping[str, str]:
        """Disks that are devices of the node itself, handed through to a guest: the device of each."""
        return {disk: place for disk, place in self._disks if place.startswith("/dev/")}

    @cached_property
    def _disks(self) -> list[tuple[str, str]]:
        found = []
        for guest in self._guests:
            for key, value in guest.config.items():
                place = value.split(",", 1)[0].removeprefix("volume=").removeprefix("file=")
                if _DRIVE.fullmatch(key) and "media=cdrom" not in value and place not in {"none", "cdrom"}:
                    found.append((f"{guest} {key}", place))
        return found

    @property
    def _guests(self) -> list[Guest]:
        seen = [guest for guest in self.facts.guests.values() if not isinstance(guest, Gap)]
        return [guest for guest in seen if guest.node == self.node]

    @property
    def unread(self) -> Gap | None:
        """What may hide a disk: a guest whose configuration, or whose very existence, does not show."""
        hidden = [guest for guest in self.facts.guests.values() if isinstance(guest, Gap)]
        silent = next((guest for guest in self._guests if guest.unread or not guest.config), None)
        if silent:
            fact, need = f"the disks of {silent}", f"VM.Audit on /vms/{silent.vmid}"
            return replace(silent.unread or Gap(fact, "its configuration was not read", need), fact=fact)
        return next(iter(hidden), None) or gap_needing(self.facts, "VM.Audit")
