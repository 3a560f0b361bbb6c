"""Starting and stopping as the terminal sees it, without machines."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab import launch
from lab.__main__ import main
from lab.service import require_ports
from lab.settings import Folders, Ports
from lab.vm.errors import LabError
from lab.vm.processes import Identity, identity, write_record
from lab.waiting import until


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    folders = Folders.of_user()
    folders.make()
    return folders


def pretend_running(folders: Folders) -> None:
    who = identity(os.getpid())
    assert who is not None
    write_record(folders.processes, launch.SERVICE, who)
    facts = {"version": "9.2.11", "accelerator": "tcg", "started": 0, "api": "https://127.0.0.1:1", "ssh_port": 2}
    folders.record.write_text(json.dumps({**facts, "sockets": "/tmp/x"}))


def test_without_a_lab_every_command_says_how_to_start_one(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 3
    assert "python -m lab up" in capsys.readouterr().out
    for words in (["ssh"], ["fault", "clear"]):
        assert main(words) == 1
        assert "the lab is not up; start it with: python -m lab up" in capsys.readouterr().err
    assert main(["down"]) == 0
    assert "was not up" in capsys.readouterr().out


def test_up_refuses_a_second_start(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    pretend_running(folders)
    assert main(["up"]) == 1
    assert "up already" in capsys.readouterr().err


def test_two_starts_at_once_are_one_too_many(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    with (folders.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["up"]) == 1
    assert "at work" in capsys.readouterr().err


def test_status_tells_where_everything_is(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    pretend_running(folders)
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert str(folders.state / "ca.pem") in said
    assert "9.2.11" in said


def test_a_stale_record_is_not_a_running_lab(folders: Folders) -> None:
    pretend_running(folders)
    path = folders.processes / "service.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "started": record["started"] - 1}))
    assert launch.service(folders) is None


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=rf"port {port} of 127\.0\.0\.1 .*--ssh-port"):
            require_ports(Ports(0, port))


def test_ssh_checks_the_nodes_key_and_keeps_words_apart(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "program", lambda name: name)
    line = launch.ssh_command(folders, {"ssh_port": 12222}, ["--", "ls", "a b"])
    assert "StrictHostKeyChecking=yes" in line
    assert line[-2:] == ["root@127.0.0.1", "ls 'a b'"]
    assert launch.ssh_command(folders, {"ssh_port": 12222}, ["ls | wc -l"])[-1] == "ls | wc -l"


def is_sleep(pid: int) -> Identity | None:
    who = identity(pid)
    return who if who is not None and who.command[0] == "sleep" else None


def test_cleaning_up_ends_what_a_crash_left(folders: Folders) -> None:
    with subprocess.Popen(["sleep", "60"]) as left:
        who = until(lambda: is_sleep(left.pid), what="the sleeper")
        assert who is not None
        write_record(folders.processes, "guest-210", who)
        (folders.state / "run").mkdir()
        assert launch.clean(folders) == ["guest-210"]
        assert left.wait(5) < 0
    assert not (folders.state / "run").exists()


def test_help_names_every_fault() -> None:
    said = subprocess.run([sys.executable, "-m", "lab", "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("backup-disk-unplugged", "corrupt-archive", "dead-agent", "clear"):
        assert name in said
