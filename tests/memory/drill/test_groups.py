"""Application groups: their copies beside each other on one isolated network, in order, and judged as a whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from backup_standard.drill import groups, reap
from backup_standard.drill.claims import Owner
from backup_standard.drill.engine import STEPS, Drill
from backup_standard.drill.node_commands import vmids_of
from backup_standard.drill.plan import plan_drills
from backup_standard.drill.ports import Ran
from backup_standard.drill.posix import POSIX
from backup_standard.drill.steps import grouped, serving
from backup_standard.errors import ConnectionFailed, NotRun, Refused
from backup_standard.inventory.groups import EndToEndCheck
from backup_standard.inventory.schema import Inventory
from backup_standard.model import Guest
from tests.drillground import Ground

SHOP = {"guests": [210, 220], "checks": [{"guest": 220, "connect": "10.0.0.210:53"}]}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SERVICES_TIMEOUT", 0.3)
    monkeypatch.setattr(grouped, "SERVICES_TIMEOUT", 0.3)


def grouping(ground: Ground, **changes: Any) -> tuple[Drill, Drill]:
    """The drills of guests 210 and 220 as a group, the second waiting for the first."""
    data = ground.inventory.model_dump(by_alias=True)
    data["groups"] = {"shop": SHOP | changes}
    ground.inventory = Inventory.model_validate(data)
    first, second = ground.drill(210), ground.drill(220)
    last = Drill(second.plan, second.tools, before=[first])
    ground.drills[-1] = last
    return first, last


def network(ground: Ground) -> Any:
    return ground.lab.hypervisor.node.host.network


def test_the_copies_of_a_group_meet_on_one_network_that_is_theirs_alone(ground: Ground) -> None:
    first, last = grouping(ground)
    with first, last:
        assert all(first.step(name).ok for name in STEPS)
        assert all(last.step(name).ok for name in STEPS)
        on_bridge = {name for name, link in network(ground).links("").items() if link.master == "db211"}
        assert on_bridge == {"dg211", "tap211i0", "tap221i0"}
        assert "db221" not in network(ground).links("")
        whole = last.step("group")
        assert whole.observed == {"group": "shop", "checks": {"guest 220: connect 10.0.0.210:53": "ok"}}
        assert last.step("teardown").ok
        assert first.step("teardown").ok
    assert [drill.record.outcome for drill in (first, last)] == ["passed", "passed"]
    assert ground.nothing_left, ground.left_behind


def test_a_guest_is_not_brought_up_before_those_before_it_serve(ground: Ground) -> None:
    ground.lab.hypervisor.faults.stopped_services[211] = {"dnsmasq.service"}
    first, last = grouping(ground)
    with first, last:
        with pytest.raises(NotRun, match="guest 210 before it in its group is not ready: unit dnsmasq is inactive"):
            last.step("restore")
        with pytest.raises(NotRun, match="guest 210 before it in its group is not ready"):
            last.step("group")
        assert not first.step("services").ok
        assert 221 not in ground.lab.site.guests
    assert ground.nothing_left, ground.left_behind


def test_what_does_not_work_together_fails_the_whole_and_no_guest(ground: Ground) -> None:
    first, last = grouping(ground, checks=[{"guest": 220, "connect": "10.0.0.210:5432"}])
    with first, last:
        whole = last.step("group")
        assert "10.0.0.210:5432 does not answer guest 220" in whole.message
        assert last.step("services").ok
    assert ground.nothing_left, ground.left_behind


def test_a_guest_of_the_group_that_was_not_drilled_leaves_the_whole_unproven(ground: Ground) -> None:
    first, last = grouping(ground, guests=[210, 200, 220])
    without = {vmid: guest for vmid, guest in ground.facts.guests.items() if vmid != 200}
    plan = plan_drills(ground.inventory, replace(ground.facts, guests=without))
    again = Drill(plan.of(220), last.tools, before=[first])
    with first, again:
        assert again.step("group").message == "guest 200 of group shop was not drilled"


def test_guests_on_several_nodes_cannot_be_a_group(ground: Ground) -> None:
    grouping(ground)
    guest = ground.facts.guests[220]
    assert isinstance(guest, Guest)
    elsewhere = {**ground.facts.guests, 220: replace(guest, node="pve2")}
    plan = plan_drills(ground.inventory, replace(ground.facts, guests=elsewhere))
    assert plan.of(210).refusal == "the guests of group shop are on several nodes (pve1, pve2)"


def test_a_port_moves_to_another_guests_bridge_only_when_both_are_claimed(ground: Ground) -> None:
    move = ("ip", "link", "set", "dev", "tap221i0", "master", "db211")
    assert vmids_of(move) == {211, 221}
    first, _last = grouping(ground)
    first.tools.claims.claim(221, source=220, node="pve1")
    with pytest.raises(Refused, match="VMID 211 is reserved, but no claim on it stands"):
        first.tools.guard.permit_command(move)
    first.tools.claims.claim(211, source=210, node="pve1")
    first.tools.guard.permit_command(move)
    with pytest.raises(Refused, match="VMID 200 is not reserved"):
        first.tools.guard.permit_command((*move[:4], "tap200i0", *move[5:]))


def test_what_a_killed_group_left_is_swept_up(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    owner = Owner.this_process()
    monkeypatch.setattr(Owner, "this_process", classmethod(lambda _cls: Owner(owner.host, int(child.stdout), 1)))
    _first, last = grouping(ground)
    assert last.step("boot").ok, "both copies run, on one bridge"
    said: list[str] = []
    swept = reap.sweep(ground.inventory, ground.reports, do_it=True, say=said.append)
    assert swept.left == (), said
    assert len(swept.found) == 2
    assert ground.nothing_left, ground.left_behind


def judge(check: dict[str, Any], ran: Ran | Exception) -> str:
    def run(_argv: Sequence[str]) -> Ran:
        if isinstance(ran, Exception):
            raise ran
        return ran

    one = EndToEndCheck.model_validate({"guest": 220} | check)
    return groups.failure(one, {220: groups.Member(run, POSIX)})


@pytest.mark.parametrize(
    ("check", "ran", "wrong"),
    [
        ({"command": "psql"}, Ran(0, ""), ""),
        ({"command": {"run": "psql", "output": "7"}}, Ran(0, "7 rows"), ""),
        (
            {"command": {"run": "psql", "output": "7"}},
            Ran(0, "none"),
            "'psql' printed 'none', which does not contain '7'",
        ),
        ({"command": "psql"}, Ran(2, "", "no route\nhint"), "'psql' ended with 2: no route"),
        ({"url": "http://shop/", "body": "open"}, Ran(0, "we are open"), ""),
        ({"url": "http://shop/", "body": "open"}, Ran(0, "closed"), "http://shop/ does not contain 'open'"),
        ({"url": "http://shop/"}, Ran(6, "", "curl: could not resolve"), "http://shop/ is not answered: curl: could"),
        ({"url": "http://shop/"}, Ran(127, ""), "guest 220 has no curl; use a command"),
        ({"connect": "[2001:db8::1]:443"}, Ran(0, ""), ""),
        ({"connect": "10.0.0.1:443"}, ConnectionFailed("the agent is gone"), "the agent is gone"),
        ({"guest": 999, "command": "x"}, Ran(0, ""), "guest 999 was not drilled"),
    ],
)
def test_end_to_end_checks(check: dict[str, Any], ran: Ran | Exception, wrong: str) -> None:
    found = judge(check, ran)
    assert found.startswith(wrong)
    assert bool(found) is bool(wrong)
