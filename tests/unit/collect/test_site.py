"""Reading a site over the API: complete where it may be, a gap where something may be hidden."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from backup_standard.collect.site import read_site
from backup_standard.errors import ApiError, ConnectionFailed, MissingPrivilege
from backup_standard.model import Gap, Node
from tests.unit.collect.stubsite import ALL, inventory, reader, site


def read(routes: Any, described: Any = None) -> Any:
    phrases = []
    with reader(routes) as source:
        facts = read_site(source, described or inventory(), phrases.append)
    assert phrases
    return facts


def forbidden(privilege: Any, path: Any) -> Any:
    return MissingPrivilege(f"lacks {privilege}", privilege=privilege, path=path, next_step="pveum acl modify …")


RESOURCES = [
    {"type": "qemu", "vmid": 100, "node": "pve1", "status": "stopped", "template": 1, "name": "golden"},
    {"type": "lxc", "vmid": 230, "node": "pve2", "status": "unknown", "name": "files"},
]
BACKUP_HDD = {"storage": "backup-hdd", "type": "dir", "path": "/mnt/backup", "content": "backup", "is_mountpoint": "1"}


def two_nodes(**more: Any) -> Any:
    return site("pve1", "pve2", **more)


def test_an_empty_site_has_no_gaps() -> None:
    facts = read(site("pve1"))

    assert facts.gaps == ()
    assert (facts.release, facts.guests, facts.jobs, facts.storages) == ("9.2", {}, {}, {})
    assert facts.nodes["pve1"] == replace(facts.nodes["pve1"], online=True, version="9.2.11", timezone="Europe/Berlin")
    assert abs(facts.taken_at - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert facts.tasks == {"pve1": ()}
    assert facts.defaults == {"pve1": {"storage": "local", "compress": "0"}}


def test_the_moment_is_the_nodes_not_ours() -> None:
    routes = site("pve1")
    routes["/nodes/pve1/time"] = {"timezone": "Europe/Berlin", "time": 1795485600}
    assert abs(read(routes).taken_at.timestamp() - 1795485600) <= 1


def test_what_an_offline_node_holds_is_a_gap_and_the_rest_is_read() -> None:
    routes = two_nodes()
    routes["/nodes"][1]["status"] = "offline"
    routes |= {
        "/cluster/resources": RESOURCES,
        "/nodes/pve1/qemu/100/config": {"name": "golden", "memory": 512},
        "/storage": [BACKUP_HDD, {"storage": "local", "type": "dir", "path": "/x", "content": "iso", "nodes": "pve1"}],
        "/nodes/pve1/storage": [{"storage": "backup-hdd", "active": 1, "enabled": 1, "total": 9, "used": 1}],
        "/nodes/pve1/storage/backup-hdd/prunebackups": [],
        "/nodes/pve1/storage/backup-hdd/content": [],
    }  # fmt: skip

    facts = read(routes)

    assert facts.nodes["pve2"] == Node("pve2", online=False)
    assert facts.guests[100].config == {"name": "golden", "memory": "512"}
    assert (facts.guests[230].config, facts.guests[230].status) == ({}, "unknown")
    assert facts.statuses["pve1/backup-hdd"].active
    assert facts.statuses["pve2/backup-hdd"] == Gap(
        "the storages of node pve2", "node pve2 is offline", "node pve2 online"
    )
    assert "pve2/local" not in facts.statuses
    assert facts.archives["pve2/backup-hdd"] == Gap(
        "the archives of backup-hdd on node pve2", "node pve2 is offline", "node pve2 online"
    )
    assert facts.tasks["pve2"] == Gap("the tasks of node pve2", "node pve2 is offline", "node pve2 online")
    assert "pve2" not in facts.defaults
    assert Gap("the configuration of guest 230", "node pve2 is offline", "node pve2 online") in facts.gaps


def test_a_node_that_dropped_out_meanwhile_is_a_gap() -> None:
    routes = two_nodes()
    routes["/nodes/pve2/status"] = ApiError("the node that should answer cannot be reached", status=595)
    routes["/nodes/pve2/storage"] = ApiError("the node that should answer cannot be reached", status=595)

    facts = read(routes)

    assert isinstance(facts.nodes["pve2"], Gap)
    assert facts.nodes["pve2"].fact == "version and clock of node pve2"
    assert facts.nodes["pve2"] in facts.gaps


def test_a_lost_connection_costs_what_was_asked_over_it() -> None:
    described = inventory(guests={200: {"role": "dns"}})
    facts = read(site("pve1", **{"/cluster/resources": ConnectionFailed("lost")}), described)
    assert facts.guests == {200: Gap("guest 200", "lost", broken=True)}
    assert Gap("the list of guests", "lost", "VM.Audit", broken=True) in facts.gaps
    assert facts.defaults == {"pve1": {"storage": "local", "compress": "0"}}


def test_a_shared_storage_is_read_once_and_a_local_one_on_each_node() -> None:
    status = [
        {"storage": "nas", "active": 1, "enabled": 1},
        {"storage": "backup-hdd", "active": 1, "enabled": 1},
        {"storage": "vm", "active": 1},
    ]
    volid = "backup-hdd:backup/vzdump-qemu-100-2026_11_23-20_46_15.vma.zst"
    line = {"volid": volid, "ctime": 5, "mark": "keep", "type": "qemu", "vmid": 100}
    older = {**line, "volid": volid.replace("23-", "22-"), "ctime": 3}
    routes = two_nodes(**{
        "/storage": [
            {"storage": "nas", "type": "nfs", "content": "backup", "shared": 1},
            {"storage": "vm", "type": "lvm", "content": "images"},
            BACKUP_HDD,
        ],
        "/nodes/pve1/storage": status,
        "/nodes/pve2/storage": status,
        "/nodes/pve1/storage/nas/prunebackups": [],
        "/nodes/pve1/storage/nas/content": [],
        "/nodes/pve1/storage/backup-hdd/prunebackups": [line, older],
        "/nodes/pve1/storage/backup-hdd/content": [{"volid": volid, "size": 7, "notes": "n"}],
        "/nodes/pve2/storage/backup-hdd/prunebackups": ApiError("directory is not mounted", status=500),
    })  # fmt: skip

    facts = read(routes)

    assert sorted(facts.archives) == ["pve1/backup-hdd", "pve1/nas", "pve2/backup-hdd"]
    assert [(archive.ctime, archive.size) for archive in facts.archives["pve1/backup-hdd"]] == [(3, None), (5, 7)]
    assert facts.archives["pve2/backup-hdd"] == Gap(
        "the archives of backup-hdd on node pve2", "directory is not mounted", broken=True
    )


def test_a_content_listing_that_is_refused_only_costs_the_sizes() -> None:
    volid = "backup-hdd:backup/vzdump-qemu-100-2026_11_23-20_46_15.vma.zst"
    routes = site("pve1", **{
        "/storage": [BACKUP_HDD],
        "/nodes/pve1/storage": [{"storage": "backup-hdd", "active": 1}],
        "/nodes/pve1/storage/backup-hdd/prunebackups": [{"volid": volid, "ctime": 5, "type": "qemu", "vmid": 100}],
        "/nodes/pve1/storage/backup-hdd/content": ApiError("too slow", status=596),
    })  # fmt: skip
    assert read(routes).archives["pve1/backup-hdd"][0].size is None


def rights(**missing: Any) -> Any:
    """Rights where some paths lack a privilege; keys are paths with underscores for slashes."""

    def answer(params: Any) -> Any:
        table = {**ALL, **{path: {} for path in missing.get("without", [])}}
        return {params["path"]: table.get(params["path"], ALL["/"])} if "path" in params else table

    return answer


def test_a_token_that_sees_nothing_leaves_gaps_not_an_empty_site() -> None:
    routes = site("pve1", **{"/access/permissions": {}, "/cluster/backup": forbidden("Sys.Audit", "/")})

    facts = read(routes, inventory(guests={200: {"role": "dns"}}))

    assert facts.jobs == Gap("the backup jobs", "lacks Sys.Audit", "Sys.Audit on /: pveum acl modify …")
    assert facts.storages == Gap(
        "the list of storages",
        "the token audit@pve!suite has no Datastore.Audit on /, so some may be hidden",
        "Datastore.Audit on /: pveum acl modify / --users audit@pve --tokens 'audit@pve!suite' --roles PVEAuditor",
    )
    assert facts.tasks["pve1"].need == (
        "Sys.Audit on /nodes/pve1: pveum acl modify /nodes/pve1 --users audit@pve --tokens 'audit@pve!suite' "
        "--roles PVEAuditor"
    )
    assert facts.archives == {}
    assert {gap.fact for gap in facts.gaps} >= {"the list of guests", "the list of storages", "the tasks of node pve1"}


def test_a_storage_that_is_seen_counts_though_others_may_be_hidden() -> None:
    def answer(params: Any) -> Any:
        table = {"/": {"VM.Audit": 1, "Sys.Audit": 1}, "/storage/backup-hdd": {"Datastore.Audit": 0}}
        path = params.get("path")
        return {path: table[path]} if path in table else {} if path else table

    facts = read(site("pve1", **{"/access/permissions": answer, "/storage": [BACKUP_HDD]}))

    assert facts.storages["backup-hdd"].is_mountpoint == "yes"
    assert "the list of storages" in {gap.fact for gap in facts.gaps}


def test_a_narrower_path_that_takes_a_privilege_away_is_found() -> None:
    facts = read(site("pve1", **{"/access/permissions": rights(without=["/vms/200", "/vms/210"])}))

    (gap,) = facts.gaps
    assert gap.reason == "the token audit@pve!suite has no VM.Audit on /vms/200, /vms/210, so some may be hidden"
    assert gap.need.startswith("VM.Audit on /vms/200: pveum acl modify /vms/200")


def test_a_privilege_that_does_not_propagate_is_no_proof() -> None:
    once = {"/": {"VM.Audit": 0, "Datastore.Audit": 1, "Sys.Audit": 1}}
    answer = lambda params: {params["path"]: once["/"]} if params else once  # noqa: E731

    facts = read(site("pve1", **{"/access/permissions": answer}))

    assert [gap.fact for gap in facts.gaps] == ["the list of guests"]


def exists(*vmids: Any) -> Any:
    def answer(params: Any) -> Any:
        if params["vmid"] in vmids:
            return ApiError("Parameter verification failed.", status=400, parameters={"vmid": "VM already exists"})
        return str(params["vmid"])

    return answer


def test_hidden_guests_are_told_from_guests_that_do_not_exist() -> None:
    volid = "backup-hdd:backup/vzdump-qemu-{}-2026_11_23-20_46_15.vma.zst"
    routes = site("pve1", **{
        "/cluster/nextid": exists(200, 300, 400),
        "/cluster/backup": [{"id": "j", "vmid": "300,301"}],
        "/cluster/backup/j/included_volumes": {"children": []},
        "/storage": [BACKUP_HDD],
        "/nodes/pve1/storage": [{"storage": "backup-hdd", "active": 1}],
        "/nodes/pve1/storage/backup-hdd/prunebackups": [
            {"volid": volid.format(vmid), "ctime": 5, "type": "qemu", "vmid": vmid} for vmid in (400, 401)
        ],
        "/nodes/pve1/storage/backup-hdd/content": [],
    })  # fmt: skip

    facts = read(routes, inventory(guests={200: {"role": "dns"}, 210: {"role": "dns"}}))

    assert sorted(facts.guests) == [200, 300, 400]
    assert facts.guests[200] == Gap(
        "guest 200",
        "it exists, but the token may not see it",
        "VM.Audit on /vms/200: "
        "pveum acl modify /vms/200 --users audit@pve --tokens 'audit@pve!suite' --roles PVEAuditor",
    )


def test_another_complaint_about_a_vmid_is_no_proof_of_anything() -> None:
    refused = ApiError("Parameter verification failed.", status=400, parameters={"vmid": "invalid format"})
    facts = read(site("pve1", **{"/cluster/nextid": refused}), inventory(guests={200: {"role": "dns"}}))
    assert facts.guests == {200: Gap("whether guest 200 exists", refused.what)}


def nested() -> Any:
    """What Python 3.12 and later parse without a word."""
    deep: list[Any] = []
    for _ in range(9000):
        deep = [deep]
    return deep


def test_an_answer_nested_without_end_is_not_understood() -> None:
    unread = (
        read(two_nodes(**{"/cluster/resources": RESOURCES, "/nodes/pve1/qemu/100/config": nested()})).guests[100].unread
    )
    assert unread.broken
    assert unread.reason.startswith("the answer to GET /nodes/pve1/qemu/100/config is not understood")


def test_a_value_nested_without_end_costs_nothing_else() -> None:
    config = {"description": nested()}  # a text of brackets where Python writes that, else not understood
    facts = read(two_nodes(**{"/cluster/resources": RESOURCES, "/nodes/pve1/qemu/100/config": config}))
    assert facts.guests[100].name == "golden"
    assert facts.guests[230].name == "files"


def test_a_configuration_that_may_not_be_read_is_a_gap_and_the_guest_stays() -> None:
    routes = site("pve1", **{
        "/cluster/resources": RESOURCES[:1],
        "/nodes/pve1/qemu/100/config": forbidden("", ""),
    })  # fmt: skip
    facts = read(routes)
    assert facts.guests[100].name == "golden"
    assert facts.gaps == (
        Gap("the configuration of guest 100", "lacks ", "a privilege the API does not name: pveum acl modify …"),
    )


def test_defaults_are_those_that_a_job_to_the_policy_storage_meets() -> None:
    def answer(params: Any) -> Any:
        if "storage" not in params:
            return ApiError("can't use storage 'local' for backups - wrong content type", status=500)
        assert params == {"storage": "backup-hdd"}
        return {"storage": "backup-hdd", "prune-backups": "keep-last=3", "zstd": 1}

    assert read(site("pve1", **{"/nodes/pve1/vzdump/defaults": answer})).defaults["pve1"] == {
        "storage": "",
        "prune-backups": "keep-last=3",
        "zstd": "1",
    }
    refused = read(site("pve1", **{"/nodes/pve1/vzdump/defaults": forbidden("Datastore.Audit", "/storage/backup-hdd")}))
    assert isinstance(refused.defaults["pve1"], Gap)
