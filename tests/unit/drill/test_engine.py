"""Whole drills against the site in memory, over HTTPS and SSH."""

from __future__ import annotations

import time

import pytest

from backup_standard.drill.engine import STEPS, TEARDOWN
from tests.unit.drill.conftest import Ground

EVERY_STEP = (*STEPS, TEARDOWN)


@pytest.mark.parametrize("vmid", [100, 200, 210, 220])
def test_a_whole_drill_passes_quickly_and_leaves_nothing(ground: Ground, vmid: int) -> None:
    before = time.monotonic()
    with ground.drill(vmid) as drill:
        results = [drill.step(name) for name in EVERY_STEP]
    assert [(result.name, result.outcome, result.message) for result in results] == [
        (name, "ok", "") for name in EVERY_STEP
    ]
    assert time.monotonic() - before < 10
    assert ground.nothing_left, ground.left_behind
    assert drill.record.outcome == "passed"
    print(drill.record.to_json())
