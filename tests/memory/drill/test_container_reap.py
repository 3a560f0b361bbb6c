"""Drills of a container killed at every moment: the next sweep removes what they left, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backup_standard.drill import reap
from backup_standard.drill.engine import Drill
from tests.drillground import Ground
from tests.memory.drill.test_reap import die_at, kill_at_phase, kill_in_call

MOMENTS: dict[str, Callable[[Ground, Drill], None]] = {
    **{f"phase {phase}": kill_at_phase(phase) for phase in ("restore", "boot", "agent", "network", "teardown")},
    "before the restore call": kill_in_call("POST", "/lxc", before=True),
    "after the restore call, before its task is noted": kill_in_call("POST", "/lxc", before=False),
    "after power-on": kill_in_call("POST", "/status/start", before=False),
    "after the stop": kill_in_call("POST", "/status/stop", before=False),
    "after the destroy call": kill_in_call("DELETE", "/231", before=False),
}


@pytest.mark.usefixtures("dead_owner")
@pytest.mark.parametrize("moment", MOMENTS)
def test_after_a_kill_at_any_moment_a_sweep_leaves_nothing(ground: Ground, moment: str) -> None:
    die_at(ground, 230, MOMENTS, moment)
    said: list[str] = []
    done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert done.left == (), said
    assert ground.nothing_left, ground.left_behind
    assert reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append).found == ()


@pytest.mark.usefixtures("dead_owner")
def test_somebody_elses_container_on_a_claimed_vmid_is_left_alone(ground: Ground) -> None:
    die_at(ground, 230, MOMENTS, "phase boot")
    ground.lab.site.guests[231].config |= {"tags": "prod", "description": "mine"}
    said: list[str] = []
    done = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert done.left
    assert "is not a drill's" in " ".join(said)
    assert 231 in ground.lab.site.guests
