"""A site as the rules see it: the subjects that follow from the inventory and from what was read."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

from backup_standard.audit.coverage import gap_needing
from backup_standard.audit.everyone import AnyGuest, HiddenGuests, RequiredRole, required_roles
from backup_standard.audit.guest import Guest
from backup_standard.audit.node import Node
from backup_standard.audit.scheduled_job import ScheduledJob
from backup_standard.audit.storage import BackupStorage
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Facts, Gap
from backup_standard.model import Guest as SeenGuest
from backup_standard.model.facts import known
from backup_standard.model.guests import DRILL_TAG

LOOK_EVERY = dt.timedelta(days=7)
"""How often somebody looks at the backups where no monitoring does."""


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

    @property
    def today(self) -> dt.date:
        """The site's own day when it was read."""
        return self.facts.day_in(self.inventory.site.timezone)

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
        storage = self.inventory.policy.storage
        return tuple(BackupStorage(node, storage, self.facts, self._guests_of(node)) for node in sorted(nodes))

    def _guests_of(self, node: str) -> tuple[Guest, ...]:
        """The mandatory guests of a node, and those of which it is unknown where they live."""
        homes = [(guest, self.facts.guests.get(guest.vmid)) for guest in self.guests]
        return tuple(guest for guest, home in homes if home and (isinstance(home, Gap) or home.node == node))

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that has mandatory guests (every node while none is known to)."""
        return tuple(Node(storage.node, self.facts) for storage in self.backup_storages)

    @cached_property
    def jobs(self) -> tuple[ScheduledJob, ...]:
        """Every backup job, by id. Unknown when they were not read."""
        return tuple(ScheduledJob(job, self.facts) for job in known(self.facts.jobs).values())

    @cached_property
    def golden_templates(self) -> tuple[Guest, ...]:
        """The mandatory guests that others are cloned from."""
        return self._of_role("golden-template")

    @cached_property
    def docker_hosts(self) -> tuple[Guest, ...]:
        """The mandatory guests that run the client's stack."""
        return self._of_role("docker-host")

    def _of_role(self, role: str) -> tuple[Guest, ...]:
        return tuple(guest for guest in self.guests if guest.role == role)

    @property
    def watchers(self) -> list[str]:
        """The monitoring guests that run."""
        homes = (self.facts.guests.get(guest.vmid) for guest in self._of_role("monitoring"))
        return [str(seen) for seen in homes if isinstance(seen, SeenGuest) and seen.status == "running"]

    @property
    def last_look(self) -> str:
        """When somebody last looked, and how, within the last seven days; empty when nobody did."""
        now = self.facts.taken_at
        looks = [(at, "an audit") for at in self.facts.looked_at if dt.timedelta() < now - at <= LOOK_EVERY]
        looks += [
            (dt.datetime.combine(one.date, dt.time(), tzinfo=dt.UTC), f"by {one.by}: {one.statement}")
            for one in self.inventory.attestations
            if one.rule == "VER-08" and one.date <= now.date() <= min(one.until, one.date + LOOK_EVERY)
        ]
        return f"{max(looks)[0]:%Y-%m-%d}, {max(looks)[1]}" if looks else ""

    @cached_property
    def everyone(self) -> tuple[AnyGuest | HiddenGuests, ...]:
        """Every guest of the site but this suite's own temporary ones; one more for those that may be hidden."""
        seen = [vmid for vmid in sorted(self.facts.guests) if not self._is_drill_guest(vmid)]
        found = [AnyGuest(vmid, self.inventory, self.facts) for vmid in seen]
        return (*found, HiddenGuests(self.hidden)) if self.hidden else tuple(found)

    @cached_property
    def required_roles(self) -> tuple[RequiredRole, ...]:
        """The roles that every client has."""
        return required_roles(self.inventory, self.facts)

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
