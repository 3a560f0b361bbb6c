"""Drills of a container against the site in memory: what it shows, and what makes exactly one row fail."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from backup_standard.drill import boot, isolation, names, network
from backup_standard.drill.container import IN_CONTAINER, TICKS, ContainerShell
from backup_standard.drill.engine import Drill
from backup_standard.drill.guard import Guard
from backup_standard.drill.ports import Ran
from backup_standard.drill.steps import networking, serving
from backup_standard.errors import Refused
from lab.archive import ArchiveDamaged
from tests.drillground import Ground

STEPS = ("restore", "boot", "login", "network", "services", "data", "teardown")
NET = "name=eth0,bridge=vmbr0,gw=10.0.0.1,hwaddr=BC:24:11:00:02:30,ip=10.0.0.230/24,type=veth"
PLAIN = f"hostname: files\nmemory: 128\nnet0: {NET}\nrootfs: vmdata:vm-230-disk-0,size=256M\nunprivileged: 1\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SERVICES_TIMEOUT", 0.3)
    monkeypatch.setattr(networking, "NETWORK_TIMEOUT", 0.3)


def archive(ground: Ground, text: str) -> None:
    """Write the container's newest archive anew, with that configuration in it."""
    plan = ground.drill(230).plan
    assert plan.archive
    ground.lab.hypervisor.write_container_archive(
        f"/mnt/backup/dump/{plan.archive.filename}", "vmdata:vm-230-disk-0", text, "zstd", lambda _done, _all: None
    )


def outcomes(drill: Drill) -> dict[str, str]:
    drill.close()
    return {name: str(drill.record.steps[name].outcome) for name in STEPS}


def run(drill: Drill) -> dict[str, str]:
    with drill:
        for name in ("restore", "boot", "login", "network", "services", "data"):
            if not drill.step(name).ok:
                break
    return outcomes(drill)


def test_everything_of_a_container_is_shown_and_nothing_is_left(ground: Ground) -> None:
    drill = ground.drill(230)
    assert run(drill) == dict.fromkeys(STEPS, "ok"), drill.record.steps
    record, steps = drill.record, drill.record.steps

    assert (record.kind, record.vmid, record.temporary_vmid) == ("lxc", 230, 231)
    assert record.bytes == 256 << 20
    assert record.screenshot_reason == "a container has no screen"
    assert steps["boot"].observed["disk"] == "rootfs: vmdata:vm-231-disk-0"
    assert steps["boot"].observed["answered"] == "pct exec"
    assert steps["login"].observed["wrong_credential"] == {"key": "refused", "password": "refused"}
    assert steps["network"].observed["address"] == "eth0 10.0.0.230/24"
    assert "node: db231 joins dg231 and veth231i0, nothing else" in record.isolation["proven"]
    assert steps["network"].observed["unreachable"][:2] == [
        f"node 10.0.0.1 port {port} ({network.BY_NODE})" for port in (8006, 22)
    ]
    assert not any("cannot reach" in text for text in record.not_proven)
    assert ground.nothing_left, ground.left_behind
    files = ground.lab.hypervisor.node.files
    assert [name for name, _ in files.children("/var/lib/lxc")] == ["230"]


def test_a_node_port_that_answers_in_the_containers_network_fails_it(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ContainerShell, "connects", lambda _self, _address, port: port in {22, 8006})
    found = run(drill := ground.drill(230))
    assert (found["login"], found["network"], found["services"]) == ("ok", "failed", "not run")
    assert drill.record.steps["network"].message == (
        "production answers the restored guest: "
        f"node 10.0.0.1 port 8006 ({network.BY_NODE}), node 10.0.0.1 port 22 ({network.BY_NODE})"
    )


def test_a_way_that_does_not_even_reach_the_container_itself_proves_nothing(ground: Ground) -> None:
    ground.lab.hypervisor.node.host.absent |= {"lxc-attach"}
    found = run(drill := ground.drill(230))
    assert found == dict.fromkeys(STEPS, "ok")
    assert any("node 10.0.0.1 port 8006" in text and "no program" in text for text in drill.record.not_proven)


def test_service_tests_get_the_container_over_ssh_and_as_root(ground: Ground) -> None:
    with ground.drill(230) as drill:
        assert drill.host().run("id -un").stdout == "drill\n"
        root = drill.host_as_root()
        assert root.run("id -un").stdout == "root\n"
        assert root.file("/srv/data/customers.csv").content_string.startswith("id,name")


def test_a_folder_of_the_node_stays_out_of_the_copy(ground: Ground) -> None:
    archive(ground, f"{PLAIN}mp0: /data/shared,mp=/srv/shared\n")
    seen: dict[str, Any] = {}
    with ground.drill(230) as drill:
        assert drill.step("boot").ok, drill.record.steps
        seen = dict(ground.lab.site.guests[231].config)
    assert "mp0" not in seen
    assert any("would mount /data/shared of the node" in text for text in drill.record.neutralised)
    assert ground.nothing_left, ground.left_behind


def test_raw_settings_stay_out_of_the_copy_and_the_warning_is_told(ground: Ground) -> None:
    archive(ground, f"{PLAIN}lxc.mount.entry: /data data none bind 0 0\n")
    with ground.drill(230) as drill:
        restore = drill.step("restore")
        assert restore.ok, restore
        assert drill.step("boot").ok
    assert any("skipping custom lxc options" in text for text in restore.observed["warnings"])


@pytest.mark.parametrize("line", ["hookscript: local:snippets/h.sh", "dev0: /dev/ttyUSB0", "template: 1"])
def test_what_cannot_be_made_harmless_is_refused_before_anything_is_made(ground: Ground, line: str) -> None:
    archive(ground, f"{PLAIN}{line}\n")
    with ground.drill(230) as drill:
        restore = drill.step("restore")
    assert f"cannot be made harmless: {line.partition(':')[0]}" in restore.message
    assert not drill.tools.claims.path.exists()
    assert ground.nothing_left, ground.left_behind


def test_a_copy_that_came_back_with_more_than_asked_for_is_not_started(ground: Ground) -> None:
    with ground.drill(230) as drill:
        assert drill.step("restore").ok
        ground.lab.site.guests[231].config["lxc.mount.entry"] = "/data data none bind 0 0"
        started = drill.step("boot")
        assert "lxc: [['lxc.mount.entry'" in started.message
        assert "is not its own" in started.message
        assert not ground.lab.hypervisor.is_running(231)
    assert ground.nothing_left, ground.left_behind


def test_an_archive_damaged_behind_its_configuration_fails_its_row_and_leaves_nothing(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise ArchiveDamaged("tar: Unexpected EOF in archive")

    monkeypatch.setattr(ground.lab.hypervisor, "extract_container_archive", damaged)
    drill = ground.drill(230)
    found = run(drill)
    assert found == {**dict.fromkeys(STEPS, "not run"), "restore": "failed", "teardown": "ok"}
    assert "unable to restore CT 231 - tar: Unexpected EOF in archive" in drill.record.steps["restore"].message
    assert ground.nothing_left, ground.left_behind


def test_an_archive_damaged_from_its_first_bytes_is_refused_before_anything_is_made(ground: Ground) -> None:
    drill = ground.drill(230)
    assert drill.plan.archive
    path = f"/mnt/backup/dump/{drill.plan.archive.filename}"
    ground.lab.hypervisor.node.write(path, b"nothing that zstd would know")
    found = run(drill)
    assert found == {**dict.fromkeys(STEPS, "not run"), "restore": "failed"}
    assert ground.nothing_left, ground.left_behind


def test_a_dead_service_fails_its_row(ground: Ground) -> None:
    with ground.drill(230) as drill:
        drill.step("boot")
        ground.lab.hypervisor.guest(231).image.ports.pop("80")
        found = drill.step("services")
    assert "port 80 does not answer" in found.message


def test_without_ssh_to_the_node_a_container_is_restored_and_not_started(ground: Ground) -> None:
    data = ground.inventory.model_dump(by_alias=True)
    data["nodes"] = {}
    ground.inventory = type(ground.inventory).model_validate(data)
    drill = ground.drill(230)
    found = run(drill)
    assert found == {**dict.fromkeys(STEPS, "not run"), "restore": "ok", "boot": "failed", "teardown": "ok"}
    assert "a container has no agent" in drill.record.steps["boot"].message
    assert ground.nothing_left, ground.left_behind


class Stub:
    """An API that answers one thing."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def get(self, _path: str, **_params: Any) -> Any:
        return self.answer


def shell(answer: Any = None, ran: Ran | None = None) -> ContainerShell:
    class Permissive(Guard):
        def permit_command(self, argv: Any) -> None:
            assert tuple(argv[:4]) == ("pct", "exec", "231", "--")

    guard = Permissive.__new__(Permissive)
    return ContainerShell(Stub(answer), "pve1", 231, lambda _argv: ran or Ran(0, ""), guard)  # type: ignore[arg-type]


def stat(process: str, ticks: int) -> str:
    return f"{process} S 0 1 1 0 -1 4194560 130 762 2 0 0 0 0 0 20 0 1 0 {ticks} 2322432 332 0"


def test_the_age_of_a_containers_boot_is_that_of_its_init() -> None:
    said = f"2fb1c546\n{stat('1 (init)', 1207973)}\n{stat('42 (a b) c)', 1207973 + 279)}\n"
    assert IN_CONTAINER.boot_of(said) == ("2fb1c546/1207973", 2.79)
    with pytest.raises(boot.NotBooted, match="did not tell its boot id"):
        boot.parse_evidence(Ran(1, "", "cat: can't open '/proc/1/stat'"), IN_CONTAINER)


def test_an_init_that_ran_before_power_on_is_no_boot() -> None:
    old = Ran(0, f"2fb1c546\n{stat('1 (init)', 100)}\n{stat('42 (cat)', 100 + 3600 * TICKS)}\n")
    with pytest.raises(boot.NotBooted, match="has been up for 3600 s"):
        boot.wait_until_up(
            shell({"status": "running"}, old), has_agent=True, by_ssh=lambda: None, powered=time.monotonic(),
            timeout=1, tick=lambda _seen: None, dialect=IN_CONTAINER,
        )  # fmt: skip


def test_cards_are_read_in_the_words_of_every_release() -> None:
    lo = {"name": "lo", "hwaddr": "00:00:00:00:00:00", "inet": "127.0.0.1/8"}
    old = {"name": "eth0", "hwaddr": "BC:24:11:00:02:30", "inet": "10.0.0.230/24", "inet6": "fe80::1/64"}
    new = {"name": "eth0", "hardware-address": "bc:24:11:00:02:30",
           "ip-addresses": [{"ip-address": "10.0.0.230", "ip-address-type": "inet", "prefix": 24},
                            {"ip-address": "10.0.0.231", "ip-address-type": "inet", "prefix": 24}]}  # fmt: skip
    mac = "bc:24:11:00:02:30"
    assert shell([lo, old]).interfaces() == {"eth0": {"mac": mac, "addresses": ["10.0.0.230/24", "fe80::1/64"]}}
    assert shell([lo, new]).interfaces() == {"eth0": {"mac": mac, "addresses": ["10.0.0.230/24", "10.0.0.231/24"]}}
    assert shell(None).interfaces() == {}


def test_programs_as_root_are_told_once_and_take_no_input() -> None:
    inside = shell(ran=Ran(3, "out", "err"))
    number = inside.execute(["false"])
    assert inside.status(number) == {"exited": 1, "exitcode": 3, "out-data": "out", "err-data": "err"}
    with pytest.raises(KeyError):
        inside.status(number)
    with pytest.raises(Refused, match="no input"):
        inside.run(["cat"], stdin="secret")


@pytest.mark.parametrize(
    "config",
    [
        {"mp0": "/data,mp=/data"}, {"mp3": "volume=/dev/sdb1,mp=/x"}, {"rootfs": "/tank/230"}, {"dev0": "/dev/kvm"},
        {"mp1": "vmdata:vm-230-disk-1,mp=/x"}, {"mp2": "local:230/vm-230-disk-0.raw,mp=/x"},
        {"rootfs": "zfs:subvol-2310-disk-0"},
        {"mp2": "local:snippets/../vm-231-disk-0,mp=/x:y"}, {"hookscript": "local:snippets/x"},
        {"lxc": [["lxc.idmap", "u 0 100000 65536"]]},
    ],
)  # fmt: skip
def test_isolation_is_not_proven_while_a_container_shares_something_with_its_node(config: dict[str, Any]) -> None:
    class Api:
        def get(self, path: str, **_params: Any) -> Any:
            if path.endswith("/network"):
                return [{"iface": "vmbr9", "type": "bridge", "active": 1}]
            assert path == f"{names.guest_path('lxc', 'pve1', 231)}/config"
            return {"net0": "name=eth0,bridge=vmbr9", "rootfs": "vmdata:vm-231-disk-0", **config}

    with pytest.raises(Refused, match="is not its own") as refused:
        isolation.prove(Api(), None, node="pve1", bridge="vmbr9", vmid=231, reserved=(231,), kind="lxc")
    assert next(iter(config)) in json.dumps(str(refused.value))


@pytest.mark.parametrize(
    "volume",
    ["vmdata:vm-231-disk-0", "local:231/vm-231-disk-0.raw,size=1G", "zfs:subvol-231-disk-0", "volume=x:vm-231-disk-1"],
)
def test_a_volume_of_its_own_is_no_objection_whatever_the_storage(volume: str) -> None:
    assert list(isolation._shared({"mp0": volume, "memory": 512, "net0": "name=eth0"}, 231)) == []
