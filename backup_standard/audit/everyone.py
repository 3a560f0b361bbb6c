"""Every guest of the site, mandatory or not: whether it is classified, and why it may go without backup."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from backup_standard.audit.coverage import raise_if_hidden
from backup_standard.audit.jobs import JobOnNode
from backup_standard.inventory.schema import MANDATORY_ROLES, REQUIRED_ROLES, GuestSection, Inventory
from backup_standard.model import Facts, Gap
from backup_standard.model import Guest as SeenGuest
from backup_standard.model.facts import known


@dataclass(frozen=True)
class AnyGuest:
    """One guest that the site has, or is known to hide."""

    vmid: int
    inventory: Inventory
    facts: Facts

    @property
    def seen(self) -> SeenGuest:
        """The guest as the site shows it. Unknown when the token may not see it."""
        return known(self.facts.guests[self.vmid])

    @property
    def section(self) -> GuestSection | None:
        """Its entry in the inventory."""
        return self.inventory.guests.get(self.vmid)

    @property
    def role(self) -> str:
        """The declared role, or "unclassified"."""
        return self.section.role if self.section else "unclassified"

    @property
    def is_mandatory(self) -> bool:
        """Whether the policy demands backups of it whatever the inventory says otherwise."""
        return self.role in MANDATORY_ROLES

    @property
    def jobs(self) -> tuple[JobOnNode, ...]:
        """The enabled jobs that back it up, wherever to."""
        here = (JobOnNode(job, self.seen.node, self.facts) for job in known(self.facts.jobs).values() if job.enabled)
        return tuple(job for job in here if job.is_local_to_node and self.vmid in job.job.includes)

    @property
    def job_names(self) -> str:
        """Their ids."""
        return ", ".join(job.id for job in self.jobs) or "none"

    @property
    def exemption(self) -> str:
        """Why it needs no backup, and until when; empty when nothing is declared."""
        exempt = self.section.exempt if self.section else None
        return f"{exempt.reason} (until {exempt.until.isoformat()})" if exempt else ""

    @property
    def lacks(self) -> str:
        """Why it goes without backup against the policy; empty when it does not."""
        if self.jobs or self.is_mandatory:  # a mandatory guest without a job is TGT-02's
            return ""
        exempt = self.section.exempt if self.section else None
        if exempt is None:
            return f"no job backs {self} up, and the inventory does not exempt it"
        if exempt.until < self._today:
            return f"no job backs {self} up, and its exemption ended on {exempt.until.isoformat()}"
        return ""

    @property
    def _today(self) -> dt.date:
        return self.facts.day_in(self.inventory.site.timezone)

    def __str__(self) -> str:
        seen = self.facts.guests.get(self.vmid)
        return str(seen) if isinstance(seen, SeenGuest) else f"guest {self.vmid}"


@dataclass(frozen=True)
class HiddenGuests:
    """Stands for the guests that may exist without showing: nothing can be said of them."""

    gap: Gap
    vmid: str = "hidden"

    @property
    def seen(self) -> SeenGuest:
        """Raise Unknown, with what would show them."""
        raise self.gap.as_error()

    def __str__(self) -> str:
        return "guests that may be hidden"


@dataclass(frozen=True)
class RequiredRole:
    """A role that every client has, with the guests that the inventory declares for it."""

    role: str
    inventory: Inventory
    facts: Facts

    @property
    def vmids(self) -> tuple[int, ...]:
        """The guests declared for it."""
        return tuple(vmid for vmid, section in self.inventory.guests.items() if section.role == self.role)

    @property
    def not_deployed(self) -> str:
        """Why the client has none; empty when the inventory gives no reason."""
        return self.inventory.not_deployed.get(self.role, "")  # type: ignore[call-overload, no-any-return]

    @property
    def missing(self) -> list[str]:
        """Declared guests that the site does not have. Unknown when they may merely be hidden."""
        absent = [str(vmid) for vmid in self.vmids if vmid not in self.facts.guests]
        if absent:
            raise_if_hidden(self.facts, f"whether guest {absent[0]} exists", "VM.Audit")
        return absent

    @property
    def wrong_kind(self) -> str:
        """What is wrong with the kind of the declared guests; empty when nothing is."""
        for vmid in self.vmids:
            seen = known(self.facts.guests[vmid])
            if self.role == "golden-template" and not seen.template:
                return f"{seen} is declared as the golden template, and it is no template"
            if self.role != "golden-template" and seen.template:
                return f"{seen} is declared as {self.role}, and it is a template, which never runs"
        return ""

    @property
    def guests(self) -> str:
        """The declared guests in words."""
        seen = (self.facts.guests.get(vmid) for vmid in self.vmids)
        return ", ".join(str(one) for one in seen if isinstance(one, SeenGuest)) or "none"

    def __str__(self) -> str:
        return f"role {self.role}"


def required_roles(inventory: Inventory, facts: Facts) -> tuple[RequiredRole, ...]:
    """The roles that the policy demands of every client."""
    return tuple(RequiredRole(role, inventory, facts) for role in REQUIRED_ROLES)
