"""What breaks on the site turns the right rules red, in words an operator understands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.lab.site import LabUnderTest, run_lab, run_suite


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """The verdicts of the only run under a folder."""
    file = next(folder.rglob("verdicts.jsonl"))
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]


def test_unplugged_backup_disk_turns_the_storage_rules_red(healthy: LabUnderTest, tmp_path: Path) -> None:
    run_lab("fault", "backup-disk-unplugged")

    done = run_suite(f"--run-dir={tmp_path}")

    assert done.returncode == 11, done.stdout + done.stderr
    failed = {verdict["rule"]: verdict for verdict in outcomes(tmp_path) if verdict["outcome"] == "fail"}
    assert "STO-02" in failed
    assert "no disk is mounted at /mnt/backup on pve1" in failed["STO-02"]["message"]
    assert {rule[:3] for rule in failed} <= {"STO", "VER", "RET"}
    assert "Traceback" not in done.stdout + done.stderr


def test_mended_disk_keeps_its_errors_until_the_next_good_backup(healthy: LabUnderTest, tmp_path: Path) -> None:
    run_lab("fault", "backup-disk-unplugged")
    run_lab("fault", "clear")

    done = run_suite(f"--run-dir={tmp_path}")

    failed = {verdict["rule"] for verdict in outcomes(tmp_path) if verdict["outcome"] == "fail"}
    assert failed == {"STO-07"}, done.stdout
    assert done.returncode == 11


def test_damaged_archive_fails_its_restore_and_leaves_nothing(healthy: LabUnderTest, tmp_path: Path) -> None:
    run_lab("down")  # a fresh site: the rights on a temporary VMID itself last until it is first deleted
    run_lab("up")
    production, volumes = healthy.production(), healthy.volumes()
    run_lab("fault", "corrupt-archive", "210")

    done = run_suite("drills", "-k", "210", f"--run-dir={tmp_path}")

    assert done.returncode == 1, done.stdout + done.stderr
    rows = {verdict["rule"]: verdict["outcome"] for verdict in outcomes(tmp_path)}
    assert (rows["RST-01"], rows["RST-02"], rows["RST-07"]) == ("fail", "not run", "pass")
    assert (healthy.production(), healthy.volumes()) == (production, volumes)

    read = run_suite("--deep-guest", "210", "-k", "newest_archive_is_intact", f"--run-dir={tmp_path / 'deep'}")

    assert read.returncode == 1, read.stdout + read.stderr
    assert "FAIL     VER-05  VM 210 (dns)" in read.stdout
    assert "is damaged: " in read.stdout
