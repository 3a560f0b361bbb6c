"""Drills with the drill token as its commands are printed: the site in memory checks every privilege."""

from __future__ import annotations

import pytest

from backup_standard.cli.tokens import drill_token
from backup_standard.drill.engine import STEPS, TEARDOWN
from backup_standard.standard.privileges import DRILL_ROLES
from tests import pveum
from tests.drillground import Ground


@pytest.fixture
def documented(ground: Ground) -> Ground:
    """The ground, its driller made anew by the printed commands; the guests are on vmbr0."""
    text = drill_token((9, 2), ground.inventory)
    assert text.count("/BRIDGE ") == 1
    pveum.forget(ground.lab.site.access, "drill@pve", *DRILL_ROLES)
    pveum.carry_out(ground.lab.site.access, text.replace("/BRIDGE ", "/vmbr0 "), ground.lab.secrets.drill_token)
    return ground


@pytest.mark.parametrize("vmid", [100, 210, 230])
def test_a_drill_passes_with_the_documented_rights_and_leaves_nothing(documented: Ground, vmid: int) -> None:
    with documented.drill(vmid) as drill:
        assert {name: str(drill.step(name).outcome) for name in (*STEPS, TEARDOWN)} == dict.fromkeys(
            (*STEPS, TEARDOWN), "ok"
        )
    assert documented.nothing_left, documented.left_behind
