"""An audit of the lab's own site in memory: over HTTPS and SSH, sound and with its backup disk pulled out."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_standard.collect import deep
from tests import labsite
from tests.memory.plugin.conftest import Project

pytest_plugins = ["pytester"]


def test_the_healthy_lab_is_green(lab_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep._Place, "_deadline", lambda *_: 3600.0)  # whatever hour it is
    result = lab_project.run("--deep")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["COMPLIANT: * of the standard's rules checked on * subjects, all met*", "LAB · * rows*"]
    )
    assert lab_project.rows() == lab_project.judged()
    assert "<b>LAB</b>" in lab_project.last.report.read_text()
    assert Path(lab_project.last.path / "commands.jsonl").exists()


def test_without_the_backup_disk_it_is_red_in_words_an_operator_understands(
    lab_project: Project, lab: labsite.LabSite
) -> None:
    lab.hypervisor.node.unplug_backup()
    try:
        result = lab_project.run()
    finally:
        lab.hypervisor.node.plug_backup()
    assert result.ret == 11, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["FAIL     STO-02  storage backup-hdd on node pve1", "*no disk is mounted at /mnt/backup on pve1*"]
    )
    result.stdout.fnmatch_lines(["NOT COMPLIANT: *STO-02*the platform is degraded until the backup storage is mended"])
