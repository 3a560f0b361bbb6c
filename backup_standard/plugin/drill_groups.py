"""Application groups under pytest: one worker and one order for all rows of a group, its drills standing to its end.

pytest ends a fixture as soon as the next row wants it of another guest. The guests of a group must stand beside each
other, so their drills are kept here until the session ends; before that their rows on RST-07 tear them down, the last
guest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing

import pytest

from backup_standard.drill.course import Tools
from backup_standard.drill.engine import Drill
from backup_standard.drill.plan import DrillPlan, Plan
from backup_standard.inventory.schema import Inventory


class Standing:
    """The drills of groups that were begun in this process."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._drills = stack, dict[int, Drill]()

    def drill(self, own: DrillPlan, plan: Plan, tools: Callable[[DrillPlan], Tools]) -> Drill:
        """The drill of a guest; the drills of those before it in its group stand then, too."""
        if own.vmid not in self._drills:
            names = own.group.before(own.vmid) if own.group else ()
            before = [self.drill(plan.of(vmid), plan, tools) for vmid in names]
            needed = self._stack.enter_context(closing(tools(own)))
            self._drills[own.vmid] = self._stack.enter_context(Drill(own, needed, before))
        return self._drills[own.vmid]


@pytest.fixture(scope="session")
def standing_drills() -> Iterator[Standing]:
    """The drills of application groups; they are torn down at the end of the session, the last first."""
    with ExitStack() as stack:
        yield Standing(stack)


def together(inventory: Inventory) -> Mapping[str, tuple[str, int]]:
    """For each guest of a group, as its VMID is written in a row's name: the group, and its place in it."""
    return {
        str(vmid): (f"group {name}", place)
        for name, group in inventory.groups.items()
        for place, vmid in enumerate(group.guests)
    }
