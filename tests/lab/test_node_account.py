"""The audit as an account of its own on the node, with real sudo and the printed sudoers file."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.site import INVENTORY, ROOT, LabUnderTest, run_lab, run_suite, state_folder

ACCOUNT = "backup-audit"
SUDOERS = f"/etc/sudoers.d/{ACCOUNT}"
PORT = "12222"


@dataclass(frozen=True)
class Account:
    """The account: its private key, and an inventory that logs in with it."""

    key: Path
    inventory: Path

    def ssh(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command line as the account, by the system's own SSH client."""
        known = state_folder() / "known_hosts"
        options = [f"-oUserKnownHostsFile={known}", "-oBatchMode=yes", "-oIdentitiesOnly=yes", "-i", str(self.key)]
        return subprocess.run(
            ["ssh", *options, "-p", PORT, f"{ACCOUNT}@127.0.0.1", line],
            check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip


def as_root(script: str) -> str:
    """Run a script on the node as root."""
    return run_lab("ssh", "--", f"sh -euc {shlex.quote(script)}").stdout


@pytest.fixture
def account(lab: LabUnderTest, tmp_path: Path) -> Iterator[Account]:
    """The account, made as the documents say and removed again."""
    key = tmp_path / "audit-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text(encoding="utf-8").strip()
    printed = [sys.executable, "-m", "backup_standard.cli", "standard", "--sudoers"]
    rules = subprocess.run(printed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    home = f"/home/{ACCOUNT}"
    as_root(
        f"useradd --create-home --home-dir {home} --shell /bin/sh --password '*' {ACCOUNT}\n"
        f"install -d -m 700 -o {ACCOUNT} -g {ACCOUNT} {home}/.ssh\n"
        f"echo {shlex.quote(f'restrict {public}')} > {home}/.ssh/authorized_keys\n"
        f"chown {ACCOUNT}: {home}/.ssh/authorized_keys\n"
        f"printf %s {shlex.quote(rules)} > /root/{ACCOUNT}.sudoers\n"
        f"visudo -c -f /root/{ACCOUNT}.sudoers && install -m 440 /root/{ACCOUNT}.sudoers {SUDOERS}\n"
    )
    inventory = tmp_path / "lab.yaml"
    text = (ROOT / INVENTORY).read_text(encoding="utf-8").replace("ssh: root@", f"ssh: {ACCOUNT}@")
    own = "key: $XDG_STATE_HOME/backup-standard-lab/id_ed25519\n    known_hosts"
    assert text.count(own) == 1
    inventory.write_text(text.replace(own, f"key: {key}\n    known_hosts"), encoding="utf-8")
    try:
        yield Account(key, inventory)
    finally:
        as_root(f"rm -f {SUDOERS} /root/{ACCOUNT}.sudoers; userdel -r {ACCOUNT} 2>/dev/null || userdel {ACCOUNT}")


def verdicts(base: Path) -> dict[str, str]:
    """Outcome by row of the only run under a folder."""
    (file,) = base.rglob("verdicts.jsonl")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
    return {one["item"]: one["outcome"] for one in lines}


def test_the_audit_as_the_account_comes_to_the_verdicts_of_root(account: Account, tmp_path: Path) -> None:
    root = run_suite("--deep", f"--run-dir={tmp_path / 'root'}")
    own = run_suite("--deep", f"--run-dir={tmp_path / 'own'}", f"--inventory={account.inventory}", inventory=None)

    assert root.returncode == own.returncode == 0, own.stdout + own.stderr
    assert verdicts(tmp_path / "own") == verdicts(tmp_path / "root")


def test_sudo_refuses_the_account_everything_else(account: Account) -> None:
    for line in (
        "cat /etc/shadow",
        "cat /etc/fstab /etc/shadow",
        "head -v -c 4 -- /etc/shadow",
        "find / / -maxdepth 1 -delete",
        "systemctl is-enabled ssh reboot",
        "sh",
    ):
        told = account.ssh(f"LC_ALL=C sudo -n -- {line}")
        assert (told.returncode, told.stdout) == (1, ""), told
        assert "sudo: a password is required" in told.stderr


def test_a_command_that_sudo_refuses_is_named_and_nothing_passes_for_it(account: Account, tmp_path: Path) -> None:
    as_root(f"sed -i '/findmnt/d' {SUDOERS}; visudo -c -f {SUDOERS}")

    done = run_suite(f"--run-dir={tmp_path / 'own'}", f"--inventory={account.inventory}", inventory=None)

    assert done.returncode == 12, done.stdout + done.stderr
    assert "sudo does not let backup-audit run: findmnt -J -T" in done.stdout
    assert "fail" not in verdicts(tmp_path / "own").values()
    assert "Traceback" not in done.stdout + done.stderr
