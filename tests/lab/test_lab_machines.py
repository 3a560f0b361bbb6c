"""The lab's machines themselves: what runs, what breaks on request, what a crash or Ctrl-C leaves (nothing)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.vm.processes import identity
from lab.waiting import until
from tests.lab.site import ROOT, LabUnderTest, run_lab, state_folder

DUMP = "/mnt/backup/dump"


def run_with(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start the lab's CLI for a lab of its own beside the running one, over the same cache."""
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    line = [sys.executable, "-m", "lab", *words]
    return subprocess.Popen(
        line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def processes_of(folder: Path) -> list[str]:
    """Name the recorded processes of a lab's state folder, and all whose command line names that folder."""
    told = subprocess.run(["ps", "-wweo", "stat=,args="], capture_output=True, text=True, check=True).stdout
    return [
        row for row in told.splitlines() if str(folder) in row and not row.startswith("Z") and "ps -wweo" not in row
    ]


def test_the_node_is_whole(lab: LabUnderTest) -> None:
    assert lab.node("systemctl", "is-system-running").strip() == "running"
    assert lab.node("findmnt", "-no", "FSTYPE", "/mnt/backup").strip() == "ext4"
    assert lab.node("lsblk", "-dno", "SERIAL", "/dev/vdb").strip() == "BACKUP0"
    for unit in ("pvescheduler", "pvedaemon", "pveproxy", "pvestatd", "chrony", "ssh", "cron"):
        assert lab.node("systemctl", "is-active", unit).strip() == "active", unit


def test_the_nodes_clock_is_synchronised_to_this_machine(lab: LabUnderTest) -> None:
    assert abs(float(lab.node("date", "+%s")) - time.time()) < 5
    assert lab.node("timedatectl", "show", "--value", "-p", "NTPSynchronized").strip() == "yes"


def test_a_clock_a_week_off_is_brought_back(lab: LabUnderTest) -> None:
    lab.node("date", "-s", f"@{time.time() - 7 * 86400:.0f}")
    until(lambda: abs(float(lab.node("date", "+%s")) - time.time()) < 5, timeout=60, what="the node's right clock")


def test_guests_serve_their_roles_on_the_lan(lab: LabUnderTest) -> None:
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
    assert "lab web is up" in lab.node("python3", "-c", fetch, "http://10.0.0.200:8080/")
    assert "node_exporter_build_info" in lab.node("python3", "-c", fetch, "http://10.0.0.220:9100/metrics")
    assert "Example Bakery" in lab.node("python3", "-c", fetch, "http://10.0.0.230/customers.csv")
    lab.node("python3", "-c", "import socket; socket.create_connection(('10.0.0.210', 53), 5)")


def test_two_weeks_of_nights_are_names_of_one_archive(lab: LabUnderTest) -> None:
    rows = lab.node("stat", "-c", "%h %i", *(f"{DUMP}/{name}" for name in archives(lab, 210))).split("\n")
    assert set(filter(None, rows)) == {rows[0]}
    assert rows[0].startswith("14 ")


def archives(lab: LabUnderTest, vmid: int) -> list[str]:
    """Name a guest's archives, oldest first."""
    return sorted(name for name in lab.node("ls", DUMP).split() if f"-{vmid}-" in name and name.endswith(".vma.zst"))


def test_the_journal_has_the_nights(lab: LabUnderTest) -> None:
    rows = lab.node(
        "journalctl", "-q", "-o", "json", "--output-fields=MESSAGE", "SYSLOG_IDENTIFIER=pvescheduler"
    ).splitlines()
    nights = {int(json.loads(row)["__REALTIME_TIMESTAMP"]) // 86_400_000_000 for row in rows}
    assert len(nights) >= 14


def test_a_second_start_is_refused(lab: LabUnderTest) -> None:
    done = run_lab("up", check=False)
    assert done.returncode == 1
    assert "up already" in done.stderr


def test_pulling_the_backup_disk_leaves_a_plain_directory(healthy: LabUnderTest) -> None:
    run_lab("fault", "backup-disk-unplugged")
    assert "BACKUP0" not in healthy.node("lsblk", "-dno", "SERIAL")
    healthy.node("touch", "/mnt/backup/trap")
    assert healthy.node("findmnt", "-no", "TARGET", "-T", "/mnt/backup").strip() == "/"
    run_lab("fault", "clear")
    assert healthy.node("findmnt", "-no", "FSTYPE", "/mnt/backup").strip() == "ext4"
    assert len(archives(healthy, 210)) == 14


@pytest.mark.parametrize(
    ("fault", "text"), [("backup-disk-full", "No space left"), ("backup-disk-readonly", "Read-only file system")]
)
def test_the_backup_disk_refuses_writes(healthy: LabUnderTest, fault: str, text: str) -> None:
    run_lab("fault", fault)
    tried = run_lab("ssh", "dd if=/dev/zero of=/mnt/backup/probe bs=64k count=64; rm -f /mnt/backup/probe", check=False)
    assert text in tried.stderr
    run_lab("fault", "clear")
    assert run_lab("ssh", "touch /mnt/backup/probe && rm /mnt/backup/probe", check=False).returncode == 0


def test_a_damaged_archive_is_damaged_alone_and_mended(healthy: LabUnderTest) -> None:
    older, newest = archives(healthy, 220)[-2:]
    run_lab("fault", "corrupt-archive", "220")
    check = ["zstd", "-tq"]
    assert run_lab("ssh", "--", *check, f"{DUMP}/{newest}", check=False).returncode != 0
    assert run_lab("ssh", "--", *check, f"{DUMP}/{older}", check=False).returncode == 0
    run_lab("fault", "clear")
    assert run_lab("ssh", "--", *check, f"{DUMP}/{newest}", check=False).returncode == 0


def test_a_silent_agent_is_silent_until_cleared(healthy: LabUnderTest) -> None:
    run_lab("fault", "dead-agent", "220")
    ping = "/nodes/pve1/qemu/220/agent/get-osinfo"
    with pytest.raises(Exception, match=r"500|agent"):
        healthy.get_as_root(ping)
    run_lab("fault", "clear")
    assert healthy.get_as_root(ping)["result"]["id"] in {"debian", "ubuntu"}


def test_a_stopped_service_is_stopped(healthy: LabUnderTest) -> None:
    probe = "python3 -c \"import socket; socket.create_connection(('10.0.0.220', 9100), 3)\""
    run_lab("fault", "service-stopped", "220")
    until(lambda: run_lab("ssh", probe, check=False).returncode != 0, timeout=30, what="the end of the exporter")
    run_lab("fault", "clear")
    until(lambda: run_lab("ssh", probe, check=False).returncode == 0, timeout=30, what="the exporter")


def test_a_wrong_password_replaces_the_right_one(healthy: LabUnderTest) -> None:
    path = state_folder() / "drill-password"
    right = path.read_text()
    run_lab("fault", "wrong-password")
    assert path.read_text() != right
    assert path.stat().st_mode & 0o077 == 0
    run_lab("fault", "clear")
    assert path.read_text() == right


def start(folder: Path, seconds: Callable[[Path], bool]) -> subprocess.Popen[str]:
    """Start a second lab and return while it is still coming up."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the background job of a shell would ignore
    process = run_with(folder, "up", "--api-port", "18106", "--ssh-port", "12322")
    until(lambda: seconds(folder) or process.poll() is not None, timeout=120, what="the middle of a start")
    assert process.poll() is None, process.communicate()[0]
    return process


def node_runs(folder: Path) -> bool:
    """Tell whether a starting lab's node runs already."""
    return any("lab-node" in row for row in processes_of(folder))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_start_broken_off_leaves_no_process(lab: LabUnderTest, tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, node_runs)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert processes_of(tmp_path) == []


def test_a_crash_of_the_service_leaves_no_machine_and_the_next_start_works(lab: LabUnderTest, tmp_path: Path) -> None:
    process = start(tmp_path, node_runs)
    record = json.loads((tmp_path / "backup-standard-lab/processes/service.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "could not be brought up" in said
    assert processes_of(tmp_path) == []
    again = run_with(tmp_path, "up", "--api-port", "18106", "--ssh-port", "12322")
    said, _ = again.communicate(timeout=240)
    assert again.returncode == 0, said
    down = run_with(tmp_path, "down")
    assert "the lab is down" in down.communicate(timeout=60)[0]
    assert processes_of(tmp_path) == []


def test_down_spares_a_process_that_took_a_recorded_number(lab: LabUnderTest, tmp_path: Path) -> None:
    folder = tmp_path / "backup-standard-lab/processes"
    folder.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        who = until(lambda: identity(bystander.pid), what="the bystander")
        assert who is not None
        record = {"pid": who.pid, "started": who.started - 100, "command": ["qemu-system-x86_64"]}
        (folder / "guest-210.json").write_text(json.dumps(record))
        run_with(tmp_path, "down").communicate(timeout=60)
        assert bystander.poll() is None
        bystander.kill()
