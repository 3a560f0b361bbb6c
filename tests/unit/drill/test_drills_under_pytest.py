"""``pytest drills --inventory FILE`` as an operator runs it, against the site in memory."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backup_standard.drill.claims import standing_under
from tests.unit.drill.conftest import Ground

pytest_plugins = ["pytester"]

PROJECT = Path(__file__).parents[3]
TWO_GUESTS = "100 or 210"


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the drills and the plugin."""
    shutil.copytree(PROJECT / "drills", pytester.path / "drills", ignore=shutil.ignore_patterns("__pycache__"))
    pytester.makeconftest('pytest_plugins = ["backup_standard.plugin"]')
    pytester.makepyprojecttoml("[tool.pytest]\nstrict_markers = true\n")
    return pytester


def run(ground: Ground, project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    file, reports = ground.reports.parents[1] / "lab.yaml", ground.reports.parent
    return project.runpytest_inprocess(
        "drills", "--inventory", str(file), "--run-dir", str(reports), "-p", "no:cacheprovider", *arguments
    )


def runs(ground: Ground) -> list[Path]:
    return sorted(path for path in ground.reports.iterdir() if path.is_dir())


def verdicts(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]


def test_every_guest_is_drilled_in_order_and_the_others_are_listed(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project)
    assert done.ret == 0, done.outlines
    (folder,) = runs(ground)
    rules = [row["rule"] for row in verdicts(folder) if row["subject"] == "VM 210 (dns)"]
    assert rules == ["RST-01", "RST-02", "RST-03", "RST-04", "RST-05", "RST-05", "RST-07"]
    text = done.stdout.str()
    assert "drill  guest 210 (dns) → 211 on pve1 from vzdump-qemu-210-" in text
    assert "not yet covered  guest 230 (files): drills of containers are not there yet" in text
    assert "drill 210→211" in text
    assert len((folder / "drills.jsonl").read_text().splitlines()) == 4
    assert ground.nothing_left, ground.left_behind


def test_a_failed_restore_is_a_failed_row_and_the_rest_reads_not_run(ground: Ground, project: pytest.Pytester) -> None:
    upid = ground.lab.data("POST", "/nodes/pve1/qemu", "root", vmid=211, name="somebody-elses", memory=64)
    ground.lab.site.tasks.wait(upid)
    done = run(ground, project, "-k", "210")
    assert done.ret == 1
    (folder,) = runs(ground)
    found = {(row["rule"], row["outcome"]) for row in verdicts(folder)}
    assert found == {("RST-01", "fail")} | {(f"RST-0{number}", "not run") for number in (2, 3, 4, 5, 7)}
    assert "VMID 211 is taken by 'somebody-elses' on pve1" in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_without_an_inventory_one_sentence_says_how_to_get_one(project: pytest.Pytester) -> None:
    done = project.runpytest_inprocess("drills", "-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "inventories/lab.yaml" in done.stderr.str()


def test_listing_touches_nothing(ground: Ground, project: pytest.Pytester) -> None:
    done = run(ground, project, "--collect-only", "-q")
    assert "test_newest_archive_restores_into_a_temporary_vmid[210]" in done.stdout.str()
    assert not ground.lab.data("GET", "/nodes/pve1/tasks", "root", typefilter="qmrestore", source="all")


def test_an_inventory_without_a_drill_token_ends_with_one_message(ground: Ground, project: pytest.Pytester) -> None:
    file = ground.reports.parents[1] / "lab.yaml"
    kept = [line for line in file.read_text().splitlines() if "drill_token" not in line]
    file.write_text("\n".join(kept))
    done = run(ground, project)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "drill_token" in done.stderr.str()
    assert "Traceback" not in done.stderr.str()


def test_a_site_where_nothing_can_be_drilled_has_one_red_row(ground: Ground, project: pytest.Pytester) -> None:
    file = ground.reports.parents[1] / "lab.yaml"
    text = file.read_text()
    file.write_text(text[: text.index("  100:\n")] + "  230: {role: client-data, name: files}\n")
    done = run(ground, project, "-k", "RST or restores")
    assert "no guest of this site can be drilled" in done.stdout.str()
    assert done.ret != 0


def start(ground: Ground, *arguments: str) -> subprocess.Popen[str]:
    file, reports = ground.reports.parents[1] / "lab.yaml", ground.reports.parent
    command = [
        sys.executable,
        "-m",
        "pytest",
        "drills",
        "--inventory",
        str(file),
        "--run-dir",
        str(reports),
        *arguments,
    ]
    return subprocess.Popen(
        command, cwd=PROJECT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def until_running(ground: Ground, vmid: int) -> None:
    deadline = time.monotonic() + 60
    while not ground.lab.hypervisor.is_running(vmid):
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_two_workers_restore_each_guest_once(ground: Ground) -> None:
    done = start(ground, "-n", "2", "-k", TWO_GUESTS, "-p", "no:cacheprovider")
    text, _ = done.communicate(timeout=120)
    assert done.returncode == 0, text
    tasks = ground.lab.data("GET", "/nodes/pve1/tasks", "root", typefilter="qmrestore", source="all")
    assert sorted(task["id"] for task in tasks) == ["101", "211"]
    assert "drill 100→101" in text
    assert "drill 210→211" in text
    assert ground.nothing_left, ground.left_behind


def test_a_polite_kill_ends_in_order(ground: Ground) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    running = start(ground, "-k", "210", "-p", "no:cacheprovider")
    until_running(ground, 211)
    running.send_signal(signal.SIGTERM)
    text, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, text
    assert ground.nothing_left, (ground.left_behind, text)
    assert standing_under(ground.reports) == ()


def test_after_kill_9_the_next_run_removes_what_was_left(ground: Ground, project: pytest.Pytester) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    running = start(ground, "-k", "210", "-p", "no:cacheprovider")
    until_running(ground, 211)
    running.kill()
    running.communicate(timeout=60)
    assert not ground.nothing_left
    ground.lab.hypervisor.faults.boot_seconds.clear()
    done = run(ground, project, "-k", "210")
    assert done.ret == 0, done.outlines
    assert "gone: VMID 211 on pve1 (copy of guest 210, run " in done.stdout.str()
    assert ground.nothing_left, ground.left_behind


def test_a_killed_worker_is_swept_up_after_by_the_controller(ground: Ground) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    running = start(ground, "-n", "1", "-k", "210", "-p", "no:cacheprovider")
    until_running(ground, 211)
    (claim,) = standing_under(ground.reports)
    assert claim.owner.pid != running.pid
    os.kill(claim.owner.pid, signal.SIGKILL)
    text, _ = running.communicate(timeout=60)
    assert running.returncode not in {0, 10}, text
    assert ground.nothing_left, (ground.left_behind, text)
