"""Commands as root through sudo: what it refuses is told from what the command itself says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backup_standard.errors import ConnectionFailed
from backup_standard.hosts import Recorder, node_client, node_host
from backup_standard.hosts.ssh import Account, SshClient
from backup_standard.hosts.sudo import SudoRefused
from backup_standard.inventory.schema import Inventory, NodeSection
from tests.unit.collect.stubsite import inventory
from tests.unit.sshd import Sshd

REFUSED = b"sudo: a password is required\n"


@pytest.fixture
def client(make: Any, tmp_path: Path) -> SshClient:
    """A connection whose account reads through sudo."""
    made: SshClient = make(Account("root", key=tmp_path / "id", sudo=True))
    return made


def answers(server: Sshd, rc: int, out: bytes, err: bytes, *, programs: tuple[str, ...] = ()) -> None:
    """What sudo says to everything, and which programs are there."""

    def answer(line: str, _stdin: bytes) -> tuple[int, bytes, bytes]:
        if line.startswith("command -v"):
            return (0 if any(f"command -v {name} " in line for name in programs) else 127), b"", b""
        return rc, out, err

    server.answer = answer


def test_a_command_goes_through_sudo_and_is_noted_as_roots_own(server: Sshd, client: SshClient, tmp_path: Path) -> None:
    answers(server, 0, b"found\n", b"")
    path = tmp_path / "commands.jsonl"
    assert node_host(client, "pve1", Recorder(path)).run("find %s", "/a b").stdout == "found\n"
    assert server.commands == ["env LC_ALL=C.UTF-8 sudo -n -- find '/a b'"]
    assert '"command": "find \'/a b\'"' in path.read_text()


@pytest.mark.parametrize(
    "said",
    [
        REFUSED,
        b"sudo: unable to resolve host pve1: Name or service not known\n" + REFUSED,
        b"Sorry, user auditor is not allowed to execute '/usr/bin/cat' as root on pve1.\n",
        b"auditor is not in the sudoers file.\n",
        b"sudo: 1 incorrect password attempt\n",
    ],
)
def test_a_refusal_names_command_and_cure(server: Sshd, client: SshClient, said: bytes) -> None:
    answers(server, 1, b"", said, programs=("cat",))
    with pytest.raises(SudoRefused, match=r"sudo does not let root run: cat /etc/fstab \(") as refused:
        node_host(client, "pve1").run("cat %s", "/etc/fstab")
    assert isinstance(refused.value, ConnectionFailed)
    assert "backup-standard standard --sudoers" in str(refused.value)


def test_no_sudo_at_all_is_a_refusal(server: Sshd, client: SshClient) -> None:
    answers(server, 127, b"", b"env: 'sudo': No such file or directory\n", programs=("cat",))
    with pytest.raises(SudoRefused, match="No such file"):
        node_host(client, "pve1").run("cat /etc/fstab")


def test_a_program_that_is_not_there_is_no_refusal(server: Sshd, client: SshClient) -> None:
    answers(server, 1, b"", REFUSED)
    result = node_host(client, "pve1").run("smartctl -H -j /dev/sda")
    assert (result.rc, result.stderr) == (127, "sh: 1: smartctl: not found\n")


@pytest.mark.parametrize(
    ("rc", "out", "err"),
    [
        (1, b"", b""),
        (1, b"", b"cat: /etc/pve/vzdump.cron: No such file or directory\n"),
        (1, b"", b"sudo: unable to resolve host pve1: Name or service not known\n"),
        (1, b"{}", b"sudo: something\n"),
        (127, b"", b"sh: 1: x: not found\n"),
        (2, b"", b"find: '/x': No such file or directory\n"),
    ],
)
def test_what_the_command_itself_says_stays_its_own(
    server: Sshd, client: SshClient, rc: int, out: bytes, err: bytes
) -> None:
    answers(server, rc, out, err)
    result = node_host(client, "pve1").run("test -e /x")
    assert (result.rc, result.stdout_bytes, result.stderr_bytes) == (rc, out, err)


@pytest.mark.parametrize(
    ("section", "sudo"),
    [
        ({"ssh": "root@h"}, False),
        ({"ssh": "backup-audit@h"}, True),
        ({"ssh": "backup-audit@h", "sudo": False}, False),
        ({"ssh": "root@h", "sudo": True}, True),
        ({"ssh": "rooted@h"}, True),
    ],
)
def test_the_inventory_says_whether_sudo_is_needed(section: dict[str, Any], sudo: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (tmp_path / "known_hosts").touch()
    nodes = {"pve1": NodeSection(known_hosts=str(tmp_path / "known_hosts"), **section)}
    described: Inventory = inventory(nodes=nodes)
    assert node_client(described, "pve1").account.sudo is sudo
