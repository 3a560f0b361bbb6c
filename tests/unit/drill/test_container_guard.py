"""The ownership guard and a container: its restore, its writes, and the node's way into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill import names, node_commands
from backup_standard.drill.claims import Claims, read_standing
from backup_standard.drill.guard import Ground, Guard
from backup_standard.errors import Refused

RUN, UPID = "run-1", "UPID:pve1:00000A27:00070F08:6B04A679:vzrestore:231:drill@pve!suite:"
GROUND = Ground(names.Reserved({230: 231}, 9000, 9009, frozenset({200, 230})), "vmbr9", "vmdata", "drill")
CONTAINER = "/nodes/pve1/lxc/231"
MARKS = {"tags": names.TAG, "description": names.description(RUN, 230, "backup:x")}
RESTORE = {
    "vmid": 231, "ostemplate": "backup:x", "restore": 1, "storage": "vmdata", "pool": "drill", "onboot": "0",
    "net0": "name=eth0,bridge=vmbr9,type=veth", **MARKS,
}  # fmt: skip


class Site:
    """Shows one configuration for container 231 and for nothing else."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def get(self, path: str, **_params: Any) -> Any:
        assert path == f"{CONTAINER}/config"
        return self.config


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    made = Claims(tmp_path / "runs" / RUN, RUN)
    made.claim(231, source=230, node="pve1", kind="lxc")
    return made


def guard(claims: Claims, config: dict[str, Any] | None = None) -> Guard:
    return Guard(GROUND, claims, Site(MARKS if config is None else config))


def test_a_claim_remembers_what_is_restored(claims: Claims) -> None:
    assert [claim.kind for claim in read_standing(claims.path)] == ["lxc"]
    older = (
        claims.path.read_text(encoding="utf-8")
        .replace('"kind":"lxc"', '"more":1')
        .replace('"kind": "lxc"', '"more": 1')
    )
    claims.path.write_text(older, encoding="utf-8")
    assert [claim.kind for claim in read_standing(claims.path)] == ["qemu"]


@pytest.mark.parametrize("more", [{}, {"rootfs": "vmdata:0.25,acl=1", "mp12": "vmdata:3,mp=/srv,backup=1"}])
def test_a_restore_into_new_volumes_is_permitted(claims: Claims, more: dict[str, Any]) -> None:
    guard(claims).permit("POST", "/nodes/pve1/lxc", RESTORE | more)


@pytest.mark.parametrize(
    ("change", "saying"),
    [
        ({"vmid": 230}, "VMID 230 is not reserved"),
        ({"vmid": 9001}, "no claim on it stands"),
        ({"force": 1}, "may not set force"),
        ({"unique": 1}, "may not set unique"),
        ({"start": 1}, "may not set start"),
        ({"unprivileged": 0}, "may not set unprivileged"),
        ({"hookscript": "local:snippets/x"}, "may not set hookscript"),
        ({"dev0": "/dev/sda"}, "may not set dev0"),
        ({"features": "nesting=1"}, "may not set features"),
        ({"restore": 0}, "would be a new one"),
        ({"ostemplate": ""}, "would be a new one"),
        ({"tags": "mine"}, "lacks the tag"),
        ({"description": names.description("run-2", 230, "backup:x")}, "the mark of run run-1"),
        ({"net1": "name=lan,bridge=vmbr0"}, "isolated bridge"),
        ({"storage": "local"}, "restores to storage vmdata"),
        ({"pool": "other"}, "uses pool drill"),
        ({"rootfs": "/mnt/tank"}, "rootfs would not be a new volume"),
        ({"mp0": "/data,mp=/data"}, "mp0 would not be a new volume"),
        ({"mp0": "volume=vmdata:3,mp=/data"}, "mp0 would not be a new volume"),
        ({"mp0": "vmdata:vm-230-disk-0,mp=/data"}, "mp0 would not be a new volume"),
        ({"mp0": "local:3,mp=/data"}, "mp0 would not be a new volume"),
    ],
)
def test_a_restore_that_is_not_quite_so_is_refused(claims: Claims, change: dict[str, Any], saying: str) -> None:
    with pytest.raises(Refused, match=saying):
        guard(claims).permit("POST", "/nodes/pve1/lxc", RESTORE | change)


def test_a_restore_is_never_repeated(claims: Claims) -> None:
    claims.add_task(231, UPID)
    with pytest.raises(Refused, match="was restored before"):
        guard(claims).permit("POST", "/nodes/pve1/lxc", RESTORE)


WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("PUT", f"{CONTAINER}/config", {"protection": 0}),
    ("POST", f"{CONTAINER}/status/start", {}),
    ("POST", f"{CONTAINER}/status/stop", {}),
    ("DELETE", CONTAINER, {"purge": 1, "destroy-unreferenced-disks": 1}),
]


@pytest.mark.parametrize(("method", "path", "params"), WRITES)
def test_writes_pass_on_our_own_container_alone(claims: Claims, method: str, path: str, params: dict[str, Any]) -> None:
    guard(claims).permit(method, path, params)
    with pytest.raises(Refused, match="is not a drill's"):
        guard(claims, {"hostname": "files", "tags": "prod"}).permit(method, path, params)
    with pytest.raises(Refused, match="VMID 230 is not reserved"):
        guard(claims).permit(method, path.replace("231", "230"), params)


@pytest.mark.parametrize(
    "argv",
    [
        node_commands.enter(231, ("cat", "/proc/1/stat", "a b; c")),
        node_commands.move_port(231, 0, "lxc"),
        node_commands.cards(231),
        node_commands.connect(231, "10.0.0.1", 8006),
        node_commands.connect(231, "2001:db8::1", 22),
    ],
)
def test_commands_for_a_claimed_container_are_permitted(claims: Claims, argv: tuple[str, ...]) -> None:
    guard(claims).permit_command(argv)
    with pytest.raises(Refused, match="VMID 230 is not reserved"):
        guard(claims).permit_command([word.replace("231", "230") for word in argv])


@pytest.mark.parametrize(
    "argv",
    [
        ("pct", "exec", "231", "--"),
        ("pct", "exec", "231", "cat", "/etc/shadow"),
        ("pct", "exec", "231", "--keep-env", "--", "id"),
        ("pct", "exec", "2 31", "--", "id"),
        ("pct", "enter", "231"),
        ("lxc-attach", "-n", "231", "--", "id"),
        ("lxc-attach", "-n", "231", "-s", "NETWORK", "--", "sh"),
        (*node_commands.connect(231, "10.0.0.1", 22)[:-1], "TCP:example.org:22,connect-timeout=3"),
        (*node_commands.connect(231, "10.0.0.1", 22)[:-1], "EXEC:id"),
        (*node_commands.connect(231, "10.0.0.1", 22)[:-2], "OPEN:/etc/shadow", "TCP:10.0.0.1:22,connect-timeout=3"),
        ("pct", "push", "231", "/etc/shadow", "/x"),
        ("pct", "mount", "231"),
        ("pct", "destroy", "231"),
        ("ip", "link", "set", "dev", "veth231i0", "master", "vmbr0"),
        ("ip", "link", "set", "dev", "veth230i0", "master", "db231"),
    ],
)
def test_no_other_command_about_containers_runs_on_a_node(claims: Claims, argv: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=r"not among those a drill may run|VMID 230 is not reserved"):
        guard(claims).permit_command(argv)
