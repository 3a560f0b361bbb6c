"""A site as the rules see it: the subjects that follow from the inventory and from what was read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from backup_standard.audit.coverage import gap_needing
from backup_standard.audit.guest import Guest
from backup_standard.audit.storage import BackupStorage
from backup_standard.inventory.schema import Inventory
from backup_standard.model import BackupJob, Facts, Gap
from backup_standard.model.facts import known
from backup_standard.model.guests import DRILL_TAG


@dataclass(frozen=True)
class NotJudged:
    """A guest that no rule of a run judges, and why."""

    vmid: int
    guest: str
    reason: str


@dataclass(frozen=True)
class Site:
    """An inventory together with one reading of its site."""

    inventory: Inventory
    facts: Facts

    @cached_property
    def guests(self) -> tuple[Guest, ...]:
        """The mandatory guests by VMID: those with such a role, and every guest that the inventory leaves out."""
        declared = [Guest(vmid, self.inventory, self.facts, one) for vmid, one in self.inventory.mandatory().items()]
        unclassified = [
            Guest(vmid, self.inventory, self.facts)
            for vmid in self.facts.guests
            if vmid not in self.inventory.guests and not self._is_drill_guest(vmid)
        ]
        return tuple(sorted((*declared, *unclassified), key=lambda guest: guest.vmid))

    def _is_drill_guest(self, vmid: int) -> bool:
        """Whether it is this suite's own temporary guest: a reserved VMID and the drill's tag."""
        seen = self.facts.guests[vmid]
        return vmid in self._reserved and not isinstance(seen, Gap) and DRILL_TAG in seen.tags

    @cached_property
    def _reserved(self) -> frozenset[int]:
        explicit = {one.drill.vmid for one in self.inventory.guests.values() if one.drill and one.drill.vmid}
        if not self.inventory.drill:
            return frozenset(explicit)
        low, high = (int(part) for part in self.inventory.drill.vmids.split("-"))
        return frozenset(explicit | set(range(low, high + 1)))

    @cached_property
    def backup_storages(self) -> tuple[BackupStorage, ...]:
        """The policy storage on every node that has mandatory guests (on every node while none is known to)."""
        homes = [self.facts.guests.get(guest.vmid) for guest in self.guests]
        nodes = {home.node for home in homes if home is not None and not isinstance(home, Gap)} or set(self.facts.nodes)
        return tuple(BackupStorage(node, self.inventory.policy.storage, self.facts) for node in sorted(nodes))

    @cached_property
    def jobs(self) -> tuple[BackupJob, ...]:
        """Every backup job, by id. Unknown when they were not read."""
        return tuple(known(self.facts.jobs).values())

    @cached_property
    def not_judged(self) -> tuple[NotJudged, ...]:
        """The inventory's guests that the policy does not demand backups of, and this suite's own temporary ones."""
        mandatory = {guest.vmid for guest in self.guests}
        found = []
        for vmid, section in self.inventory.guests.items():
            if vmid not in mandatory:
                why = f"role {section.role}" + (f": {section.exempt.reason}" if section.exempt else "")
                found.append(NotJudged(vmid, str(Guest(vmid, self.inventory, self.facts, section)), why))
        for vmid in self.facts.guests:
            if vmid not in mandatory and vmid not in self.inventory.guests:
                guest = str(Guest(vmid, self.inventory, self.facts))
                found.append(NotJudged(vmid, guest, "a drill's temporary guest"))
        return tuple(sorted(found, key=lambda one: one.vmid))

    @property
    def hidden(self) -> Gap | None:
        """The gap that may hide whole guests, if there is one."""
        return gap_needing(self.facts, "VM.Audit")
