"""What is left of a temporary guest, also where Proxmox VE does not say so: on made-up answers, then on a site."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill import preview, reap
from backup_standard.drill.choices import USUAL
from backup_standard.drill.claims import Claim, Claims, Owner
from backup_standard.drill.engine import TEARDOWN, Drill
from backup_standard.drill.plan import plan_drills
from backup_standard.drill.remains import Remains, Search
from backup_standard.drill.volumes import BLIND
from backup_standard.errors import ApiError, ConnectionFailed, MissingPrivilege
from tests.drillground import Ground
from tests.unit.drill import test_checks
from tests.unit.drill.test_checks import TAKEN, Node

DISK = "vmdata:vm-211-disk-0"
DESTROY = "UPID:pve1:00000A27:00070F08:6B04A679:qmdestroy:201:drill@pve!suite:"
POOL_ONLY = {"/storage/vmdata": {"Datastore.Audit": 1}}


class Api(test_checks.Api):
    """Made-up answers, and the logs of tasks."""

    def __init__(self, logs: dict[str, list[str]] | None = None, **changes: Any) -> None:
        super().__init__(**changes)
        self.logs = logs or {}

    def log(self, upid: str) -> tuple[str, ...]:
        return tuple(self.logs[upid])

    def write(self, method: str, path: str, params: Any = None) -> Any:
        raise AssertionError((method, path, params))

    def wait_task(self, upid: str, **_given: Any) -> Any:
        raise AssertionError(upid)


def remains(api: Api, shell: Any = None, **claimed: Any) -> Remains:
    claim = Claim("run-1", 201, 200, "pve1", 0.0, Owner("here", 1, 1), (), Path(), **claimed)
    return Search(api, shell, "vmdata").of(claim)


def destroyed(*log: str, **changes: Any) -> Api:
    """A site whose token sees no volumes of a VMID without guest, and where a destroy has ended with OK."""
    tasks = [{"upid": DESTROY, "status": "OK"}, {"upid": DESTROY.replace("qmdestroy", "qmstop"), "status": "OK"}]
    return Api({DESTROY: list(log)}, **{"/access/permissions": POOL_ONLY, "/nodes/pve1/tasks": tasks} | changes)


def test_what_remains_of_a_vmid_is_listed_from_every_side() -> None:
    api = Api(**{
        "/cluster/nextid": TAKEN,
        "/cluster/backup": [{"id": "nightly", "vmid": "200,201"}, {"id": "other", "vmid": "2010"},
                            {"id": "all", "all": 1}],
        "/nodes/pve1/qemu/201/firewall/rules": [{"pos": 0}],
        "/nodes/pve1/storage/vmdata/content": [{"volid": "vmdata:vm-201-disk-0", "content": "images"}],
    })  # fmt: skip
    assert remains(api, Node(netns="drill201\n")).left == (
        "VMID 201 is taken (VM 201 already exists)", "job nightly names it", "volume vmdata:vm-201-disk-0",
        "1 firewall rule(s)", "network namespace drill201",
    )  # fmt: skip


NO_RULES: dict[str, Any] = {"/nodes/pve1/qemu/201/firewall/rules": MissingPrivilege("no")}


def test_what_cannot_be_seen_is_not_called_gone() -> None:
    blind = Api(**NO_RULES | {"/cluster/ha/resources": MissingPrivilege("lacks Sys.Audit")})
    assert remains(blind).left == ("whether anything is left could not be seen: lacks Sys.Audit",)
    assert remains(Api(**NO_RULES | {"/cluster/backup": MissingPrivilege("no")})).left == ()


def test_a_node_that_is_lost_is_an_objection_and_the_rest_is_still_looked_for() -> None:
    def lost(_argv: object) -> Any:
        raise ConnectionFailed("the connection to pve1 broke")

    api = Api(**NO_RULES | {"/cluster/nextid": TAKEN})
    assert remains(api, lost).left == (
        "VMID 201 is taken (VM 201 already exists)",
        "whether anything is left could not be seen: the connection to pve1 broke",
    )


def test_without_a_look_the_destroys_own_account_says_what_is_gone() -> None:
    api = destroyed("purging VM 201 from related configurations..", **NO_RULES)
    gone = remains(api, volids=("vmdata:vm-201-disk-0",))
    assert gone.left == ()
    off, account = gone.proof
    assert off == "off: not looked at, it is not active"
    assert account == f"vmdata: {BLIND}; the log of {DESTROY} does not name vmdata:vm-201-disk-0 as left"
    assert remains(Api(**NO_RULES | {"/access/permissions": POOL_ONLY})).proof[-1] == (
        f"vmdata: {BLIND}; no volume is known to have been made there"
    )


def test_a_disk_that_the_destroy_could_not_remove_counts_until_somebody_looked() -> None:
    line = "Could not remove disk 'vmdata:vm-201-disk-0', check manually: in use"
    seen = remains(destroyed(line, **NO_RULES), volids=("vmdata:vm-201-disk-0",))
    (left,) = seen.left
    assert not any("vmdata" in proof for proof in seen.proof)
    assert left == (
        f"volume vmdata:vm-201-disk-0 was not removed ({line}), and whether it is still there could not be seen"
    )
    assert (
        remains(
            destroyed(line, **NO_RULES | {"/access/permissions": {"/storage/vmdata": {"Datastore.Allocate": 1}}})
        ).left
        == ()
    )
    there = {"/nodes/pve1/storage/vmdata/content": [{"volid": "vmdata:vm-201-disk-0", "content": "images"}]}
    (left,) = remains(destroyed(line, **NO_RULES | there)).left
    assert left == f"volume vmdata:vm-201-disk-0 ({line}; on the node: pvesm free vmdata:vm-201-disk-0)"


def test_volumes_of_a_copy_that_nobody_destroyed_and_nobody_sees_are_an_objection() -> None:
    api = Api(**NO_RULES | {"/access/permissions": POOL_ONLY})
    (left,) = remains(api, volids=("vmdata:vm-201-disk-0",)).left
    assert left.startswith("whether volume vmdata:vm-201-disk-0 is left could not be seen: no destroy of VMID 201")
    assert left.endswith("on the node: pvesm list vmdata --vmid 201")


def test_a_storage_that_held_the_copy_and_is_off_is_an_objection_wherever_drills_go_now() -> None:
    api = Api(**NO_RULES)
    (left,) = remains(api, volids=("off:vm-201-disk-0",)).left
    assert left == "whether a volume of VMID 201 is on off could not be seen: is not active"


def test_the_answer_of_an_archive_that_cannot_be_asked_about_is_no_all_clear() -> None:
    volid = "backup:backup/vzdump-qemu-200-x.vma.zst"
    path = "/nodes/pve1/storage/backup/content"
    quoted = f"{path}/backup%3Abackup%2Fvzdump-qemu-200-x.vma.zst"
    (left,) = remains(Api(**NO_RULES | {quoted: MissingPrivilege("lacks VM.Backup on /vms/200")}), protects=volid).left
    assert "lacks VM.Backup" in left
    failing = {quoted: ApiError("no answer", status=500), path: [{"volid": volid}]}
    assert "no answer" in remains(Api(**NO_RULES | failing), protects=volid).left[0]
    assert remains(Api(**NO_RULES | failing | {path: []}), protects=volid).left == ()
    assert remains(Api(**NO_RULES | {quoted: {"protected": 1}}), protects=volid).left == (
        f"archive {volid} is still protected",
    )


def stuck(ground: Ground) -> Drill:
    """A drill whose copy's disk cannot be removed, as the destroy says in its log and nowhere else."""
    ground.lab.hypervisor.faults.stuck_volumes.add(DISK)
    drill = ground.drill(210)
    drill.step("restore")
    return drill


def test_a_disk_that_proxmox_left_behind_fails_the_teardown_and_stays_claimed(ground: Ground) -> None:
    with stuck(ground) as drill:
        torn = drill.step(TEARDOWN)
    assert not torn.ok
    assert 211 not in ground.lab.site.guests
    assert f"volume {DISK} (Could not remove disk '{DISK}', check manually: " in torn.message
    assert f"on the node: pvesm free {DISK}" in torn.message
    assert [claim.vmid for claim in drill.tools.claims.standing()] == [211]


def test_a_disk_that_the_destroy_left_is_freed_by_root_once_its_storage_is_back(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        storage = ground.lab.site.storages["vmdata"]
        ground.lab.site.storages["vmdata"] = dict(storage) | {"disable": 1}
        assert not drill.step(TEARDOWN).ok
        assert 211 not in ground.lab.site.guests
        ground.lab.site.storages["vmdata"] = storage
    assert not ground.nothing_left
    reap.sweep(ground.inventory, ground.reports, do_it=True, say=lambda _text: None, own_run="run-1")
    assert ground.nothing_left, ground.left_behind
    assert drill.tools.claims.standing() == ()


def test_a_volume_is_never_freed_while_a_guest_has_the_vmid(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        config = ground.lab.site.guest(211).config
        config |= {"tags": "theirs", "description": "theirs"}
        assert "volume vmdata:vm-211-disk-0" in drill.step(TEARDOWN).message
    assert DISK in ground.lab.hypervisor.volumes()


@pytest.mark.usefixtures("dead_owner")
def test_reap_goes_on_naming_it_until_it_can_be_removed(ground: Ground) -> None:
    with stuck(ground):
        pass
    parser = argparse.ArgumentParser()
    reap.add_arguments(parser)
    said: list[str] = []

    def run(what: str) -> int:
        file, reports = ground.reports.parents[1] / "lab.yaml", ground.reports.parent
        return reap.run(parser.parse_args(["--inventory", str(file), "--run-dir", str(reports), what]), said.append)

    assert run("--dry-run") == reap.LEFTOVERS
    assert f"volume {DISK}" in said[-1]
    assert run("--yes") == reap.LEFTOVERS
    assert f"pvesm free {DISK} failed on the node: Logical volume vmdata/vm-211-disk-0 in use." in said[-1]
    ground.lab.hypervisor.faults.stuck_volumes.clear()
    assert run("--dry-run") == reap.LEFTOVERS
    assert run("--yes") == 0
    assert said[-1].startswith("gone: VMID 211")
    assert ground.nothing_left, ground.left_behind


def test_the_next_drill_does_not_begin_over_it(ground: Ground) -> None:
    with stuck(ground) as drill:
        pass
    drill.tools.claims.release(211)
    with ground.drill(210, run="run-2") as again:
        assert f"volume {DISK} of VMID 211 exists" in again.step("restore").message


def test_without_ssh_the_log_is_what_names_it(ground: Ground) -> None:
    ground.inventory = without_gateway(ground)
    with stuck(ground) as drill:
        torn = drill.step(TEARDOWN)
    assert f"volume {DISK} was not removed (Could not remove disk '{DISK}'" in torn.message
    assert "whether it is still there could not be seen" in torn.message


def test_without_ssh_a_drill_says_what_its_word_rests_on(ground: Ground) -> None:
    ground.inventory = without_gateway(ground)
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        torn = drill.step(TEARDOWN)
    assert torn.ok, torn.message
    (proof,) = torn.observed["volumes"]
    assert proof.startswith(f"vmdata: {BLIND}; the log of UPID:pve1:")
    assert proof.endswith(f"does not name {DISK} as left")
    assert f"that no volume of VMID 211 is left on vmdata: {BLIND}" in drill.record.not_proven


def test_without_ssh_the_plan_says_what_will_not_be_proven(ground: Ground) -> None:
    ground.inventory = without_gateway(ground)
    said: list[str] = []
    plan = plan_drills(ground.inventory, ground.facts)
    preview.show(ground.inventory, ground.facts, plan, choices=USUAL, folder=ground.reports, say=said.append)
    assert f"    unproven  that no volume of VMID 211 is left on vmdata: {BLIND}" in said


def without_gateway(ground: Ground) -> Any:
    data = ground.inventory.model_dump(by_alias=True)
    data["drill"]["gateway"] = False
    return type(ground.inventory).model_validate(data)


def test_with_ssh_the_node_shows_that_nothing_is_left(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
        torn = drill.step(TEARDOWN)
    assert torn.observed["volumes"] == ["vmdata: listed by pvesm list on the node"]
    assert not [text for text in drill.record.not_proven if "volume" in text]


@pytest.mark.parametrize("vmid", [210, 230])
def test_a_storage_that_is_switched_off_meanwhile_is_not_called_empty(ground: Ground, vmid: int) -> None:
    with ground.drill(vmid) as drill:
        assert drill.step("restore").ok
        ground.lab.site.storages["vmdata"] = dict(ground.lab.site.storages["vmdata"]) | {"disable": 1}
        torn = drill.step(TEARDOWN)
    assert f"whether a volume of VMID {vmid + 1} is on vmdata could not be seen: is disabled" in torn.message
    assert [claim.vmid for claim in drill.tools.claims.standing()] == [vmid + 1]
    assert any(f"-{vmid + 1}-" in volid for volid in ground.lab.hypervisor.volumes())


def test_ssh_that_is_lost_before_the_teardown_never_raises_out_of_it(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore").ok

        def lost(_argv: object) -> Any:
            raise ConnectionFailed("the connection to pve1 broke")

        object.__setattr__(drill.tools, "shell", lost)
        torn = drill.step(TEARDOWN)
    assert (
        "left behind: VMID 211: whether anything is left could not be seen: the connection to pve1 broke"
        in torn.message
    )
    assert torn.observed["deleted"] == [211]
    assert [claim.vmid for claim in drill.tools.claims.standing()] == [211]
    assert Claims(ground.reports / "run-1", "run-1").standing()[0].volids == (DISK,)
