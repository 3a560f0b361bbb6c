"""Whole drills against the site in memory, over HTTPS and SSH: what passes, and what makes exactly one row fail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backup_standard.drill import boot, teardown
from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.drill.progress import Event
from backup_standard.drill.steps import access, data, networking, serving
from backup_standard.errors import ApiError, ConnectionFailed, NotRun
from lab.scripted.guest import ScriptedGuest
from tests.drillground import Ground

EVERY_STEP = (*STEPS, TEARDOWN)


def outcomes(drill: Drill) -> dict[str, str]:
    """Ask for every row as the rules do; "not run" and "error" are what the plugin makes of the exceptions."""
    found = {}
    for name in EVERY_STEP:
        try:
            found[name] = str(drill.step(name).outcome)
        except NotRun:
            found[name] = "not run"
        except ConnectionFailed:
            found[name] = "error"
    return found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SERVICES_TIMEOUT", 0.3)
    monkeypatch.setattr(data, "DATA_TIMEOUT", 0.3)
    monkeypatch.setattr(networking, "NETWORK_TIMEOUT", 0.3)
    monkeypatch.setattr(access, "LOGIN_TIMEOUT", 0.5)
    monkeypatch.setattr(teardown, "LOCK_PATIENCE", 0.3)
    monkeypatch.setattr(boot, "SSH_FROM", 0.2)
    monkeypatch.setattr(boot, "SSH_EVERY", 0.1)
    monkeypatch.setattr(boot, "AGENT_GRACE", 0.2)


@pytest.mark.parametrize("vmid", [100, 200, 210, 220, 230])
def test_a_whole_drill_passes_quickly_and_leaves_nothing(ground: Ground, vmid: int) -> None:
    before = time.monotonic()
    with ground.drill(vmid) as drill:
        assert outcomes(drill) == dict.fromkeys(EVERY_STEP, "ok")
    assert time.monotonic() - before < 5
    assert ground.nothing_left, ground.left_behind


def test_the_record_tells_everything(ground: Ground) -> None:
    with ground.drill(210) as drill:
        outcomes(drill)
    (line,) = (drill.tools.folder / "drills.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["outcome"] == "passed"
    assert record["class"] == "lab"
    assert record["bytes"] == 1 << 30
    assert record["production_before"] == record["production_after"]
    assert record["production_before"]["210"]["status"] == "running"
    assert [phase["name"] for phase in record["phases"]] == [
        "restore", "boot", "agent", "login", "network", "services", "data", "screen", "teardown",
    ]  # fmt: skip
    assert all(phase["ok"] for phase in record["phases"])
    assert record["isolation"]["checked_on_node"]
    assert any(text.startswith("net0: ") for text in record["neutralised"])
    assert record["recovery_seconds"] > 0
    assert (drill.tools.folder / record["screenshot"]).read_bytes().startswith(b"\x89PNG")
    assert record["not_proven"] == []


def test_no_secret_reaches_the_run_folder(ground: Ground) -> None:
    with ground.drill(210) as drill:
        outcomes(drill)
    text = "".join(path.read_text(errors="replace") for path in drill.tools.folder.rglob("*") if path.is_file())
    for secret in (ground.lab.secrets.drill_token, (ground.lab.folder / "id_ed25519").read_text().splitlines()[1]):
        assert secret not in text


def test_while_it_runs_the_copy_is_alone_with_its_gateway(ground: Ground) -> None:
    with ground.drill(210) as drill:
        drill.step("boot")
        network = ground.lab.hypervisor.node.host.network
        assert {name for name, link in network.links("").items() if link.master == "db211"} == {"dg211", "tap211i0"}
        config = ground.lab.site.guest(211).config
        assert config["onboot"] in {0, "0"}
        assert "bridge=vmbr9" in str(config["net0"])
        assert "BC:24:11:00:02:10" in str(config["net0"])
        assert network.find("drill211", "10.0.0.210") is not None
        assert network.find("", "10.0.0.210").guest is ground.lab.hypervisor.guest(210)


def test_two_copies_with_one_gateway_address_do_not_meet(ground: Ground) -> None:
    with ground.drill(100) as one, ground.drill(210) as other:
        assert one.step("network").ok
        assert other.step("network").ok
        assert one.step("services").ok
    assert ground.nothing_left, ground.left_behind


Spoil = Callable[[Ground, pytest.MonkeyPatch], None]


def on_phase(ground: Ground, phase: str, do: Callable[[], object]) -> None:
    """Do something when the drill says that a phase begins."""

    class Acting(list[Event]):
        def append(self, event: Event) -> None:
            if event.phase == phase and not any(old.phase == phase for old in self):
                do()
            super().append(event)

    ground.events = Acting()


def corrupt_archive(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    files = ground.lab.hypervisor.node.files
    newest = max(name for name in (f.name for f in ground.lab.hypervisor.node.listdir("/mnt/backup/dump"))
                 if name.startswith("vzdump-qemu-210") and name.endswith(".zst"))  # fmt: skip
    path = f"/mnt/backup/dump/{newest}"
    data = ground.lab.hypervisor.node.read(path)
    files.write(path, data[:-20])


def take_the_vmid(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64)
    ground.lab.site.tasks.wait(upid)


def bridge_with_an_address(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.node.host.network.link("", "vmbr9").addresses.append("10.0.0.9/24")


def foreign_port_on_the_bridge(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    network = ground.lab.hypervisor.node.host.network
    network.add("", "eno7", "ether").master = "vmbr9"


def never_boots(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    ground.inventory = ground.changed(vmid=210, boot_timeout="1s")


def stops_while_booting(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    on_phase(ground, "agent", lambda: ground.lab.data("POST", "/nodes/pve1/qemu/211/status/stop", "root"))


def nobody_gets_in(ground: Ground, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ScriptedGuest, "may_log_in", lambda *_args, **_kwargs: False)


def anybody_gets_in(ground: Ground, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ScriptedGuest, "may_log_in", lambda *_args, **_kwargs: True)


def another_interface(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.inventory = ground.changed(vmid=210, interface="ens18")


def production_is_reachable(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    def open_up() -> None:
        ground.lab.hypervisor.guest(211).host.dial = lambda _context, _address, _port: None

    on_phase(ground, "network", open_up)


def a_service_is_down(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.lab.hypervisor.faults.stopped_services[211] = {"dnsmasq.service"}


def missing_canary(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    ground.inventory = ground.changed(vmid=210, data=[{"file": "/srv/orders.csv", "contains": "order"}])


def slower_than_the_rto(ground: Ground, _patch: pytest.MonkeyPatch) -> None:
    data = ground.inventory.model_dump(by_alias=True)
    data["guests"][210]["rto"] = "0.01s"
    ground.inventory = type(ground.inventory).model_validate(data)


FAULTS: list[tuple[Spoil, str, str]] = [
    (corrupt_archive, "restore", "ended with"),
    (take_the_vmid, "restore", "VMID 211 is taken"),
    (bridge_with_an_address, "boot", "vmbr9 has the address 10.0.0.9/24"),
    (foreign_port_on_the_bridge, "boot", "eno7, which is no temporary guest's"),
    (never_boots, "boot", "not within 1 s"),
    (stops_while_booting, "boot", "the guest is stopped"),
    (nobody_gets_in, "login", "the login as drill was refused"),
    (anybody_gets_in, "login", "anybody can log in"),
    (another_interface, "network", "is on eth0, not on ens18"),
    (production_is_reachable, "network", "production answers the restored guest: node 10.0.0.1 port 8006"),
    (a_service_is_down, "services", "unit dnsmasq is inactive"),
    (slower_than_the_rto, "services", "the RTO is"),
    (missing_canary, "data", "/srv/orders.csv cannot be read"),
]


@pytest.mark.parametrize(("spoil", "fails", "saying"), FAULTS, ids=[spoil.__name__ for spoil, *_ in FAULTS])
def test_a_fault_fails_its_row_and_the_later_ones_do_not_run(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, fails: str, saying: str
) -> None:
    spoil(ground, monkeypatch)
    foreign = set(ground.left_behind["guests"])
    with ground.drill(210) as drill:
        found = outcomes(drill)
    place = EVERY_STEP.index(fails)
    made = drill.tools.claims.path.exists()
    expected = {
        name: "ok" if number < place else "failed" if number == place else "not run"
        for number, name in enumerate(EVERY_STEP)
    } | {TEARDOWN: "ok" if made else "not run"}
    assert found == expected, drill.record.steps
    assert saying in drill.record.steps[fails].message
    assert set(ground.left_behind.pop("guests", [])) == foreign
    assert not drill.tools.claims.standing()
    network = ground.lab.hypervisor.node.host.network
    assert [name for name in network.namespaces if name] == []
    assert not any(name.startswith(("dg", "db")) for name in network.links(""))
    assert drill.record.outcome == "failed"


def test_the_rows_of_another_guest_are_not_touched_by_a_fault(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt_archive(ground, monkeypatch)
    with ground.drill(210) as broken, ground.drill(100) as fine:
        assert outcomes(broken)["restore"] == "failed"
        assert set(outcomes(fine).values()) == {"ok"}


def test_a_stub_of_a_failed_restore_is_deleted(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    corrupt_archive(ground, monkeypatch)
    with ground.drill(210) as drill:
        assert not drill.step("restore").ok
        assert 211 in ground.lab.site.guests, "the real thing leaves a stub, so must the lab"
    assert 211 not in ground.lab.site.guests


def test_a_dead_agent_is_told_and_ssh_proves_the_boot(ground: Ground) -> None:
    ground.lab.hypervisor.faults.dead_agents.add(211)
    with ground.drill(210) as drill:
        found = outcomes(drill)
    assert found == dict.fromkeys(EVERY_STEP, "ok"), drill.record.steps
    assert drill.record.steps["boot"].observed["answered"] == "ssh"
    assert any("agent" in text for text in drill.record.not_proven)


def test_a_teardown_that_is_refused_fails_its_row_and_keeps_the_claim(ground: Ground) -> None:
    def lock() -> None:
        ground.lab.site.guest(211).config["lock"] = "backup"

    on_phase(ground, "teardown", lock)
    with ground.drill(210) as drill:
        found = outcomes(drill)
    assert found == dict.fromkeys(STEPS, "ok") | {TEARDOWN: "failed"}
    assert "qm unlock 211" in drill.record.steps[TEARDOWN].message
    assert [claim.vmid for claim in drill.tools.claims.standing()] == [211]
    assert drill.remains


def test_production_that_changed_meanwhile_is_named(ground: Ground) -> None:
    on_phase(ground, "services", lambda: ground.lab.site.guest(200).config.update(memory="1024"))
    with ground.drill(210) as drill:
        found = outcomes(drill)
    assert found[TEARDOWN] == "failed"
    assert "guest 200 was" in drill.record.steps[TEARDOWN].message
    assert ground.nothing_left


def test_asking_twice_runs_once(ground: Ground) -> None:
    with ground.drill(210) as drill:
        assert drill.step("restore") is drill.step("restore")
    tasks = ground.lab.data("GET", "/nodes/pve1/tasks", "root", typefilter="qmrestore", source="all")
    assert len(tasks) == 1


def test_rows_that_nobody_asked_for_are_not_run_and_the_guest_is_gone_all_the_same(ground: Ground) -> None:
    with ground.drill(210) as drill:
        drill.step("restore")
    assert drill.record.steps["login"].message == "it was not asked for"
    assert drill.record.outcome == "failed"
    assert ground.nothing_left, ground.left_behind


def test_a_step_after_the_teardown_does_not_restore_again(ground: Ground) -> None:
    with ground.drill(210) as drill:
        drill.step("restore")
        drill.step(TEARDOWN)
        with pytest.raises(NotRun, match="gone already"):
            drill.step("boot")


def test_an_interrupt_tears_down(ground: Ground) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    on_phase(ground, "network", interrupt)
    with pytest.raises(KeyboardInterrupt), ground.drill(210) as drill:
        outcomes(drill)
    assert drill.record.steps["network"].message.startswith("interrupted")
    assert ground.nothing_left, ground.left_behind
    assert (drill.tools.folder / "drills.jsonl").exists()


def test_a_lost_api_is_an_error_not_a_finding(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    with ground.drill(210) as drill:
        real = drill.tools.api.get

        def lost(path: str, /, **params: object) -> object:
            if path.endswith("/network"):
                raise ConnectionFailed("the API is gone")
            return real(path, **params)

        drill.step("login")
        monkeypatch.setattr(drill.tools.api, "get", lost)
        with pytest.raises(ConnectionFailed, match="the API is gone"):
            drill.step("network")
    assert ground.nothing_left, ground.left_behind


def test_a_template_that_stays_one_is_cloned_and_the_clone_boots(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ground.drill(100) as drill:
        write = drill.tools.api.write

        def without(method: str, path: str, params: dict[str, object] | None = None) -> object:
            kept = {key: value for key, value in (params or {}).items() if key != "template"}
            return write(method, path, kept)

        monkeypatch.setattr(drill.tools.api, "write", without)
        found = outcomes(drill)
        assert drill.course.vmid == 9000
    assert found == dict.fromkeys(EVERY_STEP, "ok"), drill.record.steps
    assert drill.record.steps["restore"].observed["cloned_from"] == 101
    assert ground.nothing_left, ground.left_behind


def test_where_a_restore_refuses_template_0_the_same_restore_goes_without_it(ground: Ground) -> None:
    with ground.drill(100) as drill:
        write, asked = drill.tools.api.write, []

        def refusing(method: str, path: str, params: dict[str, object] | None = None) -> object:
            if "template" in (params or {}):
                asked.append(path)
                raise ApiError("Parameter verification failed.", status=400, parameters={"template": "no override"})
            return write(method, path, params)

        drill.tools.api.write = refusing  # type: ignore[method-assign, assignment]
        assert drill.step("restore").observed["cloned_from"] == 101
        assert asked == ["/nodes/pve1/qemu"]
    assert ground.nothing_left, ground.left_behind


def test_a_guest_that_cannot_be_made_harmless_is_refused_before_anything_is_made(ground: Ground) -> None:
    with ground.drill(210) as drill:
        real = drill.tools.api.get

        def with_passthrough(path: str, /, **params: object) -> object:
            answer = real(path, **params)
            return f"{answer}hostpci0: 0000:01:00.0\n" if path.endswith("extractconfig") else answer

        drill.tools.api.get = with_passthrough  # type: ignore[method-assign]
        restore = drill.step("restore")
    assert "cannot be made harmless: hostpci0" in restore.message
    assert not drill.tools.claims.path.exists()
    assert ground.nothing_left


def test_a_guest_without_declared_login_or_services_fails_those_rows(ground: Ground) -> None:
    ground.inventory = ground.changed(vmid=210, login=None)
    with ground.drill(210) as drill:
        assert "guests.210.drill.login" in drill.step("login").message
    ground.inventory = ground.changed(
        vmid=210, services=[], login={"user": "drill", "key": str(ground.lab.folder / "id_ed25519")}
    )
    with ground.drill(210, run="run-2") as drill:
        assert drill.step("network").ok, "the host key is read through the agent"
        assert "declares no services" in drill.step("services").message
    ground.inventory = ground.changed(vmid=210, services="none", services_reason="a plain file store")
    with ground.drill(210, run="run-3") as drill:
        assert drill.step("services").observed["services"] == "none, because a plain file store"
    assert ground.nothing_left, ground.left_behind


def test_a_closed_terminal_does_not_stop_a_drill(ground: Ground) -> None:
    def broken() -> None:
        raise BrokenPipeError

    on_phase(ground, "restore", broken)
    with ground.drill(210) as drill:
        assert drill.step("restore").ok
    assert ground.nothing_left


def test_without_ssh_to_the_node_the_record_says_what_was_not_proven(ground: Ground) -> None:
    data = ground.inventory.model_dump(by_alias=True)
    data["nodes"] = {}
    ground.inventory = type(ground.inventory).model_validate(data)
    with ground.drill(210) as drill:
        found = outcomes(drill)
    assert found == {"restore": "ok", "boot": "ok", "login": "failed", "network": "not run", "services": "not run",
                     "data": "not run", TEARDOWN: "ok"}  # fmt: skip
    assert "without a drill gateway" in drill.record.steps["login"].message
    assert any("no SSH to the node" in text for text in drill.record.not_proven)
    assert not drill.record.isolation["checked_on_node"]


def test_screens_are_in_the_artefacts(ground: Ground) -> None:
    with ground.drill(210) as drill:
        drill.step("boot")
    assert drill.record.screenshot == "artefacts/screen-210.png"
    assert (Path(drill.tools.folder) / "artefacts" / "screen-210.png").stat().st_size > 100
