"""What the control plane answers as 7.4: derived from its API schema and source, never recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.pve.releases import RELEASES
from lab.pve.schema import FOLDER, load
from tests import labsite
from tests.lab_unit.pve.stubs import ask, bare_site, data
from tests.labsite import LabSite


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabSite]:
    """The lab's site as 7.4, its guests off."""
    with labsite.running(tmp_path_factory.mktemp("lab"), version="7.4", guests=False) as running:
        yield running


def test_it_tells_its_version_as_that_release_does(lab: LabSite) -> None:
    told = {"release": "7.4", "version": "7.4-16", "repoid": "0f39f621"}
    assert lab.data("GET", "/version") == told
    assert lab.data("GET", "/nodes/pve1/status")["pveversion"] == "pve-manager/7.4-16/0f39f621"


def test_the_text_of_an_error_stands_in_the_reason_alone(lab: LabSite) -> None:
    got = lab.send("GET", "/nodes/pve1/qemu/999/config", "root")
    assert got.reason == "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"
    assert got.json() == {"data": None}
    wrong = lab.send("GET", "/cluster/nextid", "root", vmid="x").json()
    assert set(wrong) == {"data", "errors"}


@pytest.mark.parametrize(
    "path",
    ["/cluster/notifications/targets", "/cluster/notifications/matchers", "/nodes/pve1/lxc/230/interfaces"],
)
def test_later_routes_are_not_there(lab: LabSite, path: str) -> None:
    got = lab.send("GET", path, "root")
    assert (got.status_code, got.reason) == (501, f"Method 'GET {path}' not implemented")


@pytest.mark.parametrize("name", ["notification-mode", "fleecing", "pbs-change-detection-mode"])
def test_later_options_of_a_job_are_refused(lab: LabSite, name: str) -> None:
    got = lab.send("POST", "/cluster/backup", "root", schedule="02:00", all=1, **{name: "1"})
    assert got.status_code == 400
    assert "not defined in schema" in got.json()["errors"][name]
    assert name not in lab.data("GET", "/nodes/pve1/vzdump/defaults", storage="backup-hdd")


def test_bridges_are_shown_and_used_without_any_right(lab: LabSite) -> None:
    for who in ("audit", "drill"):
        shown = {one["iface"] for one in lab.data("GET", "/nodes/pve1/network", who)}
        assert {"vmbr0", "vmbr9"} <= shown
    assert not [entry for entry in lab.site.access.acl if entry.path.startswith(("/sdn", "/mapping"))]


def test_administrators_may_change_the_access_list() -> None:
    roles = {role["roleid"]: role["privs"] for role in data(bare_site("7.4"), "GET", "/access/roles")}
    assert "Permissions.Modify" in roles["PVEAdmin"]
    assert "Permissions.Modify" in roles["PVESysAdmin"]
    assert not {"PVEMappingAdmin", "PVEMappingUser", "PVESDNUser"} & roles.keys()


def test_rights_cannot_be_given_on_what_is_not_there_yet() -> None:
    given = {"users": "root@pam", "roles": "PVEAuditor"}
    refused = ask(bare_site("7.4"), "PUT", "/access/acl", path="/mapping/notifications", **given)
    assert refused.body == {"data": None, "errors": {"path": "invalid ACL path '/mapping/notifications'"}}
    for version, path in (("7.4", "/sdn/zones/localnetwork"), ("7.4", "/vms"), ("8.4", "/mapping/notifications")):
        assert ask(bare_site(version), "PUT", "/access/acl", path=path, **given).status == 200  # type: ignore[arg-type]


def test_a_list_arrives_as_a_text_that_nul_separates(lab: LabSite) -> None:
    route = load("7.4").routes["POST /nodes/{node}/qemu/{vmid}/agent/exec"]
    given = {"node": "pve1", "vmid": "210", "command": ["cat", "/a b"]}
    assert load("7.4").check(route, given)["command"] == "cat\0/a b"
    assert lab.site.major == 7


def test_numbered_parameters_end_where_those_of_8_do() -> None:
    for route in ("POST /nodes/{node}/qemu", "POST /nodes/{node}/lxc"):
        old, new = (load(version).routes[route] for version in ("7.4", "8.4"))
        folded = {name: one["count"] for name, one in old.parameters.items() if name.endswith("[n]")}
        assert folded
        assert folded == {name: new.parameters[name]["count"] for name in folded}


def test_every_release_has_its_schema() -> None:
    assert {path.stem.removeprefix("pve-") for path in FOLDER.glob("*.json")} == set(RELEASES)
    for version in RELEASES:
        assert re.fullmatch(rf"{re.escape(version)}[.-]\d+", load(version).version)


def test_a_status_tells_less(lab: LabSite) -> None:
    assert not {"current-kernel", "boot-info"} & lab.data("GET", "/nodes/pve1/status").keys()


def test_maxfiles_of_a_storage_is_shown_as_what_it_means() -> None:
    for version, count, kept in (("7.4", 3, "keep-last=3"), ("8.4", 0, "keep-all=1"), ("9.2", 3, None)):
        site = bare_site(version)  # type: ignore[arg-type]
        site.storages["b"] = {"type": "dir", "path": "/b", "content": "backup", "maxfiles": count}
        (one,) = data(site, "GET", "/storage")
        assert (one.get("prune-backups"), "maxfiles" in one) == (kept, False)


def test_the_warnings_of_a_backup_do_not_show_in_its_status() -> None:
    """Upstream counts them since 8.0 (pve-guest-common 5.0.4); other tasks' warnings show in 7 too."""
    for version, kind, status in (("7.4", "vzdump", "OK"), ("7.4", "qmrestore", "WARNINGS: 1"), ("8.4", "vzdump", "")):
        site = bare_site(version)  # type: ignore[arg-type]
        upid = site.tasks.start("root@pam", kind, 210, lambda log: log.warning("notes could not be added"))
        assert site.tasks.wait(upid).status == (status or "WARNINGS: 1")
