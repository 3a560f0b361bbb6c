"""Detects N of N on a real node: each violation alone on its disks, files, mounts, clock or services."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.judging import Rows, red
from tests.lab.site import INVENTORY, ROOT, LabUnderTest
from tests.violations import score
from tests.violations.judge import changed, judge, read
from tests.violations.on_node import HEAD, VIOLATIONS, NodeCase

Note = Callable[[str, object], None]


def rows() -> Rows:
    return judge(read(ROOT / INVENTORY))


@pytest.fixture(scope="module")
def before(lab: LabUnderTest) -> Rows:
    """Every rule with every subject, before anything is seeded."""
    return rows()


def check(lab: LabUnderTest, before: Rows, case: NodeCase, note: Note) -> None:
    found = score.NOT_JUDGED
    try:
        lab.node(f"{HEAD} set -e; {case.seed}")
        found = changed(before, rows())
    finally:
        told = score.line(case.name, where="node", expected=case.expected, found=found, healthy=False)
        note(score.KEY, told)
        lab.node(f"{HEAD} {case.undo}")
    assert set(found) == case.expected, found
    assert case.says in str(found), found


def test_the_node_is_healthy_before(before: Rows) -> None:
    assert red(before) == {}


@pytest.mark.parametrize("case", VIOLATIONS, ids=lambda case: case.name)
def test_a_violation_turns_its_rules_red_and_no_other(
    lab: LabUnderTest, before: Rows, case: NodeCase, record_property: Note
) -> None:
    assert case.red or case.advised
    check(lab, before, case, record_property)


def test_the_node_is_as_healthy_afterwards(lab: LabUnderTest, before: Rows) -> None:
    assert changed(before, rows()) == {}
