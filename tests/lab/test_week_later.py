"""A warm start with every clock a week ahead: history, schedule and ages move with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.site import INVENTORY, ROOT, LabUnderTest, run_lab

CLOCK = {
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "DONT_FAKE_MONOTONIC": "1",
    "PYTHONPATH": str(Path(__file__).parent / "clock"),
}
"""Only the time of day is moved, not the clock that waits are measured by."""


def a_week_later(*words: str) -> subprocess.CompletedProcess[str]:
    """One Python command whose clock is a week ahead."""
    return subprocess.run(
        ["faketime", "-f", "+7d", sys.executable, "-m", *words],
        cwd=ROOT,
        env=os.environ | CLOCK,
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_warm_start_a_week_later_is_green(lab: LabUnderTest, tmp_path: Path) -> None:
    if shutil.which("faketime") is None:
        pytest.skip("no faketime on this machine")
    run_lab("down")
    try:
        started = a_week_later("lab", "up")
        assert started.returncode == 0, started.stdout + started.stderr

        done = a_week_later("pytest", "--inventory", INVENTORY, f"--run-dir={tmp_path}")

        assert done.returncode == 12, done.stdout + done.stderr
        assert "rules could not be decided (VER-05);" in done.stdout, "all is well, and nobody read the archives yet"
    finally:
        run_lab("down")
