"""Whole drills against the site in memory, over HTTPS and SSH: what passes, and what makes exactly one row fail."""

from __future__ import annotations

import json
import time

import pytest

from backup_standard.drill.engine import STEPS, TEARDOWN
from backup_standard.errors import ConnectionFailed, NotRun
from tests.drillground import Ground
from tests.memory.drill.faults import EVERY_STEP, FAULTS, Spoil, corrupt_archive, on_phase, outcomes

pytestmark = pytest.mark.usefixtures("impatient")


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
