"""The order of rows: those of one drilled guest run from RST-01 to RST-07, whatever file they stand in."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from backup_standard.evidence.verdicts import parameters_of
from backup_standard.plugin import options
from backup_standard.plugin.drill_groups import together
from backup_standard.plugin.rules import rule_of
from backup_standard.plugin.session import run_of

PROVEN_BY_DRILLS = "VER-05"
LAST = "RST-07"
"""The row that deletes the copy."""
_VMID = re.compile(r"(\d{3,9})(?:-|$)")


Together = Mapping[str, tuple[str, int]]
"""For guests of an application group, by VMID: the group, and the place in it."""


def group_of(item: str, known: Together) -> str:
    """The guest, its application group, or other subject of an item, by its id: ``test_x[210-web]`` belongs to 210."""
    subject = _subject_of(item)
    return known[subject][0] if subject in known else subject


def _subject_of(item: str) -> str:
    parameters = parameters_of(item)
    if parameters is None:
        return item
    vmid = _VMID.match(parameters)
    return vmid[1] if vmid else parameters


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse rules without a site, and put each drilled guest's rows in the order of their rules."""
    run = run_of(config)
    if run is None:
        if any(rule_of(item) for item in items):
            raise pytest.UsageError(options.how_to_get_an_inventory(options.AUDIT_FOLDER))
        return
    groups: dict[str, int] = {}
    known = together(run.inventory)
    for item in items:
        groups.setdefault(group_of(item.nodeid, known), len(groups))
    items.sort(key=lambda item: _place(item, groups, known))


def _place(item: pytest.Item, groups: Mapping[str, int], known: Together) -> tuple[int, int, int, str]:
    """Drill rows by guest and rule; everything else stays where it is (sorting is stable).

    Where guests are drilled, what a passed drill proves (VER-05) is judged after the guest's drill. In an application
    group one guest comes after another, and their deletions at the end, the last guest's first.
    """
    rule, run = rule_of(item), run_of(item.config)
    proven = run is not None and run.is_drill and rule is not None and rule.id == PROVEN_BY_DRILLS
    if rule is None or not (rule.id.startswith("RST-0") or proven):
        return (0, 0, 0, "")
    _group, place = known.get(_subject_of(item.nodeid), ("", 0))
    turn = 2 * len(known) - place if known and rule.id in {LAST, PROVEN_BY_DRILLS} else place
    return (1, groups[group_of(item.nodeid, known)], turn, rule.id)
