"""Drills as processes that are killed in every way, and as several workers, against the site in memory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backup_standard.drill.claims import standing_under
from tests.drillground import Ground, facts, ground

__all__ = ["facts", "ground"]

PROJECT = Path(__file__).parents[2]


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


@pytest.mark.parametrize(
    ("workers", "guests"), [("1", [100, 210]), ("2", [100, 210]), ("4", [100, 200, 210, 220, 230])]
)
def test_however_many_workers_each_guest_is_restored_once(ground: Ground, workers: str, guests: list[int]) -> None:
    done = start(ground, "-n", workers, "-k", " or ".join(map(str, guests)), "-p", "no:cacheprovider")
    text, _ = done.communicate(timeout=300)
    assert done.returncode == 0, text
    tasks = ground.lab.data("GET", "/nodes/pve1/tasks", "root", source="all", limit=500)
    restored = sorted(int(task["id"]) for task in tasks if task["type"] in {"qmrestore", "vzrestore"})
    assert restored == [guest + 1 for guest in guests]
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


def test_after_kill_9_the_next_run_removes_what_was_left(ground: Ground) -> None:
    ground.lab.hypervisor.faults.boot_seconds[211] = 3600.0
    running = start(ground, "-k", "210", "-p", "no:cacheprovider")
    until_running(ground, 211)
    running.kill()
    running.communicate(timeout=60)
    assert not ground.nothing_left
    ground.lab.hypervisor.faults.boot_seconds.clear()
    done = start(ground, "-k", "210", "-p", "no:cacheprovider")
    text, _ = done.communicate(timeout=120)
    assert done.returncode == 0, text
    assert "gone: VMID 211 on pve1 (copy of guest 210, run " in text
    assert re.search(r"an earlier run has not ended, and proves nothing: \S+-drill: \d of \d planned rows", text)
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
