"""The live checks one by one, on answers made up for each: preflight, isolation, plan, window, production."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest

from backup_standard.collect import window
from backup_standard.drill import isolation, preflight, production
from backup_standard.drill.plan import DrillPlan
from backup_standard.drill.ports import Ran
from backup_standard.drill.preflight import Surroundings
from backup_standard.errors import ApiError, MissingPrivilege, Refused
from backup_standard.inventory.drills import DrillOfGuest
from backup_standard.model import Archive, BackupJob

MIB = 1 << 20
NOON = 1_800_000_000


class Api:
    """Answers from a mapping of paths; an exception as an answer is raised."""

    def __init__(self, **changes: Any) -> None:
        self.answers: dict[str, Any] = {
            "/cluster/resources": [{"vmid": 200, "type": "qemu", "node": "pve1", "name": "db", "status": "running"}],
            "/cluster/nextid": "201",
            "/cluster/ha/resources": [],
            "/cluster/replication": [],
            "/cluster/backup": [],
            "/nodes/pve1/time": {"time": NOON},
            "/nodes/pve1/status": {"memory": {"total": 8192 * MIB, "used": 2048 * MIB}},
            "/nodes/pve1/tasks": [],
            "/access/permissions": {"/storage/vmdata": {"Datastore.Allocate": 1}},
            "/nodes/pve1/storage": [
                {"storage": "vmdata", "active": 1, "content": "images,rootdir"},
                {"storage": "off", "active": 0, "content": "images"},
                {"storage": "backup", "active": 1, "content": "backup"},
            ],
            "/nodes/pve1/storage/vmdata/content": [],
            "/nodes/pve1/storage/vmdata/status": {
                "active": 1, "content": "images,rootdir", "type": "lvm", "avail": 4096 * MIB,
            },
            "/nodes/pve1/network": [{"iface": "vmbr9", "type": "bridge", "active": 1, "bridge_ports": ""}],
            "/nodes/pve1/qemu/201/config": {"net0": "virtio=AA:BB:CC:00:11:22,bridge=vmbr9"},
        } | {key.replace("__", "/"): value for key, value in changes.items()}  # fmt: skip

    def get(self, path: str, /, **_params: Any) -> Any:
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Node:
    """A shell that knows some commands."""

    def __init__(self, **outputs: Any) -> None:
        self.outputs, self.ran = outputs, []

    def __call__(self, argv: Sequence[str]) -> Ran:
        self.ran.append(" ".join(argv))
        line = " ".join(argv)
        if line == "ip netns list":
            return Ran(0, self.outputs.get("netns", ""))
        if line == "ip -o link show":
            return Ran(0, self.outputs.get("links", "1: lo: <UP>\n2: db2010: <UP>\n"))
        key = "ports" if " link show master " in line else "addresses" if " addr show dev " in line else "other"
        answer = self.outputs.get(key, [])
        return answer if isinstance(answer, Ran) else Ran(0, json.dumps(answer) if key != "other" else "")


def plan(**changes: Any) -> DrillPlan:
    archive = Archive("backup:backup/vzdump-qemu-200-x.vma.zst", "backup", "pve1", 200, "qemu", NOON - 3600, 100 * MIB)
    settings = DrillOfGuest(vmid=201, address="10.0.0.20/24")
    known = {
        "vmid": 200, "name": "db", "role": "dns", "kind": "qemu", "node": "pve1", "temporary_vmid": 201,
        "archive": archive, "disk_bytes": 2048 * MIB, "storage": "vmdata", "bridge": "vmbr9", "pool": None,
        "settings": settings,
    }  # fmt: skip
    return DrillPlan(**(known | changes))  # type: ignore[arg-type]


def job(**changes: Any) -> BackupJob:
    known = {"id": "nightly", "enabled": True, "schedule": "02:00", "storage": "b", "mode": "snapshot",
             "compress": "zstd", "prune": None}  # fmt: skip
    return BackupJob(**(known | changes))  # type: ignore[arg-type]


def check(api: Api, *jobs: BackupJob, node: Node | None = None, **changes: Any) -> dict[str, Any]:
    return preflight.check(plan(**changes), api, Surroundings(jobs, "Europe/Berlin"), node)


def test_a_free_vmid_with_room_and_quiet_is_fine() -> None:
    assert check(Api(), job(runs=(NOON + 7200,)), node=Node()) == {"proven_free": [201]}


TAKEN = ApiError("Parameter verification failed.", status=400, parameters={"vmid": "VM 201 already exists"})


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ({"/cluster/resources": [{"vmid": 201, "node": "pve2", "name": "x"}]}, "VMID 201 is taken by 'x' on pve2"),
        ({"/cluster/nextid": TAKEN}, r"VMID 201 is taken \(VM 201 already exists\)"),
        ({"/cluster/ha/resources": [{"sid": "vm:201"}, {"sid": "vm:2010"}]}, "high availability manages vm:201"),
        ({"/cluster/replication": [{"id": "201-0", "guest": 201}]}, "replication job 201-0 names VMID 201"),
        ({"/nodes/pve1/storage/vmdata/content": [{"volid": "vmdata:vm-201-disk-0", "content": "images"}]},
         "volume vmdata:vm-201-disk-0 of VMID 201 exists"),
        ({"/nodes/pve1/tasks": [{"upid": "UPID:x"}]}, "a backup is running on pve1"),
        ({"/nodes/pve1/storage/vmdata/status": {"active": 0}}, "storage vmdata is not active on pve1"),
        ({"/nodes/pve1/storage/vmdata/status": {"active": 1, "content": "backup", "avail": 9 << 40}},
         "does not hold guest disks"),
        ({"/nodes/pve1/storage/vmdata/status": {"active": 1, "content": "images", "type": "lvm", "avail": MIB}},
         "has 1.0 MiB free; the copy needs 2.0 GiB"),
    ],
)  # fmt: skip
def test_each_objection_is_named(change: dict[str, Any], saying: str) -> None:
    with pytest.raises(Refused, match=saying):
        check(Api(**change))


def test_no_drill_begins_while_nobody_knows_when_backups_run() -> None:
    unknown = Surroundings((), "Europe/Berlin", "backup jobs: 403")
    with pytest.raises(Refused, match="backup jobs: 403"):
        preflight.check(plan(), Api(), unknown, None)


def test_every_objection_is_named_at_once() -> None:
    api = Api(**{"/cluster/nextid": TAKEN, "/nodes/pve1/tasks": [{"upid": "UPID:x"}]})
    with pytest.raises(Refused, match=r"a backup is running.*VMID 201 is taken"):
        check(api)


def test_finished_tasks_and_archives_are_no_objection() -> None:
    check(Api(**{"/nodes/pve1/tasks": [{"upid": "UPID:x", "endtime": 1}]}))
    check(Api(**{"/nodes/pve1/storage/vmdata/content": [{"volid": "x", "content": "backup"}]}))


def test_a_storage_that_cannot_be_listed_does_not_prove_the_vmid_free() -> None:
    with pytest.raises(Refused, match="whether a volume of VMID 201 is on vmdata could not be seen: no"):
        check(Api(**{"/nodes/pve1/storage/vmdata/content": MissingPrivilege("no")}))


def test_what_a_token_is_not_shown_is_told_as_not_proven_unless_the_node_lists_it() -> None:
    blind = {"/access/permissions": {"/storage/vmdata": {"Datastore.Audit": 1}}}
    (told,) = check(Api(**blind))["not_proven_free"]
    assert told.startswith("that no volume of VMID 201 is left on vmdata: this token is not shown")
    assert "not_proven_free" not in check(Api(**blind), node=Node())


def test_thin_storage_needs_the_archive_and_a_clone_of_a_template_twice_the_disk() -> None:
    thin = {"active": 1, "content": "images", "type": "lvmthin", "avail": 200 * MIB}
    check(Api(**{"/nodes/pve1/storage/vmdata/status": thin}))
    roomy = {"active": 1, "content": "images", "type": "lvm", "avail": 3000 * MIB}
    with pytest.raises(Refused, match=r"the copy needs 4.0 GiB"):
        check(Api(**{"/nodes/pve1/storage/vmdata/status": roomy}), template=True, clone_vmid=9000)


def test_leftovers_on_the_node_are_an_objection_and_similar_names_are_not() -> None:
    with pytest.raises(Refused, match="network namespace drill201 exists on pve1"):
        check(Api(), node=Node(netns="drill2010 (id: 1)\ndrill201 (id: 0)\n"))
    with pytest.raises(Refused, match="network device db201 exists on pve1; network device dg201 exists"):
        check(Api(), node=Node(links="3: db201: <UP>\n4: dg201@if2: <UP>\n"))


def test_a_plan_that_refuses_is_refused() -> None:
    with pytest.raises(Refused, match="there is no archive"):
        check(Api(), refusal="there is no archive of VM 200")


def test_a_job_that_names_the_temporary_vmid_would_back_it_up() -> None:
    with pytest.raises(Refused, match="job nightly names VMID 201 and would back the copy up"):
        check(Api(), job(vmids=(201,)))


BERLIN = dt.timezone(dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("minutes_before", "selection", "estimate", "conflict"),
    [
        (31, "list", 10, False), (29, "list", 10, True), (0, "list", 10, True), (-2, "list", 10, True),
        (-4, "list", 10, False), (50, "all", 10, False), (50, "all", 60, True),
        (50, "pool", 60, True), (50, "list", 60, False),
    ],
)  # fmt: skip
def test_the_window(minutes_before: int, selection: str, estimate: int, conflict: bool) -> None:  # noqa: FBT001
    run = NOON + minutes_before * 60
    reason = window.conflict(
        [job(selection=selection, runs=(run,))], now=NOON, estimate=dt.timedelta(minutes=estimate), say=BERLIN
    )
    assert bool(reason) is conflict
    if conflict:
        assert f"job nightly runs at {dt.datetime.fromtimestamp(run, tz=BERLIN):%H:%M}" in reason


def test_a_disabled_job_is_no_conflict() -> None:
    assert not window.conflict([job(enabled=False, runs=(NOON,))], now=NOON, estimate=dt.timedelta(0), say=BERLIN)


def prove(api: Api, node: Node | None) -> dict[str, Any]:
    return isolation.prove(api, node, node="pve1", bridge="vmbr9", vmid=201, reserved={201, 9000})


def test_isolation_is_proven_by_api_node_and_configuration() -> None:
    node = Node(
        ports=[{"ifname": "tap9000i0"}],
        addresses=[{"addr_info": [{"local": "fe80::1", "prefixlen": 64, "scope": "link"}]}],
    )
    found = prove(Api(), node)
    assert found["checked_on_node"]
    assert len(found["proven"]) == 3
    assert not prove(Api(), None)["checked_on_node"]


def bridge(**changes: Any) -> dict[str, Any]:
    return {"/nodes/pve1/network": [{"iface": "vmbr9", "type": "bridge", "active": 1, "bridge_ports": ""} | changes]}


@pytest.mark.parametrize(
    ("change", "node", "saying"),
    [
        ({"/nodes/pve1/network": []}, {}, "the API does not show vmbr9"),
        (bridge(type="OVSBridge"), {}, "of type OVSBridge"),
        (bridge(active=0), {}, "is not active"),
        (bridge(bridge_ports="eno1"), {}, "has the port eno1"),
        (bridge(cidr="10.0.0.1/24"), {}, "has cidr 10.0.0.1/24"),
        (bridge(address6="fd00::1"), {}, "has address6 fd00::1"),
        ({"/nodes/pve1/qemu/201/config": {"net0": "virtio=AA:BB:CC:00:11:22,bridge=vmbr9",
                                          "net1": "virtio=AA:BB:CC:00:11:23,bridge=vmbr0"}}, {},
         "net1 of guest 201 is on vmbr0"),
        ({"/nodes/pve1/qemu/201/config": {"net0": "virtio=AA:BB:CC:00:11:22"}}, {}, "is on no bridge"),
        ({}, {"ports": [{"ifname": "eno1"}]}, "eno1, which is no temporary guest's"),
        ({}, {"ports": [{"ifname": "tap200i0"}]}, "tap200i0, which is no temporary guest's"),
        ({}, {"addresses": [{"addr_info": [{"local": "10.0.0.1", "prefixlen": 24, "scope": "global"}]}]},
         "vmbr9 has the address 10.0.0.1/24 on the node"),
        ({}, {"ports": Ran(1, "", "Device vmbr9 does not exist")}, "failed on the node: Device vmbr9"),
    ],
)  # fmt: skip
def test_isolation_that_is_not_proven_refuses_the_boot(
    change: dict[str, Any], node: dict[str, Any], saying: str
) -> None:
    with pytest.raises(Refused, match=saying):
        prove(Api(**change), Node(**node))


def test_a_guest_that_is_not_alone_with_its_gateway_is_refused() -> None:
    alone = Node(ports=[{"ifname": "tap201i0"}, {"ifname": "dg201"}])
    assert "dg201 and tap201i0, nothing else" in isolation.prove_alone(alone, vmid=201, cards=[0])
    for ports, saying in (
        ([{"ifname": "dg201"}], "tap201i0 is missing"),
        ([{"ifname": "dg201"}, {"ifname": "tap201i0"}, {"ifname": "eno1"}], "port eno1 is on db201"),
    ):
        with pytest.raises(Refused, match=saying):
            isolation.prove_alone(Node(ports=ports), vmid=201, cards=[0])
    addressed = Node(ports=[{"ifname": "tap201i0"}, {"ifname": "dg201"}],
                     addresses=[{"addr_info": [{"local": "10.0.0.1", "prefixlen": 24, "scope": "x"}]}])  # fmt: skip
    with pytest.raises(Refused, match="db201 has the address"):
        isolation.prove_alone(addressed, vmid=201, cards=[0])


def test_production_is_described_by_digest_state_and_disks() -> None:
    gone = ApiError("Configuration file 'nodes/pve1/qemu-server/220.conf' does not exist", status=500)
    api = Api(**{
        "/cluster/resources": [
            {"vmid": 200, "type": "qemu", "node": "pve1", "status": "running"},
            {"vmid": 220, "type": "qemu", "node": "pve1", "status": "running"},
            {"vmid": 230, "type": "lxc", "node": "pve1", "status": "running"},
            {"id": "storage/x"},
        ],
        "/nodes/pve1/qemu/200/config": {"digest": "abc", "scsi0": "a:vm-200-disk-0,size=1G"},
        "/nodes/pve1/qemu/220/config": gone,
        "/nodes/pve1/lxc/230/config": {"digest": "def", "rootfs": "a:vm-230-disk-0,size=1G", "mp0": "/data,mp=/data"},
    })  # fmt: skip
    seen = production.snapshot(api, [200, 210, 220, 230])
    assert seen["200"]["volumes"] == {"scsi0": "a:vm-200-disk-0"}
    assert (seen["210"], seen["220"]) == ("gone", "gone")
    assert seen["230"]["volumes"] == {"rootfs": "a:vm-230-disk-0", "mp0": "/data"}
    assert production.differences(seen, seen) == []
    assert len(production.unseen(seen)) == 2
    assert production.differences(seen, seen | {"210": {}}) == ["guest 210 was gone and is {}"]
