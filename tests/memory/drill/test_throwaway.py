"""A key that a drill brings itself: laid into the copy alone, held in memory alone, and told in the record."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from backup_standard.drill import boot, throwaway
from backup_standard.drill.engine import STEPS, TEARDOWN, Drill
from backup_standard.drill.ports import Ran
from backup_standard.drill.steps import access
from backup_standard.errors import Refused
from backup_standard.inventory.drills import Login
from lab.hypervisor import CommandResult
from lab.scripted.shell import Context
from tests.drillground import Ground
from tests.memory.drill.faults import on_phase, outcomes


class Account:
    """This machine as the copy: an account whose home is a folder of the test."""

    def __init__(self, tmp_path: Path) -> None:
        self.home, programs = tmp_path / "home", tmp_path / "bin"
        self.home.mkdir()
        programs.mkdir()
        for name, text in {
            "getent": f'[ "$2" = drill ] && echo "drill:x:1000:1000::{self.home}:/bin/sh"',
            "awk": "exit 0",
            "chown": f'echo "$@" >> {tmp_path}/chowned',
        }.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        self.chowned, self.path = tmp_path / "chowned", f"{programs}:{os.environ['PATH']}"

    def run(self, argv: Sequence[str]) -> Ran:
        """Run it for real, with this account's home."""
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env={"PATH": self.path})
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def keys(self) -> Path:
        """The account's keys."""
        return self.home / ".ssh/authorized_keys"


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """The account of the copy."""
    return Account(tmp_path)


def test_the_public_half_is_added_to_the_accounts_keys(account: Account) -> None:
    account.keys.parent.mkdir()
    account.keys.write_text("ssh-ed25519 AAAA its-own")  # no newline at its end

    private = throwaway.give(account.run, "drill")

    own, new = (line for line in account.keys.read_text().splitlines() if line)
    assert own == "ssh-ed25519 AAAA its-own"
    assert new.startswith("ssh-ed25519 ")
    assert new.endswith(throwaway.NOTE)
    assert "PRIVATE KEY" in private.reveal()
    assert "PRIVATE" not in account.keys.read_text()
    assert account.chowned.read_text() == f"-- drill {account.keys.parent} {account.keys}\n"


def test_an_account_without_keys_gets_a_folder_that_sshd_accepts(account: Account) -> None:
    throwaway.give(account.run, "drill")

    assert account.keys.parent.stat().st_mode & 0o777 == 0o700
    assert account.keys.stat().st_mode & 0o777 == 0o600


def test_every_drill_has_a_key_of_its_own(account: Account) -> None:
    assert throwaway.give(account.run, "drill").reveal() != throwaway.give(account.run, "drill").reveal()


@pytest.mark.parametrize("user", ["nobody-here", "$(touch x)", "-x"])
def test_an_account_that_is_not_there_is_said(account: Account, user: str) -> None:
    with pytest.raises(Refused, match="there is no account"):
        throwaway.give(account.run, user)
    assert not account.keys.exists()


def test_a_home_that_is_not_there_is_said(account: Account) -> None:
    account.home.rmdir()
    with pytest.raises(Refused, match="is not there"):
        throwaway.give(account.run, "drill")


def test_the_script_finds_the_home_without_getent() -> None:
    root = next(line.split(":") for line in Path("/etc/passwd").read_text().splitlines() if line.startswith("root:"))
    found = throwaway.LAY.partition("[ -d")[0].replace("getent passwd", "false") + 'echo "$home"'
    done = subprocess.run(["sh", "-c", found, "sh", "root"], check=True, capture_output=True, text=True)
    assert done.stdout == f"{root[5]}\n"


@pytest.mark.parametrize("also", [{"key": "~/k"}, {"password": "env:X"}, {"through": "agent"}])
def test_it_goes_with_no_other_credential(also: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="throwaway_key: true goes with neither"):
        Login(user="drill", throwaway_key=True, **also)
    assert Login(user="drill", throwaway_key=True).key is None


def brought(ground: Ground, vmid: int = 210) -> Drill:
    """A drill whose inventory asks for a throw-away key; the copy's shell does what the script does."""
    ground.inventory = ground.changed(vmid=vmid, login={"user": "drill", "throwaway_key": True})
    real: list[Any] = []

    def shell(context: Context, words: list[str]) -> CommandResult:
        if words[:2] != ["-c", throwaway.LAY]:
            usual: CommandResult = real[0](context, words)
            return usual
        guest = ground.lab.hypervisor.guest(vmid + 1)
        keys = guest.image.accounts[words[3]].keys
        object.__setattr__(guest.image.accounts[words[3]], "keys", (*keys, words[4]))
        return CommandResult(0, "", "")

    def arm() -> None:
        programs = ground.lab.hypervisor.guest(vmid + 1).host.programs
        real.append(programs["sh"])
        programs["sh"] = shell

    on_phase(ground, "login", arm)
    return ground.drill(vmid)


def test_a_drill_with_a_key_of_its_own_passes_and_says_what_it_did_not_try(ground: Ground) -> None:
    with brought(ground) as drill:
        found = outcomes(drill)
        private = drill.course.throwaway

    assert found == dict.fromkeys((*STEPS, TEARDOWN), "ok"), drill.record.steps
    seen = drill.record.steps["login"].observed
    assert (seen["method"], seen["wrong_credential"]) == ("throw-away key", {"key": "refused", "password": "refused"})
    assert access.OWN_CREDENTIAL.format("drill") in drill.record.not_proven
    assert private is not None
    secret = private.reveal().splitlines()[1]
    told = [path for path in drill.tools.folder.rglob("*") if path.is_file()]
    assert told
    assert not any(secret in path.read_text(errors="replace") for path in told)
    assert secret not in repr(drill.course)


def test_without_an_agent_the_login_row_says_why_it_fails(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "SSH_FROM", 0.2)
    ground.lab.hypervisor.faults.dead_agents.add(211)
    ground.inventory = ground.changed(vmid=210, login={"user": "drill", "throwaway_key": True}, boot_timeout="2s")
    with ground.drill(210) as drill:
        found = outcomes(drill)

    assert found["boot"] == "failed", "without the agent nobody can bring a key, so nothing shows the boot"
    assert found[TEARDOWN] == "ok"
