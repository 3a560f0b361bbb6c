"""The ownership guard: what it lets through, and everything it does not."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill import names, node_commands
from backup_standard.drill.claims import Claims
from backup_standard.drill.guard import TABLE, Ground, Guard, is_stub, try_config
from backup_standard.errors import ApiError, Refused

LIBRARY = Path(__file__).parents[3] / "backup_standard"
RUN, UPID = "run-1", "UPID:pve1:00000A27:00070F08:6B04A679:qmrestore:201:drill@pve!suite:"


class Site:
    """Answers with one configuration for every guest."""

    def __init__(self, **config: Any) -> None:
        self.config = config

    def get(self, path: str, **_params: Any) -> Any:
        assert path.endswith("/config")
        return self.config


def ours(**more: Any) -> dict[str, Any]:
    return {"tags": names.TAG, "description": names.description(RUN, 200, "backup:x"), **more}


GROUND = Ground(names.Reserved({200: 201}, 9000, 9009, frozenset({100, 200, 9005})), "vmbr9", "vmdata", "drill")
RESTORE = {"vmid": 201, "archive": "backup:x", "storage": "vmdata", "pool": "drill", "net0": "virtio,bridge=vmbr9"}


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    made = Claims(tmp_path / "runs" / RUN, RUN)
    made.claim(201, source=200, node="pve1")
    return made


def guard(claims: Claims, **config: Any) -> Guard:
    return Guard(GROUND, claims, Site(**config))


def test_a_restore_with_tag_mark_and_isolated_card_is_permitted(claims: Claims) -> None:
    guard(claims).permit("POST", "/nodes/pve1/qemu", RESTORE | ours(name="drill-200", onboot="0", template="0"))


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ({"vmid": 200}, "VMID 200 is not reserved"),
        ({"vmid": 9005}, "VMID 9005 is not reserved"),
        ({"vmid": 9001}, "no claim on it stands"),
        ({"force": 1}, "may only be overwritten right after this run made it empty"),
        ({"start": 1}, "may not set start"),
        ({"scsi0": "x"}, "may not set scsi0"),
        ({"unique": 1}, "may not set unique"),
        ({"tags": "something"}, "does not carry the tag"),
        ({"description": "drill-run: another"}, "the mark of run"),
        ({"net0": "virtio,bridge=vmbr0"}, "net0 would not be on the isolated bridge"),
        ({"net1": "virtio"}, "net1 would not be on the isolated bridge"),
        ({"storage": "local"}, "not to local"),
        ({"pool": "production"}, "not production"),
    ],
)
def test_a_restore_that_is_not_quite_so_is_refused(claims: Claims, change: dict[str, Any], saying: str) -> None:
    with pytest.raises(Refused, match=saying):
        guard(claims).permit("POST", "/nodes/pve1/qemu", RESTORE | ours() | change)


def test_a_new_guest_without_archive_is_refused(claims: Claims) -> None:
    params = {key: value for key, value in (RESTORE | ours()).items() if key not in {"archive", "pool"}}
    with pytest.raises(Refused, match="without an archive"):
        guard(claims).permit("POST", "/nodes/pve1/qemu", params)


def test_a_restore_is_never_repeated(claims: Claims) -> None:
    claims.add_task(201, UPID)
    with pytest.raises(Refused, match="never repeated"):
        guard(claims).permit("POST", "/nodes/pve1/qemu", RESTORE | ours())


GUEST = "/nodes/pve1/qemu/201"
WRITES = [
    ("POST", f"{GUEST}/status/start", {}),
    ("POST", f"{GUEST}/status/stop", {}),
    ("POST", f"{GUEST}/agent/ping", {}),
    ("POST", f"{GUEST}/agent/exec", {"command": ["id"]}),
    ("POST", f"{GUEST}/vncproxy", {"websocket": 1}),
    ("PUT", f"{GUEST}/config", {"ide2": "none,media=cdrom", "delete": "watchdog", "net0": "virtio,bridge=vmbr9"}),
    ("DELETE", GUEST, {"purge": 1, "destroy-unreferenced-disks": 1}),
]


@pytest.mark.parametrize(("method", "path", "params"), WRITES)
def test_writes_to_our_own_guest_are_permitted(claims: Claims, method: str, path: str, params: dict[str, Any]) -> None:
    guard(claims, **ours()).permit(method, path, params)


@pytest.mark.parametrize(("method", "path", "params"), WRITES)
@pytest.mark.parametrize("vmid", [200, 9001, 300])
def test_the_same_writes_to_any_other_guest_are_refused(
    claims: Claims, method: str, path: str, params: dict[str, Any], vmid: int
) -> None:
    with pytest.raises(Refused):
        guard(claims, **ours()).permit(method, path.replace("201", str(vmid)), params)


@pytest.mark.parametrize(("method", "path", "params"), WRITES)
def test_an_untagged_guest_on_a_claimed_vmid_is_refused(
    claims: Claims, method: str, path: str, params: dict[str, Any]
) -> None:
    claims.add_task(201, UPID)
    with pytest.raises(Refused, match="is not a drill's"):
        guard(claims, name="somebody-elses", scsi0="vmdata:vm-201-disk-0").permit(method, path, params)


def test_the_stub_of_our_own_failed_restore_may_be_stopped_and_deleted_and_nothing_else(claims: Claims) -> None:
    stub = {"memory": "128", "digest": "x"}
    with pytest.raises(Refused):
        guard(claims, **stub).permit("DELETE", GUEST, {"purge": 1})
    claims.add_task(201, UPID)
    guard(claims, **stub).permit("DELETE", GUEST, {"purge": 1})
    guard(claims, **stub).permit("POST", f"{GUEST}/status/stop", {})
    with pytest.raises(Refused):
        guard(claims, **stub).permit("POST", f"{GUEST}/status/start", {})


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("POST", "/nodes/pve1/vzdump", {"vmid": 201}),
        ("DELETE", "/nodes/pve1/storage/backup-hdd/content/x", {}),
        ("POST", f"{GUEST}/status/shutdown", {}),
        ("POST", f"{GUEST}/config", {"name": "x"}),
        ("POST", f"{GUEST}/agent/file-write", {}),
        ("POST", "/access/acl", {}),
        ("GET", f"{GUEST}/config", {}),
        ("DELETE", f"{GUEST}/../200", {}),
        ("POST", "/nodes/pve1/lxc/201/clone", {"newid": 201}),
        ("POST", "/nodes/pve1/lxc/201/vncproxy", {}),
    ],
)
def test_calls_outside_the_table_are_refused(claims: Claims, method: str, path: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="not among the calls"):
        guard(claims, **ours()).permit(method, path, params)


@pytest.mark.parametrize(
    ("params", "saying"),
    [
        ({"delete": "scsi0"}, "may not remove scsi0"),
        ({"delete": "watchdog,net0"}, "may not remove net0"),
        ({"scsi0": "vmdata:vm-200-disk-0"}, "may not set scsi0"),
        ({"ide2": "local:iso/x.iso,media=cdrom"}, "may not set ide2"),
        ({"args": "-x"}, "may not set args"),
        ({"net0": "virtio,bridge=vmbr0"}, "isolated bridge"),
    ],
)
def test_a_configuration_is_changed_only_to_make_it_harmless(
    claims: Claims, params: dict[str, Any], saying: str
) -> None:
    with pytest.raises(Refused, match=saying):
        guard(claims, **ours()).permit("PUT", f"{GUEST}/config", params)


def test_a_destroy_takes_nothing_but_its_two_switches(claims: Claims) -> None:
    with pytest.raises(Refused, match="may not set skiplock"):
        guard(claims, **ours()).permit("DELETE", GUEST, {"skiplock": 1})


def test_a_clone_goes_from_our_guest_into_a_claimed_vmid(claims: Claims) -> None:
    params = {"newid": 9000, "full": 1, "description": names.description(RUN, 200, "x"), "storage": "vmdata"}
    with pytest.raises(Refused, match="no claim"):
        guard(claims, **ours()).permit("POST", f"{GUEST}/clone", params)
    claims.claim(9000, source=200, node="pve1")
    guard(claims, **ours()).permit("POST", f"{GUEST}/clone", params)
    for change in ({"full": 0}, {"description": "none"}, {"snapname": "x"}, {"storage": "local"}):
        with pytest.raises(Refused):
            guard(claims, **ours()).permit("POST", f"{GUEST}/clone", params | change)


def test_only_our_own_tasks_are_stopped(claims: Claims) -> None:
    with pytest.raises(Refused, match="was not started by this run"):
        guard(claims).permit("DELETE", f"/nodes/pve1/tasks/{UPID}", {})
    claims.add_task(201, UPID)
    guard(claims).permit("DELETE", f"/nodes/pve1/tasks/{UPID}", {})
    for other in (UPID.replace("A27", "A28"), "UPID:pve1:1:1:1:vzdump::root@pam:", "nonsense"):
        with pytest.raises(Refused):
            guard(claims).permit("DELETE", f"/nodes/pve1/tasks/{other}", {})


EVERY_COMMAND = [
    *node_commands.make_bridge(201),
    *node_commands.make_gateway(201, "10.0.0.1/24"),
    node_commands.move_port(201, 0),
    *node_commands.remove_gateway(201),
    node_commands.remove_port(201),
    node_commands.ping(201, "10.0.0.20"),
]


@pytest.mark.parametrize("argv", EVERY_COMMAND, ids=" ".join)
def test_node_commands_are_permitted_for_a_claimed_vmid_alone(claims: Claims, argv: tuple[str, ...]) -> None:
    guard(claims).permit_command(argv)
    with pytest.raises(Refused):
        guard(claims).permit_command([part.replace("201", "200") for part in argv])


@pytest.mark.parametrize(
    "argv",
    [
        ("rm", "-rf", "/"),
        ("ip", "netns", "del", "production"),
        ("ip", "link", "del", "dev", "vmbr0"),
        ("ip", "link", "del", "dev", "tap201i0"),
        ("ip", "link", "set", "dev", "tap201i0", "master", "vmbr0"),
        ("ip", "link", "set", "dev", "tap201i0", "master", "db9001"),
        ("ip", "link", "set", "dev", "vmbr9", "up"),
        ("ip", "-n", "drill201", "addr", "add", "10.0.0.1/24;reboot", "dev", "eth0"),
        ("ip", "-n", "drill201", "addr", "add", "10.0.0.1/24", "dev", "eth0", "extra"),
        ("ip", "netns", "exec", "drill201", "ping", "-c", "1", "-W", "2", "-n", "example.org"),
        ("ip", "netns", "exec", "drill201", "sh", "-c", "reboot"),
        ("ip", "netns", "add drill201"),
    ],
)
def test_no_other_command_runs_on_a_node(claims: Claims, argv: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=r"not among those|no claim on it stands"):
        guard(claims).permit_command(argv)


def test_a_stub_is_empty() -> None:
    assert is_stub({})
    assert is_stub({"memory": "128", "digest": "x", "lock": "create"})
    assert not is_stub({"memory": "128", "name": "x"})
    assert not is_stub({"scsi0": "x"})


def test_a_guest_that_is_not_there_has_no_configuration() -> None:
    class Gone:
        def get(self, _path: str, **_params: Any) -> Any:
            raise ApiError("Configuration file 'nodes/pve1/qemu-server/201.conf' does not exist", status=500)

    class Broken:
        def get(self, _path: str, **_params: Any) -> Any:
            raise ApiError("got timeout", status=500)

    assert try_config(Gone(), "pve1", 201) is None
    with pytest.raises(ApiError):
        try_config(Broken(), "pve1", 201)


def _calls(tree: ast.AST) -> set[str]:
    """The methods called; those of a queue (``self._free``, the reader's idle clients) apart."""
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    methods = [func for func in called if isinstance(func, ast.Attribute)]
    return {func.attr for func in methods if ast.unparse(func.value) != "self._free"}


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_no_module_but_the_drill_engine_can_write_to_a_site() -> None:
    """Only ``drill`` calls ``write``; only ``assembly`` makes a writer, and gives it the guard; nobody calls a verb."""
    writers, makers = set(), set()
    for path in LIBRARY.rglob("*.py"):
        module, tree = path.relative_to(LIBRARY).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        assert not _calls(tree) & {"post", "put", "delete"}, module
        if "write" in _calls(tree) and any(word in path.read_text(encoding="utf-8") for word in ('"POST"', '"DELETE"')):
            writers.add(module)
        if "PveWriter" in _names(tree):
            makers.add(module)
    assert {module for module in writers if not module.startswith("drill/")} == {"pve/client.py"}
    assert makers <= {"drill/assembly.py", "pve/__init__.py", "pve/client.py"}
    assembly = (LIBRARY / "drill" / "assembly.py").read_text(encoding="utf-8")
    assert assembly.count("PveWriter(") == 1
    assert "PveWriter(inventory.api, token, guard.permit)" in assembly


def test_the_table_names_each_call_once() -> None:
    assert len({(row.method, row.path.pattern) for row in TABLE}) == len(TABLE)
