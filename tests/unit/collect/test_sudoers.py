"""The sudoers file lets exactly the audit's own commands through, as sudo would read it."""

from __future__ import annotations

import re
import shlex

import pytest

from backup_standard.collect import node_commands as n
from backup_standard.collect import sudoers
from lab.scripted.accounts import read_sudoers

ARCHIVE = "/mnt/backup/dump/vzdump-qemu-100-2026_11_24-02_00_01.vma.zst"
LOG = "/mnt/backup/dump/vzdump-qemu-100-2026_11_24-02_00_01.log"
ALLOWED = read_sudoers(sudoers.sudoers(), sudoers.ACCOUNT)


def may(line: str) -> bool:
    return any(one.matches(shlex.split(line)) for one in ALLOWED)


@pytest.mark.parametrize(
    "line",
    [
        n.BLOCKS, n.BTRFS, n.CLOCK, n.CRON, n.FSTAB, n.KERNEL, n.LOOPS, n.LVS, n.POOLS, n.PVS, n.SCHEDULER,
        n.CANMOUNT % "rpool/ROOT/pve-1",
        n.EXISTS % "/mnt/backup",
        n.FILES % ("/mnt/backup", "/mnt/backup/dump/", shlex.quote(n.ENTRY)),
        n.HEADS % ARCHIVE,
        f"{n.HEADS % ARCHIVE} /mnt/backup/dump/vzdump-lxc-230-2026_11_24-02_00_01.tar",
        n.HEALTH % "/dev/disk/by-id/nvme-eui.0025:1",
        n.IMAGES % ("/mnt/backup/images", shlex.quote(n.LINE)),
        n.IS_ENABLED % "mnt-backup.mount",
        n.IS_ENABLED % shlex.quote("mnt-my\\x20disk.mount"),
        n.IS_ENABLED % "-.mount",
        n.JOB_STATE % "/var/lib/pve-manager/jobs/vzdump-nightly-vm100.json",
        n.MISHAPS % "@1764000000",
        n.MOUNT % "/var/lib/vz",
        n.MOUNT % "/",
        n.TAILS % LOG,
    ],
)  # fmt: skip
def test_what_the_audit_runs_is_allowed(line: str) -> None:
    assert may(line)


@pytest.mark.parametrize(
    "line",
    [
        "cat /etc/shadow",
        "cat /etc/fstab /etc/shadow",
        "cat /var/lib/pve-manager/jobs/vzdump-a /etc/shadow .json",
        "cat /var/lib/pve-manager/jobs/vzdump-../../../../etc/shadow.json",
        "cat '/var/lib/pve-manager/jobs/vzdump-a.json\n/etc/shadow'",
        "head -v -c 4 -- /etc/shadow",
        f"head -v -c 4 -- {ARCHIVE} /etc/shadow",
        f"head -v -c 400 -- {ARCHIVE}",
        f"head -v -c 4 -- {ARCHIVE}/../../etc/shadow",
        f"tail -v -n 3 -- {ARCHIVE}",
        f"tail -v -n 3 -f -- {LOG}",
        "find / / -maxdepth 1 -delete -printf " + shlex.quote(n.ENTRY),
        "find -maxdepth 1 -printf " + shlex.quote(n.ENTRY),
        "find / -exec /sh -mindepth 2 -maxdepth 2 -printf " + shlex.quote(n.LINE),
        "find / / -maxdepth 1 -printf " + shlex.quote(n.ENTRY) + " -delete",
        "find / / -maxdepth 1 -fprintf /etc/passwd " + shlex.quote(n.ENTRY),
        "smartctl -H -j /dev/sda -s off",
        "smartctl -H -j -s off",
        "systemctl reboot",
        "systemctl is-enabled ssh reboot",
        "systemctl show pvescheduler.service",
        "systemctl is-enabled ssh --root=/tmp/x",
        "timedatectl set-ntp false",
        "timedatectl",
        "journalctl --vacuum-size=1",
        n.MISHAPS % "@1 --vacuum-size=1",
        n.KERNEL.removesuffix(" --no-pager"),
        "findmnt",
        "test -e '/x /y'",
        "lvs",
        "pvs -a",
        "zfs get -H -o value canmount -r rpool",
        "zfs destroy rpool",
        "bash",
        "mount /dev/sda1 /mnt",
    ],
)
def test_nothing_else_is(line: str) -> None:
    assert not may(line)


def test_every_command_of_the_table_is_in_the_file() -> None:
    text = sudoers.sudoers()
    lines = {name for name, value in vars(n).items() if name.isupper() and " " in str(value)}
    assert lines == set(n.table()), "a command of the table must be a NodeCommand"
    for command in n.table().values():
        assert sudoers.entry(command) in text


def test_a_command_without_a_shape_for_its_argument_is_refused() -> None:
    with pytest.raises(ValueError, match="each %s of a command needs a shape: cat %s"):
        n.NodeCommand("cat %s")


def test_the_expressions_are_the_same_for_extended_regular_expressions() -> None:
    """No backslash outside brackets and no class of Python's own: sudo's are POSIX."""
    for command in n.table().values():
        text = sudoers.pattern(command)
        assert "\\" not in re.sub(r"\[\\\]", "", text)
        assert "(?" not in text


@pytest.mark.parametrize("name", ["", "Audit", "a b", "x" * 40, "a\nb", "root ALL=(ALL) ALL #"])
def test_an_odd_account_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an account"):
        sudoers.sudoers(name)


def test_the_account_stands_in_the_file_and_in_the_commands() -> None:
    assert "auditor ALL = (root) NOPASSWD: NOEXEC: BACKUP_AUDIT\n" in sudoers.sudoers("auditor")
    assert all("auditor" in line for line in sudoers.commands("auditor"))
