"""What joins a copy's network after power-on is found by the network row, and by no other."""

from __future__ import annotations

from backup_standard.drill.engine import STEPS, TEARDOWN
from tests.drillground import Ground
from tests.memory.drill.faults import on_phase, outcomes


def test_a_host_that_joins_the_network_of_a_copy_fails_its_network_row(ground: Ground) -> None:
    network = ground.lab.hypervisor.node.host.network

    def join() -> None:
        network.add("", "stolen211", "veth").master = "db211"

    on_phase(ground, "network", join)
    with ground.drill(210) as drill, ground.drill(220) as other:
        found = outcomes(drill)
        assert set(outcomes(other).values()) == {"ok"}

    assert found == dict.fromkeys(STEPS, "not run") | dict.fromkeys(("restore", "boot", "login", TEARDOWN), "ok") | {
        "network": "failed"
    }
    assert (
        "guest 211 is not alone with its gateway: port stolen211 is on db211" in drill.record.steps["network"].message
    )
    assert ground.nothing_left, ground.left_behind


def test_a_passed_network_row_says_who_was_on_the_network_at_its_end(ground: Ground) -> None:
    with ground.drill(210) as drill:
        seen = drill.step("network").observed

    assert seen["still_alone"] == "node: db211 joins dg211 and tap211i0, nothing else"
