"""Which drills belong to an application group, in which order they are brought up, and what proves the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backup_standard.inventory.groups import EndToEndCheck, GroupSection

if TYPE_CHECKING:
    from backup_standard.drill.plan import DrillPlan


@dataclass(frozen=True)
class Membership:
    """A guest's application group: its name, its drilled guests in order, those that are not drilled, its checks."""

    name: str
    guests: tuple[int, ...]
    missing: tuple[int, ...] = ()
    checks: tuple[EndToEndCheck, ...] = ()

    def before(self, vmid: int) -> tuple[int, ...]:
        """The guests that are brought up before this one."""
        return self.guests[: self.guests.index(vmid)]

    def is_last(self, vmid: int) -> bool:
        """Whether the whole is up once this guest is."""
        return self.guests[-1] == vmid


def joined(groups: Mapping[str, GroupSection], drills: Iterable[DrillPlan]) -> tuple[DrillPlan, ...]:
    """The drills, each with its group. Guests of one group must be on one node: bridges do not span nodes."""
    plans = {one.vmid: one for one in drills}
    for name, group in groups.items():
        present = tuple(vmid for vmid in group.guests if vmid in plans)
        missing = tuple(vmid for vmid in group.guests if vmid not in plans)
        nodes = sorted({plans[vmid].node for vmid in present})
        refusal = f"the guests of group {name} are on several nodes ({', '.join(nodes)})" if len(nodes) > 1 else ""
        for vmid in present:
            own = Membership(name, present, missing, tuple(group.checks))
            plans[vmid] = replace(plans[vmid], group=own, refusal=plans[vmid].refusal or refusal)
    return tuple(plans.values())
