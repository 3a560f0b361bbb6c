"""The embedded lab for its tests: brought up once, by the command that users type, and taken down again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.campaign import table
from tests.lab.site import (
    HEARTBEAT,
    ROOT,
    EvidenceRun,
    LabUnderTest,
    run_lab,
    run_suite,
    written_with_group_and_heartbeat,
)
from tests.violations import score

pytestmark = pytest.mark.lab


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the table of seeded violations goes (an audit's report takes it in by --detection); the whole campaign."""
    parser.addoption("--keep-detection", metavar="FILE", help="keep the table of seeded violations")
    parser.addoption(
        "--whole-campaign",
        action="store_true",
        help="strike with each fault at every moment of a drill that it fits, not at a share of them",
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of seeded violations and of healthy variants (detects N of N), and the fault campaign's."""
    reports = [report for key in ("passed", "failed") for report in terminalreporter.stats.get(key, ())]
    for row in table.lines(reports):
        terminalreporter.write_line(row)
    lines = score.lines_in(reports)
    if not lines:
        return
    terminalreporter.section("seeded violations")
    for row in score.said(lines):
        terminalreporter.write_line(row)
    if config.getoption("--keep-detection"):
        score.write(lines, Path(config.getoption("--keep-detection")), config.rootpath)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything under this folder needs the lab, whether or not it says so."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def lab() -> Iterator[LabUnderTest]:
    """A running lab in its healthy state."""
    if run_lab("status", check=False).returncode == 0:
        pytest.exit("a lab is running already; these tests break things in it: stop it with python -m lab down", 4)
    subprocess.run([sys.executable, "-m", "lab", "up"], cwd=ROOT, check=True)  # its progress belongs on the terminal
    try:
        yield LabUnderTest()
    finally:
        run_lab("down")


@pytest.fixture
def healthy(lab: LabUnderTest) -> Iterator[LabUnderTest]:
    """The lab for a test that breaks something: whatever was broken is undone afterwards."""
    yield lab
    run_lab("fault", "clear")


@pytest.fixture(scope="session")
def evidence_run(lab: LabUnderTest, tmp_path_factory: pytest.TempPathFactory) -> EvidenceRun:
    """One complete run of the main job, as the demo does it: every audit rule and every drill, on two workers.

    Beyond the demo's inventory, two guests are one application, and a container writes a heartbeat before its backup.
    """
    folder = tmp_path_factory.mktemp("evidence")
    inventory = written_with_group_and_heartbeat(tmp_path_factory.mktemp("inventory"))
    lab.node("pct", "exec", "230", "--", "sh", "-c", f"date +%s >> {HEARTBEAT}")
    lab.back_up(230)
    before, restored = lab.production(), len(lab.restores())
    done = run_suite("tests_infra", "drills", "--deep", "-n", "2", "--run-dir", str(folder), inventory=inventory)
    kept = os.environ.get("KEEP_EVIDENCE")
    if kept:
        subprocess.run(["cp", "-a", f"{folder}/.", kept], check=True)
    return EvidenceRun(done, folder, before, lab.production(), lab.restores()[: len(lab.restores()) - restored])
