"""The parameter check: what is refused, with which text, and what a value becomes."""

from __future__ import annotations

from typing import Any

import pytest

from lab.pve.call import ApiError
from lab.pve.routes import ROUTES, WEBSOCKETS
from lab.pve.routetable import rows
from lab.pve.schema import load

NINE = load("9.2")
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MAC = "invalid format - value does not look like a valid unicast MAC address"


def errors(route: str, given: dict[str, Any], version: str = "9.2") -> dict[str, str]:
    schema = load(version)
    with pytest.raises(ApiError) as refused:
        schema.check(schema.routes[route], given)
    assert refused.value.status == 400
    assert refused.value.reason == "Parameter verification failed."
    return refused.value.errors or {}


CONFIG = {"node": "pve1", "vmid": "201"}


@pytest.mark.parametrize(
    ("route", "given", "name", "text"),
    [
        (
            "GET /version",
            {"foo": "1"},
            "foo",
            "property is not defined in schema and the schema does not allow additional properties",
        ),
        (
            "GET /nodes/{node}/qemu",
            {"node": "pve1", "full": "true"},
            "full",
            "type check ('boolean') failed - got 'true'",
        ),
        ("GET /nodes/{node}/qemu", {"node": "pve1", "full": "2"}, "full", "type check ('boolean') failed - got '2'"),
        ("GET /cluster/nextid", {"vmid": "abc"}, "vmid", "type check ('integer') failed - got 'abc'"),
        ("GET /cluster/nextid", {"vmid": "5"}, "vmid", "invalid format - value does not look like a valid VM ID\n"),
        (
            "GET /cluster/resources",
            {"type": "bogus"},
            "type",
            "value 'bogus' does not have a value in the enumeration 'vm, storage, node, sdn'",
        ),
        (
            "GET /cluster/jobs/schedule-analyze",
            {"schedule": "daily", "iterations": "101"},
            "iterations",
            "value must have a maximum value of 100",
        ),
        (
            "GET /cluster/jobs/schedule-analyze",
            {"schedule": "daily", "iterations": "0"},
            "iterations",
            "value must have a minimum value of 1",
        ),
        (
            "PUT /nodes/{node}/qemu/{vmid}/config",
            CONFIG | {"net0": "virtio=00:11:22:33:44:55:66,bridge=vmbr9"},
            "net0",
            f"invalid format - format error\nnet0.macaddr: {MAC}\n\n",
        ),
        ("POST /cluster/backup", {"id": "bad id!"}, "id", "invalid format - invalid configuration ID 'bad id!'\n"),
        (
            "POST /cluster/backup",
            {"prune-backups": "keep-foo=1"},
            "prune-backups",
            f"invalid format - format error\nprune-backups.keep-foo: {UNKNOWN}\n",
        ),
        (
            "POST /cluster/backup",
            {"prune-backups": "keep-all=1,keep-last=2"},
            "prune-backups",
            "invalid format - keep-all cannot be set together with other options.\n",
        ),
        (
            "POST /nodes/{node}/vzdump",
            {"node": "pve1", "mode": "foo"},
            "mode",
            "value 'foo' does not have a value in the enumeration 'snapshot, suspend, stop'",
        ),
        (
            "GET /nodes/{node}/storage/{storage}/content",
            {"node": "pve1", "storage": "b1", "content": "foo"},
            "content",
            "invalid format - invalid content type 'foo'\n",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_with_the_recorded_text(
    route: str,
    given: dict[str, Any],
    name: str,
    text: str,
) -> None:
    assert errors(route, given)[name] == text


def test_maxfiles_is_known_to_8_only() -> None:
    given = {"node": "pve1", "vmid": "210", "maxfiles": "2"}
    assert "maxfiles" in errors("POST /nodes/{node}/vzdump", given)
    eight = load("8.4")
    assert eight.check(eight.routes["POST /nodes/{node}/vzdump"], given)["maxfiles"] == 2


def test_values_become_their_types() -> None:
    route = NINE.routes["GET /nodes/{node}/tasks"]
    checked = NINE.check(route, {"node": "pve1", "limit": "5", "errors": "1", "typefilter": "vzdump"})
    assert checked == {"node": "pve1", "limit": 5, "errors": 1, "typefilter": "vzdump"}


def test_booleans_of_a_json_body_are_accepted() -> None:
    route = NINE.routes["GET /nodes/{node}/qemu"]
    assert NINE.check(route, {"node": "pve1", "full": True})["full"] == 1


def test_an_array_takes_one_value_or_several() -> None:
    route = NINE.routes["POST /nodes/{node}/qemu/{vmid}/agent/exec"]
    assert NINE.check(route, CONFIG | {"command": "hostname"})["command"] == ["hostname"]
    assert NINE.check(route, CONFIG | {"command": ["cat", "/x"]})["command"] == ["cat", "/x"]


def test_a_family_of_numbered_parameters_ends_where_the_real_one_does() -> None:
    route = NINE.routes["PUT /nodes/{node}/qemu/{vmid}/config"]
    assert route.parameter("net31")
    assert route.parameter("net32") is None
    assert route.parameter("virtio15")
    assert route.parameter("virtio16") is None
    assert route.parameter("net01") is None


def test_the_volume_of_a_content_path_may_contain_slashes() -> None:
    found = NINE.find("GET", "/nodes/pve1/storage/backup-hdd/content/backup-hdd:backup/vzdump-qemu-200.vma.zst")
    assert found
    assert found[1]["volume"] == "backup-hdd:backup/vzdump-qemu-200.vma.zst"


def test_an_unknown_path_is_not_found() -> None:
    assert NINE.find("GET", "/nodes/pve1/qemu/200/nothing") is None
    assert NINE.find("PATCH", "/version") is None
    assert NINE.find("GET", "/nodes/pve1/qemu/200/agent/ping") is None


LATER = {
    "GET /cluster/notifications/matchers",
    "GET /cluster/notifications/targets",
    "PUT /pools",
    "DELETE /pools",
    "GET /nodes/{node}/lxc/{vmid}/interfaces",
}
"""What 8 brought."""


@pytest.mark.parametrize(("version", "missing"), [("9.2", set()), ("8.4", set()), ("7.4", LATER)])
def test_every_served_route_is_in_the_schema(version: str, missing: set[str]) -> None:
    assert set(ROUTES) - load(version).routes.keys() == missing
    assert len(list(rows(version))) == len({*ROUTES, *WEBSOCKETS} - missing)


def test_the_table_names_the_privileges_of_every_route() -> None:
    table = dict(rows("9.2"))
    assert set(ROUTES) <= set(table)
    assert table["GET /nodes/{node}/status"] == "/nodes/{node}: Sys.Audit"
    assert table["POST /access/ticket"] == "anybody"
    assert table["POST /nodes/{node}/qemu/{vmid}/agent/ping"] == (
        "/vms/{vmid}: VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted"
    )
    assert dict(rows("8.4"))["POST /nodes/{node}/qemu/{vmid}/agent/ping"] == "/vms/{vmid}: VM.Monitor"
    assert " or " in table["GET /nodes/{node}/disks/list"]
