"""The lock that a restore leaves whose node went down: no token may take it away, so root on the node does."""

from __future__ import annotations

import pytest

from backup_standard.drill import node_commands
from backup_standard.drill.engine import TEARDOWN
from backup_standard.errors import Refused
from tests.drillground import Ground


def test_the_command_is_for_claimed_guests_alone(ground: Ground) -> None:
    assert node_commands.vmids_of(node_commands.unlock(201, "lxc")) == {201}
    with ground.drill(210) as drill:
        drill.step("restore")
        drill.tools.guard.permit_command(node_commands.unlock(211))
        for line in ("qm unlock 210", "qm unlock 101", "qm unlock 211 --x", "qm start 211"):
            with pytest.raises(Refused):
                drill.tools.guard.permit_command(line.split())


def test_a_copy_that_a_vanished_restore_left_locked_is_deleted(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        ground.lab.site.guest(211).config["lock"] = "create"
        assert drill.step(TEARDOWN).ok
    assert ground.nothing_left, ground.left_behind


def test_somebody_elses_locked_guest_stays_as_it_is(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backup_standard.drill.teardown.LOCK_PATIENCE", 0.1)
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        config = ground.lab.site.guest(211).config
        config |= {"lock": "create", "tags": "theirs", "description": "theirs"}
        assert not drill.step(TEARDOWN).ok
    assert ground.lab.site.guest(211).config["lock"] == "create"
