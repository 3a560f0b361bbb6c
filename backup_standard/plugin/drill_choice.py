"""Which drilled guests a row in ``drills/`` is about: by role, by VMID, or by what the inventory declares of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from backup_standard.drill.choices import NEWEST
from backup_standard.drill.plan import DrillPlan

MARKERS = {
    "role": "role(name, …): a test in drills/ about guests of these roles",
    "vmid": "vmid(number, …): a test in drills/ about these guests alone, by their VMID in production",
    "declared": "declared(key): a row for guests whose drill: declares this key (data)",
    "restore_point": "restore_point(which): a row for drills of the newest archive, or of another",
    "whole_group": "whole_group(): a row for the last guest of each application group, about the group as a whole",
}
"""The markers that choose, and what each says."""


def chosen(definition: pytest.Item, plans: Iterable[DrillPlan]) -> list[DrillPlan]:
    """The drills that a test is about; all of them for one that does not choose."""
    return [plan for plan in plans if all(_fits(mark, plan) for mark in definition.iter_markers())]


def chooses(definition: pytest.Item) -> bool:
    """Whether a test is about some guests only, so that there may be none without anything being amiss."""
    return any(definition.get_closest_marker(name) for name in MARKERS)


def _fits(mark: pytest.Mark, plan: DrillPlan) -> bool:
    if mark.name == "role":
        return plan.role in mark.args
    if mark.name == "vmid":
        return plan.vmid in mark.args
    if mark.name == "declared":
        return all(bool(getattr(plan.settings, key)) for key in mark.args)
    if mark.name == "restore_point":
        return plan.is_newest is (str(mark.args[0]) == NEWEST)
    if mark.name == "whole_group":
        return plan.group is not None and plan.group.is_last(plan.vmid)
    return True
