"""Each fault of a restore turns exactly its own row red on real virtual machines, and no other guest's.

Guests with different faults are drilled in the same run, beside a healthy one: that is the proof that none of them
touches another.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.lab.site import INVENTORY, ROOT, LabUnderTest, run_lab, run_suite

ROWS = ("RST-01", "RST-02", "RST-03", "RST-04", "RST-05", "RST-06", "RST-07")
INSIDE = {
    100: ("canary-missing", "RST-06", "/etc/hostname cannot be read"),
    200: ("any-password", "RST-03", "a wrong password was accepted for drill: anybody can log in"),
    210: ("service-stopped", "RST-05", "dnsmasq"),
    220: ("bootloader-broken", "RST-02", r"guest 221 answers \(agent or SSH\)"),
}
"""What is wrong inside the copies: the fault, the row that it fails, and what the row says (a pattern)."""
AROUND = {
    100: ("disk-busy", "RST-07", "vm-101-disk-0"),
    210: ("stolen-address", "RST-04", "port stolen211 is on db211"),
    220: ("production-reachable", "RST-04", r"production answers the restored guest: |port leak221 is on db221"),
}
"""What goes wrong around the copies."""
HEALTHY = 230
LEFTOVERS = 10
"""Exit status of a run whose drill left something behind."""

CHANGES = {
    "address: 10.0.0.220/24\n": "address: 10.0.0.220/24\n      boot_timeout: 20s\n",
    "address: 10.0.0.210/24\n": "address: 10.0.0.210/24\n      services_timeout: 20s\n",
    '{<<: *lab-login, host_key: "file:$XDG_STATE_HOME/backup-standard-lab/guest-210.hostkey.pub"}': (
        "{user: drill, throwaway_key: true}"
    ),
}

Rows = dict[int, dict[str, list[tuple[str, str]]]]


def verdicts(folder: Path) -> Rows:
    """Outcome and message of every row of a run, by guest and rule (modules of one's own are RST-05 as well)."""
    found: Rows = {}
    file = next(folder.rglob("verdicts.jsonl"))
    for line in file.read_text(encoding="utf-8").splitlines():
        verdict = json.loads(line)
        guest = int(verdict["subject"].split()[1])  # "VM 210 (dns)"
        found.setdefault(guest, {}).setdefault(verdict["rule"], []).append((verdict["outcome"], verdict["message"]))
    return found


def written(folder: Path) -> str:
    """The lab's inventory: what never comes is waited for a moment only, and one login brings a key of its own."""
    text = (ROOT / INVENTORY).read_text(encoding="utf-8")
    for old, new in CHANGES.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "lab.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def drilled(
    faults: Mapping[int, tuple[str, str, str]], folder: Path, inventory: str = INVENTORY
) -> subprocess.CompletedProcess[str]:
    """Cause the faults and drill their guests and the healthy one, in one run on two workers."""
    for vmid, (name, *_) in faults.items():
        run_lab("fault", name, str(vmid))
    chosen = " or ".join(map(str, (*faults, HEALTHY)))
    return run_suite("drills", "-k", chosen, "-n", "2", f"--run-dir={folder}", inventory=inventory)


def require_exactly(faults: Mapping[int, tuple[str, str, str]], found: Rows) -> None:
    """The fault's row failed and says why, later ones are not run, the teardown passed; the healthy guest passed."""
    assert set(found) == {*faults, HEALTHY}
    for vmid, rows in found.items():
        assert tuple(sorted(rows)) == ROWS, f"guest {vmid}"
        _name, fails, saying = faults.get(vmid, ("", "", ""))
        for rule, seen in rows.items():
            expected = "fail" if rule == fails else "not run" if fails and fails < rule < "RST-07" else "pass"
            assert expected in {outcome for outcome, _message in seen}, f"{rule} of guest {vmid}: {seen}"
            if expected != "fail":
                judged = {outcome for outcome, _message in seen} - {"not applicable"}
                assert judged == {expected}, f"{rule} of guest {vmid}: {seen}"
        if fails:
            assert any(outcome == "fail" and re.search(saying, text) for outcome, text in rows[fails]), rows[fails]


@pytest.fixture
def site(healthy: LabUnderTest) -> Iterator[LabUnderTest]:
    """The lab, of which every drill must leave guests and volumes as they were."""
    before = healthy.production(), healthy.volumes()
    yield healthy
    assert (healthy.production(), healthy.volumes()) == before


def test_what_is_wrong_inside_a_copy_fails_its_own_row_and_no_other_guest(site: LabUnderTest, tmp_path: Path) -> None:
    done = drilled(INSIDE, tmp_path, written(tmp_path))

    assert done.returncode == 1, done.stdout + done.stderr
    require_exactly(INSIDE, verdicts(tmp_path))


def test_what_goes_wrong_around_a_copy_fails_its_own_row_and_no_other_guest(site: LabUnderTest, tmp_path: Path) -> None:
    done = drilled(AROUND, tmp_path)

    require_exactly(AROUND, verdicts(tmp_path))
    assert done.returncode == LEFTOVERS, done.stdout + done.stderr
    assert "vm-101-disk-0" in site.volumes()
    run_lab("fault", "clear")
    reaped = subprocess.run(
        [sys.executable, "-m", "backup_standard.cli", "reap", "--inventory", INVENTORY, "--yes",
         f"--run-dir={tmp_path}"],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert reaped.returncode == 0, done.stdout + reaped.stdout + reaped.stderr
