"""A whole drill of a virtual machine and of a container on each release, with the token that is printed for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from backup_standard.cli.tokens import drill_token
from backup_standard.collect import collect
from backup_standard.drill import node_commands
from backup_standard.drill.claims import Claims
from backup_standard.drill.container import ContainerShell
from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.drill.guard import Guard
from backup_standard.drill.plan import plan_drills
from backup_standard.drill.ports import Ran, Writer
from backup_standard.errors import ApiError, Refused
from backup_standard.inventory.loader import load
from backup_standard.model import Facts, Node
from backup_standard.standard.privileges import DRILL_ROLES, release_of
from lab.pve.releases import Version
from tests import labsite, pveum
from tests.drillground import LAB_INVENTORY, NOON, Ground, write_inventory
from tests.unit.drill.test_container_guard import GROUND

GUESTS = (210, 230)
ROWS = (*STEPS, TEARDOWN)


def ground_of(version: Version, folder: Path) -> Iterator[Ground]:
    """The site as that release, its own facts, and its driller made anew by the commands that are printed for it."""
    with labsite.running(folder / "backup-standard-lab", now=NOON, version=version) as lab:
        inventory = load(write_inventory(folder / "lab.yaml", lab)).inventory
        ground = Ground(lab, inventory, collect(inventory), folder / "reports/lab")
        text = drill_token(release_of(version), inventory).replace("/BRIDGE ", "/vmbr0 ")
        pveum.forget(lab.site.access, "drill@pve", *DRILL_ROLES)
        pveum.carry_out(lab.site.access, text, lab.secrets.drill_token)
        yield ground
        for drill in ground.drills:
            drill.tools.close()


@pytest.fixture(scope="module", params=get_args(Version))
def drilled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ground, dict[int, Drill]]]:
    """The ground of a release, and the drill of each guest on it, every row asked for."""
    folder = tmp_path_factory.mktemp("release")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        for ground in ground_of(request.param, folder):
            drills = {}
            for vmid in GUESTS:
                with ground.drill(vmid, run=f"run-{vmid}") as drill:
                    for name in ROWS:
                        drill.step(name)
                drills[vmid] = drill
            yield ground, drills


def test_before_7_2_no_virtual_machine_is_restored(facts: Facts) -> None:
    """Its restore would take the archive's settings as they are, bridge and start at boot included."""
    node = replace(cast("Node", facts.nodes["pve1"]), version="7.1-12")
    for seen, refused in ((node, True), (replace(node, version="7.2-3"), False), (replace(node, version=""), False)):
        plan = plan_drills(load(LAB_INVENTORY).inventory, replace(facts, nodes={"pve1": seen}))
        assert ("older than Proxmox VE 7.2" in plan.of(210).refusal) is refused
        assert plan.of(230).refusal == ""


@pytest.mark.parametrize("vmid", GUESTS)
def test_every_row_is_met_on_every_release_and_nothing_is_left(
    drilled: tuple[Ground, dict[int, Drill]], vmid: int
) -> None:
    ground, drills = drilled
    found = {name: str(drills[vmid].record.steps[name].outcome) for name in ROWS}
    assert found == dict.fromkeys(ROWS, "ok"), drills[vmid].record.steps
    assert ground.nothing_left, ground.left_behind


@pytest.mark.parametrize(
    ("vmid", "answered", "address"), [(210, "agent", "eth0 10.0.0.210/24"), (230, "pct exec", "eth0 10.0.0.230/24")]
)
def test_no_release_leaves_anything_unproven(
    drilled: tuple[Ground, dict[int, Drill]], vmid: int, answered: str, address: str
) -> None:
    """Least of all 7: its agent is asked by VM.Monitor, and a container's address is asked of the node."""
    record = drilled[1][vmid].record
    assert record.not_proven == []
    assert record.steps["boot"].observed["answered"] == answered
    assert record.steps["network"].observed["address"] == address
    assert bool(record.screenshot) is (record.kind == "qemu"), record.screenshot_reason


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    """A claim of container 231."""
    made = Claims(tmp_path / "runs" / "run-1", "run-1")
    made.claim(231, source=230, node="pve1", kind="lxc")
    return made


class OldApi:
    """An API without the route that tells a container's cards, or with another complaint."""

    def __init__(self, status: int) -> None:
        self.status = status

    def get(self, path: str, /, **_params: Any) -> Any:
        raise ApiError(f"Method 'GET {path}' not implemented", status=self.status)


def inside(claims: Claims, ran: Ran, status: int = 501) -> tuple[ContainerShell, list[Sequence[str]]]:
    """Container 231 of a claim, seen by a node that answers every command alike, and the commands it was given."""
    asked: list[Sequence[str]] = []

    def shell(argv: Sequence[str]) -> Ran:
        asked.append(argv)
        return ran

    api = cast("Writer", OldApi(status))
    return ContainerShell(api, "pve1", 231, shell, Guard(GROUND, claims, api)), asked


def test_where_the_api_tells_no_addresses_the_node_lists_them_in_the_containers_network(claims: Claims) -> None:
    address = {"local": "10.0.0.230", "prefixlen": 24}
    cards = json.dumps([{"ifname": "lo"}, {"ifname": "eth0", "address": "BC:24:11:00:02:30", "addr_info": [address]}])
    container, asked = inside(claims, Ran(0, cards))
    assert container.interfaces() == {"eth0": {"mac": "bc:24:11:00:02:30", "addresses": ["10.0.0.230/24"]}}
    assert asked == [("lxc-attach", "-n", "231", "-s", "NETWORK", "--", "ip", "-j", "addr")]


def test_a_node_that_cannot_list_them_is_no_container_without_an_address(claims: Claims) -> None:
    with pytest.raises(Refused, match=r"lxc-attach -n 231 .* failed on the node: no such container"):
        inside(claims, Ran(1, "", "no such container\n"))[0].interfaces()
    with pytest.raises(ApiError):
        inside(claims, Ran(0, "[]"), status=500)[0].interfaces()


def test_only_a_claimed_containers_network_is_looked_into(claims: Claims) -> None:
    container, asked = inside(claims, Ran(0, "[]"))
    with pytest.raises(Refused):
        replace(container, vmid=230).interfaces()
    assert asked == []
    for changed in (["lxc-attach", "-n", "231", "--", "ip", "-j", "addr"], [*node_commands.cards(231), "del"]):
        assert not node_commands.vmids_of(changed)
