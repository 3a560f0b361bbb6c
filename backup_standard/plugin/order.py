"""The order of rows: those of one drilled guest run from RST-01 to RST-07, whatever file they stand in."""

from __future__ import annotations

import re

import pytest

from backup_standard.plugin import options
from backup_standard.plugin.rules import rule_of
from backup_standard.plugin.session import run_of

PROVEN_BY_DRILLS = "VER-05"
_PARAMETERS = re.compile(r"\[(.*)\]$")
_VMID = re.compile(r"(\d{3,9})(?:-|$)")


def group_of(item: str) -> str:
    """The guest (or other subject) that an item belongs to, by its id: ``test_x[210-web]`` belongs to 210."""
    parameters = _PARAMETERS.search(item)
    if not parameters:
        return item
    vmid = _VMID.match(parameters[1])
    return vmid[1] if vmid else parameters[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse rules without a site, and put each drilled guest's rows in the order of their rules."""
    if run_of(config) is None:
        if any(rule_of(item) for item in items):
            raise pytest.UsageError(options.how_to_get_an_inventory(options.AUDIT_FOLDER))
        return
    groups: dict[str, int] = {}
    for item in items:
        groups.setdefault(group_of(item.nodeid), len(groups))
    items.sort(key=lambda item: _place(item, groups))


def _place(item: pytest.Item, groups: dict[str, int]) -> tuple[int, int, str]:
    """Drill rows by guest and rule; everything else stays where it is (sorting is stable).

    Where guests are drilled, what a passed drill proves (VER-05) is judged after the guest's drill.
    """
    rule, run = rule_of(item), run_of(item.config)
    proven = run is not None and run.is_drill and rule is not None and rule.id == PROVEN_BY_DRILLS
    if rule is None or not (rule.id.startswith("RST-0") or proven):
        return (0, 0, "")
    return (1, groups[group_of(item.nodeid)], rule.id)
