"""The main job on real machines: from the inventory to the evidence, and nothing left behind."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tests.lab.site import HEARTBEAT, PRODUCTION, EvidenceRun, LabUnderTest, run_suite

AUDITED = {"TGT-02", "STO-02", "STO-03", "SCH-01", "RET-01", "CMP-01", "VER-01", "VER-02"}
DRILLED = {"RST-01", "RST-02", "RST-03", "RST-04", "RST-05", "RST-07"}
TEMPORARY = {"101", "201", "211", "221", "231"}


def test_healthy_lab_is_green(evidence_run: EvidenceRun) -> None:
    assert evidence_run.done.returncode == 0, evidence_run.done.stdout + evidence_run.done.stderr


def test_every_rule_has_a_verdict_and_none_is_red(evidence_run: EvidenceRun) -> None:
    verdicts = evidence_run.lines("verdicts.jsonl")
    assert {verdict["rule"] for verdict in verdicts} >= AUDITED | DRILLED
    assert {verdict["outcome"] for verdict in verdicts} <= {"pass", "advisory", "attested", "not applicable"}
    unasked = [verdict["message"] for verdict in verdicts if verdict["outcome"] == "not applicable"]
    assert [text.partition(":")[0] for text in unasked] == ["the inventory declares no database"]
    planned = json.loads((evidence_run.folder / "plan.json").read_text(encoding="utf-8"))
    assert len(verdicts) == len(planned["rows"])


def test_two_workers_restore_each_guest_once(evidence_run: EvidenceRun) -> None:
    assert Counter(evidence_run.restores) == dict.fromkeys(TEMPORARY, 1)


def test_every_drill_logged_in_and_refused_a_wrong_credential(evidence_run: EvidenceRun) -> None:
    drills = evidence_run.lines("drills.jsonl")
    assert {drill["guest"] for drill in drills} == set(PRODUCTION)
    for drill in drills:
        phases = {phase["name"]: phase for phase in drill["phases"]}
        assert phases["login"]["ok"]
        assert "refused" in str(phases["login"]["observed"])
        assert all(phase["seconds"] > 0 for phase in drill["phases"] if phase["name"] in {"restore", "boot"})


def test_nothing_is_left_behind(evidence_run: EvidenceRun, lab: LabUnderTest) -> None:
    assert {guest["vmid"] for guest in lab.get("/cluster/resources", type="vm")} == set(PRODUCTION)
    assert not [name for name in lab.volumes() if name.split("-")[1] in TEMPORARY]
    assert lab.node("ip", "netns", "list").strip() == ""
    assert "vmbr9" not in lab.node("ip", "-o", "link", "show", "type", "veth")
    assert lab.node("ls", "/var/lib/lxc").split() == ["230"]


def test_production_is_exactly_as_before(evidence_run: EvidenceRun) -> None:
    assert evidence_run.before == evidence_run.after


def test_container_was_entered_by_its_node_and_told_a_boot_of_its_own(evidence_run: EvidenceRun) -> None:
    (drill,) = [drill for drill in evidence_run.lines("drills.jsonl") if drill["guest"] == 230]
    boot = next(step for step in drill["steps"] if step["name"] == "boot")
    assert (drill["kind"], boot["observed"]["answered"]) == ("lxc", "pct exec")
    assert boot["observed"]["boot_id"].rpartition("/")[2].isdigit()
    assert drill["screenshot_reason"] == "a container has no screen"
    assert "not yet covered" not in evidence_run.done.stdout


def test_guests_of_an_application_are_restored_beside_each_other_and_find_each_other(evidence_run: EvidenceRun) -> None:
    drills = {drill["guest"]: drill for drill in evidence_run.lines("drills.jsonl")}
    dns, watching = drills[210], drills[220]
    (whole,) = [step for step in watching["steps"] if step["name"] == "group"]
    assert (whole["outcome"], whole["observed"]["group"]) == ("ok", "names")
    assert len(whole["observed"]["checks"]) == 2
    assert set(whole["observed"]["checks"].values()) == {"ok"}
    assert any("db211" in text and "tap221i0" in text for text in watching["isolation"]["proven"]), "one network"
    assert dns["started"] < watching["started"] < dns["finished"]
    (row,) = [row for row in evidence_run.lines("verdicts.jsonl") if "application_group" in row["item"]]
    assert (row["subject"], row["outcome"]) == ("VM 220 (monitoring)", "pass")


def test_the_age_of_the_data_is_measured_by_what_the_guest_wrote_before_its_backup(evidence_run: EvidenceRun) -> None:
    (drill,) = [drill for drill in evidence_run.lines("drills.jsonl") if drill["guest"] == 230]
    (data,) = [step for step in drill["steps"] if step["name"] == "data"]
    assert data["observed"]["data"][f"heartbeat in {HEARTBEAT}"].startswith("last written ")
    assert data["observed"]["data"]["folder /srv/data"] == "holds data that can be read"
    assert 0 < drill["data_age_seconds"] == data["observed"]["measured_rpo_seconds"] < 3600


def test_ports_of_the_node_were_tried_in_the_containers_network(evidence_run: EvidenceRun) -> None:
    (drill,) = [drill for drill in evidence_run.lines("drills.jsonl") if drill["guest"] == 230]
    (network,) = [step for step in drill["steps"] if step["name"] == "network"]
    assert any("port 8006 (tried by its node" in text for text in network["observed"]["unreachable"])
    assert not any("cannot reach" in text for text in drill["not_proven"])


def test_audit_alone_reads_and_takes_the_drills_as_proof(evidence_run: EvidenceRun, lab: LabUnderTest) -> None:
    tasks = {task["upid"] for task in lab.get("/nodes/pve1/tasks", source="all", limit=500)}
    done = run_suite("--deep", "--run-dir", str(evidence_run.base))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reading vzdump-qemu-210-" not in done.stdout, "a passed drill of it is the better proof"
    assert {task["upid"] for task in lab.get("/nodes/pve1/tasks", source="all", limit=500)} == tasks


def test_an_archive_is_read_from_end_to_end_on_the_node(lab: LabUnderTest, tmp_path: Path) -> None:
    processes = lab.node("ps", "-e", "-o", "comm=").count("python3")
    done = run_suite("--deep-guest", "230", "-k", "newest_archive_is_intact", f"--run-dir={tmp_path}")
    assert done.returncode == 12, "the others were not read" + done.stdout + done.stderr
    found = [json.loads(line) for line in next(tmp_path.rglob("verdicts.jsonl")).read_text().splitlines()]
    assert {(row["subject"].split()[1], row["outcome"]) for row in found} == {
        ("100", "unknown"), ("200", "unknown"), ("210", "unknown"), ("220", "unknown"), ("230", "pass"),
    }  # fmt: skip
    archive = next(row["observed"] for row in found if row["outcome"] == "pass")
    name = archive["newest_archive"].removeprefix("archive ")
    assert lab.node("sha256sum", f"/mnt/backup/dump/{name}").split()[0] == archive["sha256"]
    assert lab.node("ps", "-e", "-o", "comm=").count("python3") == processes, "nothing is left running"
