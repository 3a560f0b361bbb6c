"""What is discovered of a site with several nodes, one of them offline, and of one that shows little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from backup_standard.cli.discover import discover
from backup_standard.collect.reader import Reader
from backup_standard.model import Gap
from backup_standard.model.guests import DRILL_TAG
from tests.unit.collect.stubsite import StubPve

SITE: Mapping[str, Any] = {
    "/version": {"release": "8.4"},
    "/nodes": [{"node": "b", "status": "online"}, {"node": "a"}, {"node": "c", "status": "offline"}],
    "/access/permissions": {"/": {"VM.Audit": 1, "Datastore.Audit": 1, "Sys.Audit": 1}},
    "/nodes/a/time": {"timezone": "Europe/Berlin"},
    "/nodes/b/time": Gap("the time zone of node b", "no"),
    "/nodes/a/network": [
        {"iface": "vmbr0", "bridge_ports": "eno1", "cidr": "192.0.2.1/24"},
        {"iface": "vmbr1", "bridge_ports": "", "address": "10.0.0.1"},
        {"iface": "vmbr8", "bridge_ports": ""},
        {"iface": "vmbr9"},
    ],
    "/nodes/b/network": [{"iface": "vmbr9", "bridge_ports": ""}, {"iface": "vmbr7", "cidr6": "fd00::1/64"}],
    "/nodes/a/storage": [{"storage": "local", "active": 1, "enabled": 1, "avail": 5}],
    "/nodes/b/storage": [],
    "/cluster/status": [
        {"type": "cluster", "name": "acme"}, {"type": "node", "name": "a", "ip": "192.0.2.1"},
        {"type": "node", "name": "b"},
    ],
    "/cluster/resources": [
        {"vmid": 210, "type": "qemu", "name": "dns", "node": "a"},
        {"vmid": 100, "type": "qemu", "name": "t", "node": "b", "template": 1},
        {"vmid": 9000, "type": "qemu", "name": "copy", "node": "a", "tags": DRILL_TAG},
    ],
    "/cluster/backup": [{"id": "nightly", "all": 1, "exclude": "100", "storage": "nas", "schedule": "02:00"}],
    "/storage": [
        {"storage": "nas", "type": "nfs", "content": "backup"},
        {"storage": "old", "type": "dir", "content": "backup", "disable": 1},
        {"storage": "local", "type": "dir", "content": "backup,images", "path": "/var/lib/vz"},
        {"storage": "disk", "type": "dir", "content": "backup", "path": "/mnt/backup"},
    ],
}  # fmt: skip


class Answers:
    """Stands in for the reader."""

    pve = StubPve({})

    def __init__(self, **changes: Any) -> None:
        self.site = {**SITE, **{path.replace("__", "/"): answer for path, answer in changes.items()}}

    def get(self, path: str, /, **_params: Any) -> Any:
        return self.site[path]

    def ask(self, _fact: str, path: str, /, **_params: Any) -> Any:
        return self.site[path]


def test_a_cluster() -> None:
    found = discover(cast(Reader, Answers()))
    assert (found.name, found.release) == ("acme", "8.4")
    assert found.nodes == {"a": "192.0.2.1", "b": "", "c": ""}
    assert found.zones == {"a": "Europe/Berlin", "b": ""}
    assert found.bridges == {"vmbr9": ("a", "b"), "vmbr8": ("a",)}
    assert [guest.vmid for guest in found.guests] == [100, 210]
    assert found.jobs_of(210) == ["nightly"]
    assert found.jobs_of(100) == []
    assert [one.id for one in found.backup_storages] == ["disk", "local"]
    assert found.disk_storages == ["local"]
    assert [gap.fact for gap in found.gaps] == ["node c", "the time zone of node b"]


def test_what_is_refused_is_a_gap() -> None:
    answers = Answers(__cluster__backup=Gap("the backup jobs", "no"), __cluster__status=Gap("the status", "no"))
    answers.site |= {f"/nodes/b/{what}": Gap(what, "no") for what in ("network", "storage")}
    found = discover(cast(Reader, answers))
    assert found.name == "a"
    assert found.jobs == ()
    assert found.nodes == {"a": "", "b": "", "c": ""}
    assert {gap.fact for gap in found.gaps} >= {"the backup jobs", "network", "storage"}


def test_bridges_that_may_be_hidden_are_a_gap_only_where_none_is_seen() -> None:
    answers = Answers(__nodes__a__network=[], __nodes__b__network=[])
    (gap,) = [one for one in discover(cast(Reader, answers)).gaps if one.fact == "the bridges"]
    assert gap.reason == "the token audit@pve!suite has no SDN.Audit on /sdn/zones, so some may be hidden"
    assert gap.need.startswith("SDN.Audit on /sdn/zones: pveum acl modify /sdn/zones ")
    for change in ({"/version": {"release": "7.4"}}, {"/access/permissions": {"/sdn/zones": {"SDN.Audit": 1}}}):
        answers.site |= change
        assert "the bridges" not in {one.fact for one in discover(cast(Reader, answers)).gaps}
