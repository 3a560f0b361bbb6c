"""The ground that drills are tested on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backup_standard.drill import boot, teardown
from backup_standard.drill.claims import Owner
from backup_standard.drill.steps import access, data, networking, serving
from tests.drillground import Ground, facts, ground

__all__ = ["facts", "ground"]

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with the drills and the plugin."""
    shutil.copytree(PROJECT / "drills", pytester.path / "drills", ignore=shutil.ignore_patterns("__pycache__"))
    pytester.makeconftest('pytest_plugins = ["backup_standard.plugin"]')
    pytester.makepyprojecttoml("[tool.pytest]\nstrict_markers = true\n")
    return pytester


def run(ground: Ground, project: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the drills as an operator does."""
    file, reports = ground.reports.parents[1] / "lab.yaml", ground.reports.parent
    return project.runpytest_inprocess(
        "drills", "--inventory", str(file), "--run-dir", str(reports), "-p", "no:cacheprovider", *arguments
    )


@pytest.fixture
def dead_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims of a process that has ended."""
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    owner = Owner.this_process()
    monkeypatch.setattr(Owner, "this_process", classmethod(lambda _cls: Owner(owner.host, int(child.stdout), 1)))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes is waited for a moment only."""
    monkeypatch.setattr(serving, "SERVICES_TIMEOUT", 0.3)
    monkeypatch.setattr(data, "DATA_TIMEOUT", 0.3)
    monkeypatch.setattr(networking, "NETWORK_TIMEOUT", 0.3)
    monkeypatch.setattr(access, "LOGIN_TIMEOUT", 0.5)
    monkeypatch.setattr(teardown, "LOCK_PATIENCE", 0.3)
    monkeypatch.setattr(boot, "SSH_FROM", 0.2)
    monkeypatch.setattr(boot, "SSH_EVERY", 0.1)
    monkeypatch.setattr(boot, "AGENT_GRACE", 0.2)
